"""What a learner does with the two large panels, the labeler and the cockpit, in an open lesson."""

import json

from playwright.sync_api import Locator

from tests.browser.lab import Lesson

LABELER, COCKPIT = '[data-widget="PreferenceLabeler"]', '[data-widget="RLHFCockpit"]'
LABELED = f"document.querySelector('{LABELER}').dataset.labeled"


class Labeling:
    """The labeler of an open lesson, and whoever sits in front of it."""

    def __init__(self, lesson):
        self.lesson, self.page = lesson, lesson.page
        self.page.wait_for_selector(LABELER)
        self.widget = lesson.widget("PreferenceLabeler").first

    def focus(self) -> None:
        self.widget.locator(".stage").focus()

    def press(self, key: str) -> float:
        return self.lesson.reaction(lambda: self.page.keyboard.press(key), read=LABELED)

    def wait_until_saved(self, count: int) -> None:
        self.page.wait_for_selector(f'{LABELER}[data-saved="{count}"]')

    def rows(self, session: str) -> list[dict]:
        source = f"import json; from widgets.votes import Votes; print(json.dumps(Votes({session!r}).rows()))"
        return json.loads(self.lesson.run_source(source))

    def active_cell(self) -> int:
        return self.page.evaluate("() => jupyterapp.shell.currentWidget.content.activeCellIndex")

    def restart(self) -> None:
        self.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.widget.locator(".fbc-message", has_text="kernel was restarted").wait_for()


class Cockpit:
    """The cockpit with this title in an open lesson; `name` is what it is called in the lesson's kernel."""

    def __init__(self, lesson: Lesson, title: str, name: str):
        self.lesson, self.name = lesson, name
        self.widget: Locator = lesson.widget("RLHFCockpit").filter(has=lesson.page.get_by_text(title, exact=True))
        self.widget.wait_for()
        self.knob = self.widget.locator("input[data-knob=kl_coef]")

    def press(self, action: str) -> None:
        self.widget.locator(f"[data-action={action}]").click()

    def recipe(self, name: str) -> None:
        """Press a recipe, and wait until the kernel has accepted it."""
        self.widget.locator(f'[data-recipe="{name}"]').click()
        self.widget.locator(f'.fbc-note[data-told="{name}"]').wait_for()

    def one_step(self) -> None:
        """Do one step, and wait until it is over and its numbers stand in the legends."""
        before = self.step()
        self.press("step")
        self.wait_for_step(before + 1)
        self.wait_for("paused")
        drawn = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.lesson.page.evaluate(drawn)

    def number(self, metric: str) -> float:
        """What the legend says of a metric now."""
        return float(self.widget.locator(f'[data-metric="{metric}"]').last.inner_text())

    def wait_for(self, state: str, seconds: float = 60) -> None:
        self._wait_until("dataset.state ===", state, seconds)

    def step(self) -> int:
        return int(self.widget.get_attribute("data-step"))

    def wait_for_step(self, step: int, seconds: float = 120) -> None:
        self._wait_until("dataset.step >=", step, seconds)

    def rewind(self, step: int) -> None:
        """Go back to the snapshot of this step, and wait until it is there."""
        self.widget.locator("[data-snapshots]").select_option(str(step))
        self.press("rewind")
        self._wait_until("dataset.step ==", step, 60)

    def _wait_until(self, condition: str, value: object, seconds: float) -> None:
        self.lesson.page.wait_for_function(
            f"([element, value]) => element.{condition} value",
            arg=[self.widget.element_handle(), value],
            timeout=1000 * seconds,
        )

    def kernel(self, expression: str):
        """The value, through JSON, of a Python expression in the lesson's kernel."""
        return json.loads(self.lesson.run_source(f"import json; print(json.dumps({expression}))"))
