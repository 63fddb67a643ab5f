"""What the page of a live training is told, and how often."""

import math

import pytest

from tests.line_trainer import LineConfig, LineTrainer, Page, live_trainings, settle

live = pytest.fixture(live_trainings)


def abandoned(page):
    return [one["abandoned"] for one in page.news() if one["abandoned"] is not None][-1]


def test_news_comes_at_most_ten_times_a_second_and_is_complete(live):
    widget = live(LineTrainer(seconds=0.002), steps=300)
    page = Page(widget)
    page.ask("hello")
    widget.play()
    assert widget.wait(60)
    settle(page)
    spaces = [b - a for a, b in zip(page.times, page.times[1:], strict=False)][2:]
    assert min(spaces) > 0.09
    assert [row[0] for row in page.rows()] == list(range(1, 301))
    last = page.news()[-1]
    assert (last["state"], last["step"], last["target"]) == ("done", 300, 300)
    assert [news["samples"]["step"] for news in page.news() if news["samples"]][-1] == 300


def test_a_page_that_watches_a_rewind_draws_what_happened(live):
    page = Page(live())
    page.ask("hello")
    page.widget.run(12)
    settle(page)
    page.ask("rewind", step=5)
    page.widget.wait(60)
    page.widget.set_knob("learning_rate", 0.2)
    page.widget.run(4)
    settle(page)
    assert [row[1] for row in page.rows()] == [row["loss"] for row in page.widget.history]
    assert len(page.rows()) == 9
    assert [[row[0] for row in branch] for branch in abandoned(page)] == [list(range(5, 13))]


def test_a_second_view_gets_everything(live):
    widget = live(curves=[["loss", "missing"], {"x": "lr", "y": ["loss"], "title": "By rate"}])
    widget.run(8)
    page = Page(widget)
    page.ask("hello")
    news = page.news()[0]
    columns = widget.plan["columns"]
    assert columns[0] == "step" and set(columns) == {"step", "loss", "missing", "lr"} and len(news["rows"]) == 8
    assert [row[columns.index("loss")] for row in news["rows"]] == [row["loss"] for row in widget.history]
    assert {row[columns.index("missing")] for row in news["rows"]} == {None}
    assert news["samples"]["rows"][0]["prompt"] == "<b>2</b>"


def test_numbers_that_are_none_travel(live):
    class Odd(LineTrainer):
        def _step(self):
            return super()._step() | {"loss": [math.nan, math.inf, "much", None][self.steps_done % 4]}

        def samples(self):
            return [{"prompt": 2, "now": None}]

    page = Page(live(Odd()))
    page.widget.run(4)
    page.widget.trainer.config = LineConfig(kl_coef=math.nan)
    page.widget.run(4)
    settle(page)
    assert {row[1] for row in page.rows()} == {None}
    assert page.news()[-1]["changes"][0]["value"] == "nan"


def test_hello_shows_what_the_model_says_before_any_training(live):
    page = Page(live())
    page.ask("hello")
    page.widget.wait(60)
    settle(page)
    told = [news["samples"]["rows"] for news in page.news() if news["samples"]]
    assert told[-1] == [{"prompt": "<b>2</b>", "before": "0", "now": "0.000"}]
    assert (page.widget.state, page.widget.trainer.steps_done) == ("idle", 0)


def test_speed_is_told_from_the_last_steps(live):
    widget = live(LineTrainer(seconds=0.03))
    page = Page(widget)
    widget.run(6)
    settle(page)
    assert 0.03 <= page.news()[-1]["seconds_per_step"] < 3


def test_no_trait_is_written_after_the_constructor(live):
    widget = live(steps=20)
    written = []
    widget.observe(written.append)
    page = Page(widget)
    page.ask("knob", name="kl_coef", value=0.3)
    page.ask("play")
    widget.wait(60)
    page.ask("rewind", step=5)
    widget.wait(60)
    assert written == []


def test_looks(live):
    widget = live(curves=[["loss"], ["objective/kl_coef"]])
    widget.run(4)
    widget.set_knob("kl_coef", 0.5)
    figure = widget.figure()
    assert repr(widget) == "LiveTraining()"
    assert list(figure.data[0].y) == [row["loss"] for row in widget.history] and len(figure.layout.shapes) == 2
    assert figure.data[1].line.color == "#999999"
