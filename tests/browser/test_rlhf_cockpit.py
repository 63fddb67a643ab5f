"""Lesson 09 in the browser: real PPO runs while a learner turns knobs, pauses, rewinds, stops, and breaks things."""

import time

import pytest

from tests.browser.measurements import record_measurement
from tests.browser.panels import COCKPIT, Cockpit

ACCEPTED = f"document.querySelector('{COCKPIT} input[data-knob=kl_coef]').dataset.request"


def opened(lesson, subshells: bool = True) -> Cockpit:
    """The first cockpit of lesson 09, run from the first cell on."""
    rlhf = lesson("09_rlhf", watch=(COCKPIT,), subshells=subshells)
    rlhf.run_until("cockpit = RLHFCockpit(")
    return Cockpit(rlhf, "RLHF cockpit", "cockpit")


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_steers_rlhf(lesson, subshells):
    cockpit = opened(lesson, subshells)
    record_measurement("RLHFCockpit, cell to visible", [cockpit.lesson.first_seen(COCKPIT)], unit="s")
    cockpit.press("play")
    cockpit.wait_for("running")
    cockpit.wait_for_step(2)

    cockpit.knob.focus()
    reactions = [
        cockpit.lesson.reaction(lambda key=key: cockpit.lesson.page.keyboard.press(key), read=ACCEPTED)
        for key in ["ArrowRight", "ArrowRight", "ArrowLeft"] * 13
    ]
    record_measurement(f"RLHFCockpit, slider to screen while PPO trains, subshells {subshells}", reactions)
    wanted = float(cockpit.knob.get_attribute("data-accepted"))
    assert wanted != pytest.approx(0.2)
    moved_at = cockpit.step()
    cockpit.wait_for_step(moved_at + 2)
    assert cockpit.kernel("cockpit.history[-1]['objective/kl_coef']") == pytest.approx(wanted)

    cockpit.press("pause")
    cockpit.wait_for("paused")
    paused_at = cockpit.step()
    cockpit.lesson.page.wait_for_timeout(1500)
    assert cockpit.step() == paused_at
    assert cockpit.widget.locator(".fbc-samples tbody tr").count() >= 2

    cockpit.widget.locator("[data-snapshots]").select_option("0")
    cockpit.press("rewind")
    cockpit.lesson.page.wait_for_selector(f'{COCKPIT}[data-step="0"]')
    assert cockpit.kernel("cockpit.trainer.steps_done") == 0

    cockpit.press("play")
    cockpit.wait_for_step(1)
    started = time.monotonic()
    cockpit.press("stop")
    cockpit.wait_for("idle")
    record_measurement(f"RLHFCockpit, Stop to stopped, subshells {subshells}", [time.monotonic() - started], unit="s")


def test_every_cell_runs(lesson):
    lesson("09_rlhf").run_all(seconds=300)


def test_a_wrong_number_is_answered_and_ignored(lesson):
    cockpit = opened(lesson)
    field = cockpit.widget.locator("input[data-knob-value=kl_coef]")
    for nonsense in ("-3", "banana", "1e9", "<b>1</b>"):
        field.fill(nonsense)
        field.press("Enter")
        cockpit.widget.locator(".fbc-message", has_text="kl_coef takes a number").wait_for()
        assert cockpit.kernel("cockpit.trainer.config.kl_coef") == pytest.approx(0.2)
        field.fill("0.1")
        field.press("Enter")
        cockpit.lesson.page.wait_for_selector(f'{COCKPIT} input[data-knob=kl_coef][data-accepted="0.1"]')
        field.fill("0.2")
        field.press("Enter")
        cockpit.lesson.page.wait_for_selector(f'{COCKPIT} input[data-knob=kl_coef][data-accepted="0.2"]')


def test_an_exception_in_the_thread_is_shown_and_the_panel_lives(lesson):
    cockpit = opened(lesson)
    cockpit.lesson.run_source("good = cockpit.trainer.reward; cockpit.trainer.reward = lambda p, c: 1 / 0")
    cockpit.press("step")
    cockpit.wait_for("failed")
    assert "ZeroDivisionError: division by zero" in cockpit.widget.locator(".fbc-message").inner_text()
    cockpit.lesson.run_source("cockpit.trainer.reward = good")
    cockpit.press("step")
    cockpit.wait_for_step(1)


def test_failures_are_caused_recognised_and_rewound(lesson):
    cockpit = opened(lesson)
    cockpit.recipe("Use the end as padding")
    cockpit.one_step()
    assert cockpit.number("val/num_eos_tokens") == 0
    assert "No answer comes to an end" in cockpit.widget.locator(".fbc-note").inner_text()
    mend = cockpit.widget.get_by_text("Give padding a token of its own")
    assert not mend.is_visible()
    cockpit.widget.get_by_text("Why, and how to mend it").click()
    mend.wait_for()

    cockpit.recipe("Look one token off")
    cockpit.one_step()
    assert abs(cockpit.number("val/ratio") - 1) > 0.5 and cockpit.number("val/num_eos_tokens") > 0
    cockpit.rewind(0)
    cockpit.one_step()
    assert cockpit.kernel("cockpit.trainer.config.mistake") == "none"
    assert abs(cockpit.number("val/ratio") - 1) < 0.2 and cockpit.number("val/num_eos_tokens") > 0


def test_a_diverged_run_says_so_and_is_rewound(lesson):
    cockpit = opened(lesson)
    cockpit.press("step")
    cockpit.wait_for_step(1)
    cockpit.wait_for("paused")
    cockpit.lesson.run_source("import torch; torch.nn.init.constant_(cockpit.trainer.policy.norm.weight, float('nan'))")
    cockpit.press("step")
    cockpit.wait_for("failed")
    assert "diverged" in cockpit.widget.locator(".fbc-message").inner_text()
    cockpit.widget.locator("[data-snapshots]").select_option("0")
    cockpit.press("rewind")
    cockpit.wait_for("paused")
    cockpit.press("step")
    cockpit.wait_for_step(1)


def test_a_kernel_restarted_while_training_is_noticed(lesson):
    cockpit = opened(lesson)
    cockpit.press("play")
    cockpit.wait_for_step(1)
    cockpit.lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    cockpit.widget.locator(".fbc-message", has_text="kernel was restarted").wait_for()
    assert cockpit.widget.get_attribute("data-state") != "running"


def test_a_second_training_waits_its_turn_and_a_cell_run_twice_replaces_its_first(lesson):
    cockpit = opened(lesson)
    cockpit.press("play")
    cockpit.wait_for("running")
    said = cockpit.lesson.run_source(
        "from widgets import RLHFCockpit\nfrom widgets.background import AnotherIsRunning\nimport copy\n"
        "from lmcore.trainers import PPOTrainer\nold = cockpit.trainer\n"
        "other = RLHFCockpit(PPOTrainer(copy.deepcopy(old.policy), old.reference, old.reward, old.prompts,"
        " tokenizer=old.tokenizer))\n"
        "try:\n    other.play()\nexcept AnotherIsRunning as error:\n    print(error)"
    )
    assert "stop it first" in said
    assert cockpit.kernel("cockpit.state") == "running"
    cockpit.lesson.run_until("cockpit = RLHFCockpit(")  # again: the training that its first run left behind ends
    assert cockpit.kernel("cockpit.state") == "idle" and cockpit.kernel("old is not cockpit.trainer")
