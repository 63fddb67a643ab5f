"""The Scoreboard in a real page: measured with its button, stopped, and shown with its intervals."""

import json

import nbformat.v4 as nbf

WIDGET = '[data-widget="Scoreboard"]'
CELL = """
from dataclasses import replace

import torch

from lmcore import checkpoints
from lmcore.models import Transformer, TransformerConfig
from widgets import Scoreboard

sft = checkpoints.load("sft")
sizes = TransformerConfig(sft.model.config.vocab_size, 256, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
newborn = replace(sft, name="newborn", model=Transformer(sizes, torch.Generator().manual_seed(0)))
board = Scoreboard({"newborn": newborn, "SFT": sft}, prompts=PROMPTS, documents=1)
board
"""


def open_board(lesson, prompts: int):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cell = nbf.new_code_cell(CELL.replace("PROMPTS", str(prompts)))
    one = lesson("trial", notebook=nbf.new_notebook(cells=[cell], metadata={"kernelspec": kernel}))
    one.run_all()
    board = one.widget("Scoreboard").first
    board.wait_for()
    return one, board


def test_the_button_measures_and_the_table_shows_what_the_kernel_found(lesson):
    one, board = open_board(lesson, 4)
    assert board.get_attribute("data-state") == "idle" and board.locator("[data-value]").count() == 0
    board.locator("[data-do=measure]").focus()
    one.page.keyboard.press("Enter")
    one.page.wait_for_selector(f'{WIDGET}[data-state="done"][data-step="2"]', timeout=120_000)
    scores = json.loads(one.run_source("import json; print(json.dumps(board.scores))"))
    assert board.locator("[data-value]").count() == sum(map(len, scores.values())) > 0
    for stage, measured in scores.items():
        for measure, score in measured.items():
            cell = board.locator(f"[data-measure='{measure}'] [data-stage={stage}]")
            assert float(cell.get_attribute("data-value")) == round(score["value"], 4)
            assert "95 %" in cell.get_attribute("title")
    best = board.locator("[data-measure='gold score'] .best")
    assert best.count() == 1 and best.get_attribute("data-stage") == "SFT"
    assert not board.locator("[data-do=measure]").is_visible()


def test_stop_answers_within_a_second_and_measure_goes_on(lesson):
    one, board = open_board(lesson, 150)
    board.locator("[data-do=measure]").click()
    one.page.wait_for_selector(f'{WIDGET}[data-state="running"]')
    state = f"document.querySelector('{WIDGET}').dataset.state"
    took = one.reaction(board.locator("[data-do=stop]").click, read=state, event="click")
    assert took < 1000 and board.get_attribute("data-state") == "idle"
    assert "go on" in board.locator(".fbc-message").inner_text()
    assert board.locator("[data-do=measure]").is_visible()
