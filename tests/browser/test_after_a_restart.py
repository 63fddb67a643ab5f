"""Whoever restarts the kernel finds the widgets still on the page: each says that nobody answers it any more."""

import nbformat.v4 as nbf

CELL = """
import torch
from lmcore import checkpoints
from lmcore.models import Recurrent, RecurrentConfig, Transformer, TransformerConfig
from lmcore.speedrun import SpeedrunConfig
from widgets import (AttentionExplorer, ChatBox, FillInExplorer, MemoryExplorer, NextTokenExplorer, Pipeline,
    Scoreboard, TokenExplorer)
tokenizer = checkpoints.load("base").tokenizer
sizes = dict(vocab_size=tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=32)
gpt, masked = (Transformer(TransformerConfig(**sizes, causal=causal)) for causal in (True, False))
rnn = Recurrent(RecurrentConfig(tokenizer.vocab_size, n_embd=32, n_hidden=32, cell="rnn"))
stages = {"SFT": checkpoints.Stage("sft", gpt, tokenizer, {})}
"""
EXPLORERS = {
    "AttentionExplorer": "AttentionExplorer(gpt, tokenizer)",
    "FillInExplorer": "FillInExplorer(masked, tokenizer)",
    "MemoryExplorer": "MemoryExplorer(rnn, tokenizer)",
    "NextTokenExplorer": "NextTokenExplorer(gpt, tokenizer)",
    "TokenExplorer": "TokenExplorer(tokenizer)",
    "ChatBox": "ChatBox(stages)",
}
MACHINES = {"Scoreboard": "Scoreboard(stages)", "Pipeline": "Pipeline(SpeedrunConfig(), 'nowhere')"}


def test_every_widget_that_asks_its_kernel_tells_of_a_restart(lesson):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    widgets = EXPLORERS | MACHINES
    cells = [nbf.new_code_cell(source) for source in (CELL, *widgets.values())]
    trial = lesson("trial", notebook=nbf.new_notebook(cells=cells, metadata={"kernelspec": kernel}))
    trial.run_all()
    for name in widgets:
        assert "restarted" not in trial.widget(name).inner_text()
    trial.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    for name in widgets:
        message = trial.widget(name).locator(".fbc-message").first
        message.filter(has_text="The kernel was restarted").wait_for()
        if name in EXPLORERS:
            trial.widget(name).get_by_role("textbox").first.fill("Is anybody there?")  # and nothing breaks
        else:
            assert not trial.widget(name).locator("[data-do]:visible").count(), "a button that nobody hears"
        assert "Run the lesson again from its first cell" in message.inner_text()
