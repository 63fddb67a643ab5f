"""A live training's knobs: what they accept, from when on the trainer obeys, and the marks they leave."""

import pytest

from tests.line_trainer import LineConfig, LineTrainer, Page, live_trainings, settle, wait_until
from widgets.live_training import LiveTraining

live = pytest.fixture(live_trainings)


def test_the_trainer_obeys_from_the_next_step_on(live):
    widget = live(LineTrainer(seconds=0.01), steps=1000)
    widget.play()
    wait_until(lambda: widget.trainer.steps_done >= 3)
    assert widget.set_knob("kl_coef", 0.2) == 0.2
    wait_until(lambda: widget.history[-1]["objective/kl_coef"] == 0.2)
    widget.stop()
    change = widget.changes[0]
    assert (change["name"], change["before"], change["value"]) == ("kl_coef", 0.05, 0.2)
    for row in widget.history:
        assert row["objective/kl_coef"] == (0.2 if row["step"] > change["step"] else 0.05)


def test_a_knob_moved_many_times_between_two_steps_leaves_one_mark(live):
    widget = live()
    widget.run(3)
    for value in (0.1, 0.2, 0.3):
        widget.set_knob("kl_coef", value)
    assert widget.changes == [{"step": 3, "name": "kl_coef", "before": 0.05, "value": 0.3}]
    assert widget.trainer.config.kl_coef == 0.3


def test_a_config_swapped_by_a_cell_is_marked_and_shown(live):
    widget = live()
    page = Page(widget)
    widget.run(2)
    widget.trainer.config = LineConfig(batch_size=32)
    widget.run(1)
    settle(page)
    assert widget.changes == [{"step": 2, "name": "batch_size", "before": 16, "value": 32}]
    assert page.news()[-1]["knobs"]["batch_size"] == 32


@pytest.mark.parametrize("value", [0.6, -0.1, "NaN", "inf", "a lot", "", None, True, [0.1], "0.1 or 0.2", "x" * 500])
def test_a_bad_value_is_answered_by_a_sentence_and_ignored(live, value):
    widget = live()
    answer = Page(widget).ask("knob", name="kl_coef", value=value)
    assert not answer["ok"] and answer["message"].startswith("kl_coef takes a number from 0 to 0.5, not ")
    assert len(answer["message"]) < 120
    assert widget.trainer.config == LineConfig() and widget.changes == []


def test_true_is_not_a_number(live):
    assert not Page(live()).ask("knob", name="learning_rate", value=True)["ok"]


def test_a_knob_moved_in_the_last_step_is_not_lost(live):
    widget = live(LineTrainer(seconds=0.2))
    widget.step()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.set_knob("kl_coef", 0.2)
    assert widget.trainer.config.kl_coef == 0.05  # not under the step's hands
    assert widget.wait(60) and widget.trainer.config.kl_coef == 0.2
    assert widget.changes == [{"step": 1, "name": "kl_coef", "before": 0.05, "value": 0.2}]


@pytest.mark.parametrize("steps", [0, 3])
def test_a_knob_moved_before_the_first_step_is_moved_back_with_its_mark(live, steps):
    widget = live()
    before = widget.trainer.config
    widget.set_knob("learning_rate", 0.3)
    if steps:
        widget.run(steps)
    assert widget.trainer.config.learning_rate == 0.3 and widget.changes
    widget.rewind(0)
    assert widget.wait(60) and widget.trainer.config == before and widget.changes == []


def test_a_knob_moved_just_before_a_rewind_is_rewound_too(live):
    widget = live(LineTrainer(seconds=0.2))
    widget.play()
    wait_until(lambda: widget.trainer.inside.locked())
    widget.set_knob("kl_coef", 0.2)
    widget.rewind(0)
    widget.run(1)
    assert widget.trainer.config.kl_coef == 0.05 and widget.changes == []


def test_a_value_that_the_config_refuses_is_answered_in_its_words(live):
    widget = live()
    answer = Page(widget).ask("knob", name="batch_size", value=13)
    assert not answer["ok"] and answer["message"] == "batch_size=13 brings bad luck"
    assert widget.trainer.config.batch_size == 16


def test_knobs_of_whole_numbers_and_typed_numbers(live):
    page = Page(live())
    assert page.ask("knob", name="batch_size", value=31.6)["value"] == 32
    assert page.widget.trainer.config.batch_size == 32 and isinstance(page.widget.trainer.config.batch_size, int)
    assert page.ask("knob", name="kl_coef", value="1e-1")["value"] == 0.1


@pytest.mark.parametrize("start", [0, 1])
def test_a_field_that_stands_at_a_whole_number_takes_any_number(live, start):
    trainer = LineTrainer()
    trainer.config = LineConfig(kl_coef=start)
    widget = live(trainer)
    assert widget.set_knob("kl_coef", 0.3) == 0.3 and not widget.plan["knobs"][0]["integer"]


def test_a_range_reaches_to_where_the_knob_stands(live):
    plan = live(knobs={"kl_coef": (0.1, 0.5), "learning_rate": (1e-5, 1e-2, "log")}).plan
    assert [(knob["low"], knob["high"]) for knob in plan["knobs"]] == [(0.05, 0.5), (1e-5, 0.05)]


@pytest.mark.parametrize(
    "knobs, words",
    [
        ({"leash": (0, 1)}, "LineConfig has no field 'leash' to turn. Fields: learning_rate, kl_coef, batch_size."),
        ({"kl_coef": (1, 0)}, "needs \\(low, high\\)"),
        ({"learning_rate": (0, 1, "log")}, "low > 0"),
        ({"learning_rate": (0, 1, "cubic")}, "not \\(0, 1, 'cubic'\\)"),
    ],
)
def test_knobs_that_make_no_sense(live, knobs, words):
    with pytest.raises(ValueError, match=words):
        LiveTraining(LineTrainer(), knobs=knobs)
