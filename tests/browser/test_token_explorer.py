"""Lesson 02 in the browser: every cell runs, and the TokenExplorer cuts what a learner types, merge by merge."""

import pytest

from tests.browser.measurements import record_measurement

WIDGET = '[data-widget="TokenExplorer"]'
CELL = "TokenExplorer(tokenizer"
REQUEST = f"document.querySelector('{WIDGET}').dataset.request"
STEP = f"document.querySelector('{WIDGET}').dataset.step"


def type_text(lesson, widget, text: str) -> float:
    """Types over what stands in the box, waits for the picture that answers, and returns the milliseconds it took."""
    box = widget.get_by_role("textbox")
    return lesson.reaction(lambda: box.fill(text), read=REQUEST, event="input")


def tokens(widget) -> list[str]:
    return widget.locator(".token .text").all_inner_texts()


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_steps_through_the_merges(lesson, subshells):
    page = lesson("02_tokens", watch=(WIDGET,), subshells=subshells)
    page.run_all()
    record_measurement("TokenExplorer, cell to visible", [page.first_seen(WIDGET)], unit="s")
    widget = page.widget("TokenExplorer").first

    typed = [type_text(page, widget, text) for text in ("the", "the cat", "the cat and", "the cat and the dog")]
    record_measurement(f"TokenExplorer, typing to tokens, subshells {subshells}", typed)
    assert tokens(widget) == ["the", "␣cat", "␣and", "␣the", "␣dog"]
    slider = widget.get_by_role("slider")
    most = int(slider.get_attribute("max"))
    assert most > 5 and widget.get_attribute("data-step") == str(most)

    slider.focus()
    seconds = [page.reaction(lambda: slider.press("ArrowLeft"), STEP) for _ in range(most)]
    record_measurement(f"TokenExplorer, slider to tokens, subshells {subshells}", seconds)
    assert tokens(widget) == list("the␣cat␣and␣the␣dog")
    assert widget.get_by_role("button", name="One merge back").is_disabled()
    page.reaction(lambda: widget.get_by_role("button", name="Next merge").click(), STEP, "click")
    assert len(tokens(widget)) < len("the cat and the dog") and "Merge 1 of" in widget.locator(".step").inner_text()
    assert widget.locator(".token.made").count() >= 1
    page.reaction(lambda: widget.get_by_role("button", name="All merges").click(), STEP, "click")
    kernel_ids = page.run_source("print(tokenizer.encode('the cat and the dog'))")
    assert str([int(i) for i in widget.locator(".token .id").all_inner_texts()]) == kernel_ids.strip()


def test_a_token_tells_what_it_is_made_of_and_the_table_counts(lesson):
    page = lesson("02_tokens")
    page.run_until(CELL)
    widget = page.widget("TokenExplorer").first
    type_text(page, widget, "my cat and the other cat")
    first = widget.locator(".token").first
    first.focus()
    for _ in range(3):
        widget.locator(".token:focus").press("ArrowRight")
    assert widget.locator(".token:focus .text").inner_text() == "␣the"
    about = widget.locator(".about").inner_text()
    assert "made by merge" in about and "once" in about
    widget.locator(".token", has_text="␣cat").first.click()
    assert "2 times" in widget.locator(".about").inner_text()
    assert widget.locator('.token[aria-pressed="true"]').count() == 2

    widget.get_by_role("checkbox").check()
    rows = widget.locator("tbody tr")
    assert rows.count() == 5 and rows.first.locator("th").inner_text() == "␣cat"
    assert rows.first.locator("td").last.inner_text() == "2"


def test_other_languages_cost_more(lesson):
    page = lesson("02_tokens")
    page.run_until(CELL)
    widget = page.widget("TokenExplorer").first
    examples = widget.locator(".example")
    cost = {one.locator(".name").inner_text(): int(one.get_attribute("data-tokens")) for one in examples.all()}
    assert cost["Hindi"] > 3 * cost["English"]
    page.reaction(lambda: examples.filter(has_text="Greek").click(), REQUEST, "click")
    assert widget.get_by_role("textbox").input_value().startswith("Καλημέρα")
    assert widget.get_attribute("data-tokens") == str(cost["Greek"])
    page.reaction(lambda: widget.get_by_role("button", name="Start again").click(), REQUEST, "click")
    assert "capital of France" in widget.get_by_role("textbox").input_value()


def test_nonsense_is_answered_by_a_sentence(lesson):
    page = lesson("02_tokens")
    page.run_until(CELL)
    widget = page.widget("TokenExplorer").first
    message = widget.locator(".fbc-message")
    type_text(page, widget, "")
    assert "no text yet" in message.inner_text() and tokens(widget) == []
    type_text(page, widget, "word " * 400)
    assert "2,000 bytes" in message.inner_text() and len(tokens(widget)) > 50
    type_text(page, widget, '<img src=x onerror="window.hacked = true"> <|end|> 🦜')
    assert message.inner_text() == "" and len(tokens(widget)) > 20
    assert widget.locator("img").count() == 0 and not page.page.evaluate("() => window.hacked")
    assert "<F0" in " ".join(tokens(widget))
