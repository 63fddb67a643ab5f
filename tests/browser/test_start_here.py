"""Lesson 00 in the browser: every cell runs, and its widgets are there to try."""


def test_the_first_lesson_runs(lesson):
    start = lesson("00_start_here")
    start.run_all(seconds=180)
    assert start.page.locator("[data-widget]").count() >= 1
