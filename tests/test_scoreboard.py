"""The Scoreboard measures what lmcore measures, once and with intervals; it stops, and survives a broken model."""

import time
from dataclasses import replace

import pytest
import torch

from lmcore import checkpoints
from lmcore.evaluate import alignment, capability
from lmcore.models import Transformer, TransformerConfig
from widgets import Scoreboard, scoreboard


@pytest.fixture(scope="module")
def sft():
    return checkpoints.load("sft")


@pytest.fixture(scope="module")
def untaught(sft):
    config = TransformerConfig(sft.model.config.vocab_size, 256, n_layer=1, n_head=2, n_kv_head=1, n_embd=16)
    return replace(sft, name="untaught", model=Transformer(config, torch.Generator().manual_seed(0)).eval())


@pytest.fixture(scope="module")
def board(sft, untaught):
    board = Scoreboard({"SFT": sft, "yours": untaught}, prompts=5, documents=1)
    board.measure()
    return board


def wish(board: Scoreboard, do: str) -> None:
    board._wish = {"do": do, "request": board._picture["request"] + 1}


def test_it_measures_what_lmcore_measures_on_both_axes(board, sft):
    assert board.state == board._picture["state"] == "done" and board.message == ""
    found = board.scores["SFT"]
    assert found == alignment(sft, prompts=5) | capability(sft, documents=1)
    assert set(found) == set(scoreboard.MEASURES), "a score without a row, or a row without a score"
    assert {one.axis for one in scoreboard.MEASURES.values()} == {"alignment", "capability"}
    assert all(one["low"] <= one["value"] <= one["high"] for scores in board.scores.values() for one in scores.values())
    assert found["gold score"]["value"] > board.scores["yours"]["gold score"]["value"]


def test_the_picture_and_the_table_hold_the_same_numbers(board):
    first, second = board._picture["stages"]
    assert (first["name"], first["colour"]) == ("SFT", "sft") and second["colour"] == "gold"
    assert first["scores"] == board.scores["SFT"]
    table = board.table()
    assert list(table) == ["measured", "SFT", "yours"] and {len(column) for column in table.values()} == {
        len(scoreboard.MEASURES)
    }
    score = board.scores["SFT"]["facts recalled"]
    place = table["measured"].index("facts recalled ↑")
    assert table["SFT"][place] == f"{score['value']:.0%} ({score['low']:.0%} to {score['high']:.0%})"
    assert "facts made up ↓" in table["measured"]


def test_the_figure_puts_better_to_the_right_and_up(board):
    figure = board.figure()
    assert [trace.name for trace in figure.data] == ["SFT", "yours"]
    bits, gold = board.scores["SFT"]["bits per byte, chat"], board.scores["SFT"]["gold score"]
    assert (figure.data[0].x[0], figure.data[0].y[0]) == (bits["value"], gold["value"])
    assert figure.data[0].error_y.array[0] == pytest.approx(gold["high"] - gold["value"])
    assert figure.layout.xaxis.autorange == "reversed" and figure.layout.yaxis.autorange is True
    assert board.figure("facts recalled", "facts made up").layout.yaxis.autorange == "reversed"
    with pytest.raises(KeyError):
        board.figure("beauty")


def test_a_stage_is_measured_once_and_other_weights_anew(board, sft, monkeypatch):
    def never(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(scoreboard, "alignment", never)
    again = Scoreboard({"another name": sft}, prompts=5, documents=1)
    assert again.measure()["another name"] == board.scores["SFT"]
    changed = Transformer(sft.model.config)
    changed.load_state_dict(sft.model.state_dict())
    with torch.no_grad():
        changed.norm.weight[0] += 1
    other = Scoreboard({"changed": replace(sft, model=changed)}, prompts=5, documents=1)
    assert other.measure() == {} and other.state == "failed" and "measured again" in other.message


def test_a_model_that_breaks_is_named_and_the_others_are_measured(sft, untaught):
    broken = Transformer(untaught.model.config)
    with torch.no_grad():
        broken.norm.weight.fill_(torch.nan)
    board = Scoreboard({"broken": replace(untaught, model=broken), "fine": untaught}, prompts=2, documents=1)
    scores = board.measure()
    assert list(scores) == ["fine"] and board.state == "failed"
    assert "broken cannot be measured" in board.message and "diverged" in board.message


def test_stop_answers_at_once_and_measure_goes_on(untaught, sft):
    board = Scoreboard({"quick": untaught, "slow": sft}, prompts=150, documents=60)
    for _ in range(2):  # the second thread waits for the first, which may be in the middle of something
        wish(board, "measure")
        time.sleep(0.3)
        assert board._picture["state"] == "running" and "of 2" in board.message
        wish(board, "stop")
        assert board.state == board._picture["state"] == "idle" and "go on" in board.message
    stopped = board._picture
    assert board.wait(20), "it looks up"
    assert board._picture == stopped and "slow" not in board.scores, "a stopped measurement has no more say"
    assert "trunk" not in vars(sft.model), "the stage itself is left alone"


def test_measure_after_a_stop_finds_what_it_would_have_found(board, untaught):
    again = Scoreboard({"yours": untaught, "mine": untaught}, prompts=5, documents=2)
    wish(again, "measure")
    again.stop()
    assert again.measure()["yours"] == again.scores["mine"] and again.state == "done" and again.message == ""


def test_what_cannot_be_measured_is_refused(sft):
    for wrong in ({"stages": {}}, {"stages": [sft], "prompts": 0}, {"stages": [sft], "documents": 0}):
        with pytest.raises(ValueError, match="at least one of each"):
            Scoreboard(**wrong)
    with pytest.raises(ValueError, match="fills blanks"):
        Scoreboard([checkpoints.load("mlm")])
    with pytest.raises(ValueError, match="grades answers"):
        Scoreboard([checkpoints.load("reward")])
    assert repr(Scoreboard([sft])) == "Scoreboard()"
