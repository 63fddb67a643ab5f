"""Lesson 05 in the browser: every cell runs, and the FillInExplorer hides words and shows what the model expects."""

import pytest

from tests.browser.measurements import record_measurement

WIDGET = '[data-widget="FillInExplorer"]'
REQUEST = f"document.querySelector('{WIDGET}').dataset.request"


def candidates(widget, blank: int = 0) -> list[str]:
    """What the model would write into a blank, best first, its one-token words."""
    return widget.locator(f"[data-blank='{blank}'] [data-tokens='1'] .candidate").evaluate_all(
        "buttons => buttons.map(button => button.dataset.text)"
    )


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_fills_in_blanks(lesson, subshells):
    masked = lesson("05_masked_language_models", watch=(WIDGET,), subshells=subshells)
    masked.run_all()
    record_measurement("FillInExplorer, cell to visible", [masked.first_seen(WIDGET)], unit="s")
    widget = masked.widget("FillInExplorer").first

    masked.type_text("FillInExplorer", "The capital of France is Paris.")
    words = widget.locator(".sentence button")

    def hide(number: int) -> float:
        return masked.reaction(lambda: words.nth(number).click(), read=REQUEST, event="click")

    hide(3)  # France
    first = candidates(widget)
    assert first and widget.locator("[data-blank]").count() == 1
    hide(3)
    hide(0)  # The
    assert candidates(widget) != first
    hide(5)  # Paris, together with the first
    assert widget.locator("[data-blank]").count() == 2
    both = candidates(widget, blank=1)
    masked.reaction(lambda: widget.get_by_role("radio", name="only the right side").click(), REQUEST, "click")
    assert widget.get_attribute("data-side") == "right" and candidates(widget, blank=1) != both
    masked.reaction(lambda: widget.locator("[data-blank='0'] .candidate").first.click(), REQUEST, "click")
    assert widget.locator("[data-blank]").count() == 1

    seconds = [hide(number) for number in (1, 2, 1, 2) * 5]
    record_measurement(f"FillInExplorer, hide a word to candidates, subshells {subshells}", seconds)


def test_the_masked_model_knows_what_it_was_told(lesson):
    masked = lesson("05_masked_language_models")
    masked.run_until("FillInExplorer(mlm.model")
    widget = masked.widget("FillInExplorer").first
    masked.type_text("FillInExplorer", "A dog has ___ legs.")
    assert candidates(widget)[0].strip() == "four"


def test_nonsense_is_answered_by_a_sentence(lesson):
    masked = lesson("05_masked_language_models")
    masked.run_until("FillInExplorer(mlm.model")
    widget = masked.widget("FillInExplorer").first
    message = widget.locator(".fbc-message")
    masked.type_text("FillInExplorer", "")
    assert message.inner_text()
    masked.type_text("FillInExplorer", "word " * 400)
    assert "tokens" in message.inner_text()
    html = '<img src=x onerror="window.hacked = true"> and ___ 🦜'
    masked.type_text("FillInExplorer", html)
    assert "onerror" in widget.locator(".sentence").inner_text()
    assert widget.locator("img").count() == 0 and not masked.page.evaluate("() => window.hacked")
    masked.type_text("FillInExplorer", "Good ___ to you.")
    assert message.inner_text() == "" and candidates(widget)


def test_the_lesson_goes_on_while_the_learner_trains(lesson):
    masked = lesson("05_masked_language_models")
    masked.run_until("live = LiveTraining(")
    panel = masked.widget("LiveTraining")
    panel.locator("[data-action=play]").click()
    masked.page.wait_for_selector('[data-widget="LiveTraining"][data-state="running"]:not([data-step="2"])')
    masked.run_cell("live.run(20)")  # for whoever has not pressed Play; it raises if the cell ends in an error
    masked.run_cell("FillInExplorer(tiny")
    panel.locator("[data-action=stop]").click()
