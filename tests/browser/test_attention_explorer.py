"""Lesson 04 in the browser: every cell runs, and the AttentionExplorer answers to typing, keys, clicks and nonsense."""

import pytest

from tests.browser.measurements import record_measurement

WIDGET = '[data-widget="AttentionExplorer"]'
REQUEST = f"document.querySelector('{WIDGET}').dataset.request"
TOKEN = f"document.querySelector('{WIDGET}').dataset.token"
HEAD = f"document.querySelector('{WIDGET}').dataset.head"


def weights(widget) -> list[str]:
    """The numbers of the table, row by row."""
    return widget.locator("td[data-weight]").evaluate_all("cells => cells.map(cell => cell.dataset.weight)")


@pytest.mark.parametrize("subshells", [True, False])
def test_a_learner_looks_into_attention(lesson, subshells):
    attention = lesson("04_attention", watch=(WIDGET,), subshells=subshells)
    attention.run_all()
    record_measurement("AttentionExplorer, cell to visible", [attention.first_seen(WIDGET)], unit="s")
    widget = attention.widget("AttentionExplorer").first

    attention.type_text("AttentionExplorer", "Anna gave the book to Ben because he asked.")
    tokens = widget.locator(".sentence .token .text").all_inner_texts()
    assert "".join(tokens) == "Anna gave the book to Ben because he asked."

    widget.get_by_role("button", name="Show as table").click()
    first = weights(widget)
    assert len(first) == len(tokens) ** 2
    for start in range(0, len(first), len(tokens)):  # every row of weights sums to one
        assert sum(map(float, first[start : start + len(tokens)])) == pytest.approx(1, abs=0.003)
    widget.get_by_role("radio", name="Layer 2, head 4").click()
    assert widget.get_attribute("data-layer") == "2" and widget.get_attribute("data-head") == "4"
    assert weights(widget) != first

    before = widget.locator("[data-list=before] li").first.get_attribute("data-probability")
    attention.reaction(lambda: widget.get_by_role("button", name="Switch this head off").click(), REQUEST, "click")
    assert widget.get_attribute("data-off") == "2.4"
    after = widget.locator("[data-list=after] li").first.get_attribute("data-probability")
    assert widget.locator("[data-list=before] li").first.get_attribute("data-probability") == before != after
    attention.reaction(lambda: widget.get_by_role("button", name="All heads on").click(), REQUEST, "click")
    assert widget.get_attribute("data-off") == ""

    chips = widget.locator(".sentence .token")
    hover = [
        attention.reaction(lambda i=i: chips.nth(i % len(tokens)).hover(), read=TOKEN, event="mouseover")
        for i in range(0, 3 * len(tokens), 3)
    ]
    record_measurement(f"AttentionExplorer, hover a token, subshells {subshells}", hover)
    widget.get_by_role("radio", name="Layer 0, head 0").focus()
    keys = [
        attention.reaction(lambda key=key: attention.page.keyboard.press(key), read=HEAD)
        for key in ["ArrowRight"] * 5 + ["ArrowLeft"] * 5
    ]
    record_measurement(f"AttentionExplorer, next head by key, subshells {subshells}", keys)


def test_nonsense_is_answered_by_a_sentence(lesson):
    attention = lesson("04_attention")
    attention.run_until("AttentionExplorer(base.model")
    widget = attention.widget("AttentionExplorer").first
    message = widget.locator(".fbc-message")

    attention.type_text("AttentionExplorer", "")
    assert "no text yet" in message.inner_text()
    attention.type_text("AttentionExplorer", "word " * 400)
    assert "tokens; the maps show the last 48" in message.inner_text()
    html = '<img src=x onerror="window.hacked = true"><b>bold</b>'
    attention.type_text("AttentionExplorer", html)
    assert "".join(widget.locator(".sentence .token .text").all_inner_texts()) == html
    assert widget.locator("img, b").count() == 0 and not attention.page.evaluate("() => window.hacked")
    attention.type_text("AttentionExplorer", "<|end|> 🦜 你好")
    assert message.inner_text() == ""
    assert widget.locator(".sentence .token").count() > 4  # the control token is text like any other
    attention.type_text("AttentionExplorer", "And it still works.")
    assert "".join(widget.locator(".sentence .token .text").all_inner_texts()) == "And it still works."


def test_cells_run_twice_out_of_order_and_after_a_restart(lesson):
    attention = lesson("04_attention")
    attention.run_until("AttentionExplorer(base.model")
    attention.run_until("AttentionExplorer(base.model")
    attention.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    attention.page.wait_for_timeout(1000)
    attention.run_until("AttentionExplorer(base.model")
    widget = attention.widget("AttentionExplorer").first
    attention.type_text("AttentionExplorer", "After a restart.")
    assert widget.locator(".sentence .token").count() >= 3
