"""Lesson 06 in the browser: a GPT is pretrained live, writes, is made to diverge, is rewound, and recovers."""

import json
import math

import pytest

WIDGET = '[data-widget="LiveTraining"]'
GUESSING = math.log(4096)  # the loss of a model to which all tokens are equally likely


class Birth:
    """The live panel of lesson 06, run from the first cell on."""

    def __init__(self, lesson, subshells: bool = True):
        self.lesson = lesson("06_gpt", watch=(WIDGET,), subshells=subshells)
        self.lesson.run_until("live = LiveTraining(")
        self.lesson.page.wait_for_selector(WIDGET)
        self.widget = self.lesson.widget("LiveTraining").first
        # Smaller steps in the same panel: what is tested is the panel and the learning, not the patience.
        self.lesson.run_source(
            "from dataclasses import replace\nlive.trainer.config = replace(live.trainer.config, batch_size=8,"
            " sequence_length=32, warmup_steps=5)\nlive.trainer.validation = unseen[:2000]"
        )

    def press(self, action: str) -> None:
        self.widget.locator(f"[data-action={action}]").click()

    def apply(self, recipe: str) -> None:
        self.widget.locator(f'[data-recipe="{recipe}"]').click()

    def wait_for_step_size(self, shown: str) -> None:
        self.lesson.page.wait_for_selector(f'{WIDGET} input[data-knob=learning_rate][aria-valuetext="{shown}"]')

    def wait_for(self, state: str, seconds: float = 120) -> None:
        self.lesson.page.wait_for_selector(f'{WIDGET}[data-state="{state}"]', timeout=1000 * seconds)

    def step(self) -> int:
        return int(self.widget.get_attribute("data-step"))

    def play_to(self, step: int, seconds: float = 240) -> None:
        """Plays on until this step has been done, and pauses."""
        self.press("play")
        self.lesson.page.wait_for_function(
            f"step => Number(document.querySelector('{WIDGET}').dataset.step) >= step", arg=step, timeout=1000 * seconds
        )
        self.press("pause")
        self.wait_for("paused")

    def losses(self) -> list[float]:
        """The loss of every step so far, as the kernel has them."""
        return json.loads(self.lesson.run_source("import json; print(json.dumps([h['loss'] for h in live.history]))"))

    def samples(self) -> list[str]:
        """What stands under the panel as written by the model now."""
        return self.widget.locator(".fbc-samples tbody tr td:last-child").all_inner_texts()


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_pretrains_breaks_and_saves_a_gpt(lesson, subshells):
    birth = Birth(lesson, subshells)
    assert birth.widget.get_attribute("data-state") == "idle", "nothing trains before somebody presses Play"
    birth.play_to(40)
    good, at_first = birth.losses(), birth.samples()
    assert abs(good[0] - GUESSING) < 0.1 and min(good[-10:]) < 6.7
    assert len(at_first) == 4 and all(at_first)

    broken_at = birth.step()
    birth.apply("Seven-league boots")
    birth.wait_for_step_size("3")
    birth.play_to(broken_at + 12)
    assert max(birth.losses()[broken_at:]) > GUESSING + 1, "steps of 3 should have broken it"
    assert birth.samples() != at_first

    birth.widget.locator("[data-snapshots]").select_option("20")
    birth.press("rewind")
    birth.lesson.page.wait_for_selector(f'{WIDGET}[data-step="20"]')
    assert birth.losses() == good[:20]
    birth.wait_for_step_size("0.02")  # the knobs come back, too
    birth.play_to(40)
    assert max(birth.losses()[20:]) < GUESSING and birth.losses()[20:40] == pytest.approx(good[20:40], abs=0.05)


def test_the_learners_own_step_size_and_a_wrong_one(lesson):
    birth = Birth(lesson)
    birth.apply("Seven-league boots")
    told = birth.widget.locator('.fbc-note[data-told="Seven-league boots"]')
    told.wait_for()
    field = birth.widget.locator("input[data-knob-value=learning_rate]")
    field.fill("fast")
    field.press("Enter")
    birth.widget.locator(".fbc-message", has_text="learning_rate takes a number").wait_for()
    assert told.inner_text(), "nothing was changed, so what the recipe says still holds"
    field.fill("0.005")
    field.press("Enter")
    birth.wait_for_step_size("0.005")
    birth.play_to(6)
    assert birth.lesson.run_source("print(live.history[-1]['lr'])").strip() == "0.005"


def test_every_cell_runs(lesson):
    lesson("06_gpt").run_all(seconds=400)
