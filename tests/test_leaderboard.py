"""The leaderboard: fair sizes, a clock that is kept, results that survive a break, and a figure that shows them all."""

import json
import re
import shutil
from dataclasses import replace

import plotly.graph_objects as go
import pytest
import torch

from benchmarks import leaderboard as benchmark
from lmcore import checkpoints
from lmcore.data import mixtures
from lmcore.data.tokenizer import Tokenizer
from lmcore.models import Transformer
from lmcore.models.recurrent import Recurrent
from widgets import leaderboard as picture
from widgets.leaderboard import leaderboard

SENTENCES = ["A cat has four legs.", "Snow is white and the sky is blue.", "Hi! How are you?", "I am fine, and you?"]


@pytest.fixture(scope="module")
def text() -> benchmark.Text:
    tokenizer = Tokenizer.load(checkpoints.SHIPPED / "tokenizer.json")
    tokens = mixtures.as_tokens(SENTENCES * 40, tokenizer)
    return benchmark.Text(tokenizer, tokens, {"chat": SENTENCES[2:], "almanac": SENTENCES[:2]})


@pytest.fixture(scope="module")
def measured(text, tmp_path_factory):
    """The whole table, with a budget of one step for each network, and the stages that it saved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "trainer_of", short_steps(benchmark.trainer_of))
        folder = tmp_path_factory.mktemp("leaderboard")
        table = benchmark.run(text, 0.01, folder / "table.json", stages=folder / "stages")
    return table, folder


def short_steps(trainer_of):
    def shorter(*given):
        trainer = trainer_of(*given)
        trainer.config = replace(trainer.config, batch_size=2, sequence_length=16)
        return trainer

    return shorter


@pytest.mark.parametrize("name", [*benchmark.RECURRENT, "masked", "transformer"])
def test_all_networks_are_equally_large(name):
    model = benchmark.build(name, 4096)
    assert abs(model.num_parameters() / benchmark.PARAMETERS - 1) < 0.003
    assert isinstance(model, Recurrent if name in benchmark.RECURRENT else Transformer)
    assert model.config.causal == (name != "masked")
    if name in benchmark.RECURRENT:
        assert model.config.cell == name


def test_every_model_of_the_story_is_there_and_only_the_masked_one_is_set_apart(measured):
    table, folder = measured
    assert list(table["models"]) == [
        "unigram", "2-gram", "3-gram", "4-gram", "5-gram", "rnn", "lstm", "gru", "masked", "transformer",
    ]  # fmt: skip
    assert [name for name, result in table["models"].items() if not result["comparable"]] == ["masked"]
    assert table["preliminary"] and table["machine"]["torch"] == torch.__version__
    assert json.loads((folder / "table.json").read_text()) == table
    for result in table["models"].values():
        assert result["curve"] and result["parameters"] > 0
        for kind, score in result["scores"].items():
            assert 0 < score["low"] <= score["value"] <= score["high"]
            assert result["curve"][-1][kind] == pytest.approx(score["value"])  # the last look is the result


def test_counting_longer_helps_on_a_text_that_repeats_itself(measured):
    chat = {name: measured[0]["models"][name]["scores"]["chat"]["value"] for name in ("unigram", "2-gram", "3-gram")}
    assert chat["3-gram"] < chat["2-gram"] < 0.5 * chat["unigram"]
    counts = [measured[0]["models"][name]["parameters"] for name in benchmark.NGRAMS]
    assert counts == sorted(counts) and counts[0] < counts[-1]


def test_the_recurrent_stages_are_saved_and_load(measured, text):
    folder = measured[1] / "stages"
    assert checkpoints.available(folder) == ("gru", "lstm", "rnn")
    for name in benchmark.RECURRENT:
        stage = checkpoints.load(name, folder)
        assert isinstance(stage.model, Recurrent) and stage.model.config.cell == name
        assert stage.card["bits_per_byte"] == measured[0]["models"][name]["scores"]
        halved = benchmark.bits_per_byte(stage.model, text.held_out["chat"], text.tokenizer).value
        assert halved == pytest.approx(stage.card["bits_per_byte"]["chat"]["value"], rel=0.01)


def test_started_again_it_goes_on_with_what_is_missing(measured, text, tmp_path, monkeypatch, capsys):
    table, path = json.loads(json.dumps(measured[0])), tmp_path / "table.json"
    del table["models"]["unigram"], table["models"]["3-gram"]
    path.write_text(json.dumps(table))
    again = benchmark.run(text, 0.01, path)
    assert set(again["models"]) == set(benchmark.MODELS)
    assert re.findall(r"^\S+", capsys.readouterr().out, flags=re.MULTILINE) == ["unigram", "3-gram"]
    assert again["models"]["lstm"] == table["models"]["lstm"]


def test_a_stage_of_another_run_is_replaced(measured, text, tmp_path, monkeypatch):
    table, folder, learnt = measured[0], measured[1], []
    assert all(benchmark.is_saved(name, table["models"][name], folder / "stages") for name in benchmark.RECURRENT)
    stages, path = tmp_path / "stages", tmp_path / "table.json"
    shutil.copytree(folder / "stages", stages)
    card = json.loads((stages / "gru.json").read_text())
    card["card"]["bits_per_byte"] = {"chat": 1.0}
    (stages / "gru.json").write_text(json.dumps(card))
    (stages / "rnn.json").unlink()
    path.write_text(json.dumps(table))
    monkeypatch.setattr(benchmark, "learn", lambda name, *given: learnt.append(name) or table["models"][name])
    benchmark.run(text, 0.01, path, stages=stages)
    assert learnt == ["rnn", "gru"]


def test_a_run_that_breaks_keeps_what_it_has(text, tmp_path, monkeypatch):
    count = benchmark.count
    monkeypatch.setattr(benchmark, "count", lambda name, text: count(name, text) if name == "unigram" else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        benchmark.run(text, 0.01, tmp_path / "table.json")
    assert list(json.loads((tmp_path / "table.json").read_text())["models"]) == ["unigram"]


def test_other_settings_begin_a_new_table(measured, text, tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(measured[0]))
    shorter = replace(text, tokens=text.tokens[:-50])
    table = benchmark.run(shorter, benchmark.SECONDS, path, ["unigram"])
    assert list(table["models"]) == ["unigram"] and not table["preliminary"]


def test_the_clock_counts_steps_and_not_looks(text):
    class Trainer:
        steps_done = num_tokens = 0
        config = benchmark.PretrainConfig()
        expected = []

        def step(self):
            self.steps_done += 1
            self.num_tokens += 10
            self.expected.append(self.config.total_steps)
            benchmark.time.sleep(0.004)

    looks = []

    def look():
        benchmark.time.sleep(0.05)
        looks.append(benchmark.Score(3.0 - len(looks), 0.0, 3.0))
        return {"chat": looks[-1]}

    trainer = Trainer()
    curve, found = benchmark.train(trainer, 0.16, look)
    assert found == {"chat": looks[-1]} and [point["chat"] for point in curve] == [score.value for score in looks]
    assert len(curve) >= 4 and 0.16 <= curve[-1]["seconds"] < 0.3
    assert [look["seconds"] for look in curve] == sorted(look["seconds"] for look in curve)
    assert trainer.expected[0] is None and trainer.expected[-1] == trainer.steps_done  # the rate reaches its end
    assert trainer.steps_done > 10, "0.3 s of looking were taken from 0.16 s of training"


# --- The figure -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(measured):
    return measured[1] / "table.json"


def test_one_line_a_model_against_training_time(measured, path):
    figure = leaderboard(path=path)
    assert isinstance(figure, go.Figure)
    names = [trace.name for trace in figure.data if trace.showlegend]
    assert names == [picture.LABELS.get(name, name) for name in benchmark.MODELS]
    assert "masked, not comparable" in names and "preliminary" in figure.layout.title.text
    lstm = [trace for trace in figure.data if trace.name == "LSTM"]
    assert len(lstm) == 2  # conversations, almanac
    for trace, kind in zip(lstm, ("chat", "almanac"), strict=True):
        curve = measured[0]["models"]["lstm"]["curve"]
        assert list(trace.x) == [look["seconds"] for look in curve] and list(trace.y) == [look[kind] for look in curve]
        score = measured[0]["models"]["lstm"]["scores"][kind]
        assert trace.error_y.array[-1] == pytest.approx(score["high"] - score["value"])
        assert not any(trace.error_y.array[:-1])


def test_against_parameters_one_point_a_model_and_a_line_through_the_ngrams(measured, path):
    figure = leaderboard("parameters", text="almanac", path=path)
    points = {trace.name: (trace.x, trace.y) for trace in figure.data if trace.name}
    for name, result in measured[0]["models"].items():
        x, y = points[picture.LABELS.get(name, name)]
        assert (x, y) == ((result["parameters"],), (result["scores"]["almanac"]["value"],))
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [len(line.x) for line in lines] == [5]


def test_a_lesson_may_show_some_models_only(path):
    figure = leaderboard(models=["lstm", "unigram"], text="chat", path=path)
    assert [trace.name for trace in figure.data] == ["LSTM", "unigram"]


@pytest.mark.parametrize("wrong", [{"against": "joules"}, {"models": ["gpt"]}, {"text": "poems"}])
def test_what_is_not_measured_is_said(path, wrong):
    with pytest.raises(ValueError, match="the leaderboard has no '(joules|gpt|poems)'; it has"):
        leaderboard(path=path, **wrong)


def test_a_missing_table_names_its_command(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m benchmarks.leaderboard"):
        leaderboard(path=tmp_path / "none.json")


def test_looks_differ_also_without_colour_and_read_on_white_and_black(path):
    looks = [(dash, symbol) for _, dash, symbol in picture.LOOKS.values()]
    assert len(set(looks)) == len(looks) and set(picture.LOOKS) == set(benchmark.MODELS)
    figure = leaderboard(path=path)
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    for colour, _, _ in picture.LOOKS.values():
        assert contrast(colour, "#FFFFFF") > 2.4 and contrast(colour, "#111111") > 2.4, colour


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_table_in_the_tree_is_a_real_run_of_all_models():
    table = picture.results()
    assert list(table["models"]) == list(benchmark.MODELS)
    assert table["preliminary"] == (table["settings"]["seconds"] < benchmark.SECONDS)
    assert table["settings"]["training_tokens"] > 5_000_000 and table["machine"]["processor"]
    chat = {name: result["scores"]["chat"]["value"] for name, result in table["models"].items()}
    assert chat["5-gram"] < chat["2-gram"] < chat["unigram"]
    for name in (*benchmark.RECURRENT, "transformer"):
        result = table["models"][name]
        assert result["curve"][-1]["seconds"] >= table["settings"]["seconds"] and len(result["curve"]) >= 3
        assert result["curve"][-1]["chat"] < result["curve"][0]["chat"]
        assert abs(result["parameters"] / benchmark.PARAMETERS - 1) < 0.003
