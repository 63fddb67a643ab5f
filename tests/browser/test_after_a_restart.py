"""Whoever restarts the kernel finds the explorers still on the page: each says that nobody answers it any more."""

import nbformat.v4 as nbf

CELL = """
import torch
from lmcore import checkpoints
from lmcore.models import Recurrent, RecurrentConfig, Transformer, TransformerConfig
from widgets import AttentionExplorer, FillInExplorer, MemoryExplorer, NextTokenExplorer, TokenExplorer
tokenizer = checkpoints.load("base").tokenizer
sizes = dict(vocab_size=tokenizer.vocab_size, n_layer=1, n_head=2, n_kv_head=1, n_embd=32)
gpt, masked = (Transformer(TransformerConfig(**sizes, causal=causal)) for causal in (True, False))
rnn = Recurrent(RecurrentConfig(tokenizer.vocab_size, n_embd=32, n_hidden=32, cell="rnn"))
"""
EXPLORERS = {
    "AttentionExplorer": "AttentionExplorer(gpt, tokenizer)",
    "FillInExplorer": "FillInExplorer(masked, tokenizer)",
    "MemoryExplorer": "MemoryExplorer(rnn, tokenizer)",
    "NextTokenExplorer": "NextTokenExplorer(gpt, tokenizer)",
    "TokenExplorer": "TokenExplorer(tokenizer)",
}


def test_every_explorer_tells_of_a_restart(lesson):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbf.new_code_cell(source) for source in (CELL, *EXPLORERS.values())]
    trial = lesson("trial", notebook=nbf.new_notebook(cells=cells, metadata={"kernelspec": kernel}))
    trial.run_all()
    for name in EXPLORERS:
        assert "restarted" not in trial.widget(name).inner_text()
    trial.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    for name in EXPLORERS:
        message = trial.widget(name).locator(".fbc-message").first
        message.filter(has_text="The kernel was restarted").wait_for()
        trial.widget(name).get_by_role("textbox").first.fill("Is anybody there?")  # and nothing breaks
        assert "Run this cell again" in message.inner_text()
