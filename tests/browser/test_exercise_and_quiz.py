"""A learner guesses, tries an exercise, asks for hints and the solution: by keyboard, and with text that stays text."""

import nbformat.v4 as nbf
import pytest

QUIZ = """
from widgets.quiz import Quiz
quiz = Quiz("Who is <b>looked at</b>?", ["the `past`", "the future <img src=x onerror=alert(1)>"], "the `past`",
            {"the `past`": "It is written.", 1: "It is *not* written yet."}, id="04.trial")
quiz
"""
NUMBER = """
share = Quiz.number("How many of 100?", 0, 100, unit="%", id="04.trial_share")
share
"""
QUESTION = "from exercises.lesson_04 import causal_mask\nimport torch\ncausal_mask"
WRAPPED = "from exercises.lesson_01 import backoff, sampler\nbackoff"  # its list has an item of two lines
ANSWER = 'print("<script>", quiz.guess, share.guess)\ncausal_mask.check(lambda T: torch.ones(T, T).bool())'


def notebook(*sources: str):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbf.new_notebook(cells=[nbf.new_code_cell(source) for source in sources], metadata={"kernelspec": kernel})


@pytest.fixture
def trial(lesson):
    trial = lesson("trial", notebook=notebook(QUIZ, NUMBER, QUESTION, ANSWER))
    trial.run_all()  # nobody has guessed anything, and nothing waits for it
    return trial


def test_a_quiz_is_answered_by_keyboard_and_explained(trial):
    page, quiz = trial.page, trial.widget("Quiz").first
    quiz.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    assert quiz.get_attribute("data-answered") == "false", "moving about is no guess"
    assert [option.get_attribute("aria-checked") for option in quiz.get_by_role("radio").all()] == ["false", "true"]
    page.keyboard.press("Enter")
    page.wait_for_selector('[data-quiz="04.trial"][data-answered="true"]')
    text = quiz.inner_text()
    assert "Not so" in text and "It is not written yet." in text and "It is written." in text
    assert "<b>looked at</b>" in text and "<img src=x onerror=alert(1)>" in text and not quiz.locator("b, img").count()

    for key in "dd":  # JupyterLab would delete the cell
        quiz.get_by_role("radio").nth(1).press(key)
    assert trial.run_source("print(quiz.guess)").strip() == "the future <img src=x onerror=alert(1)>"
    assert trial.widget("Quiz").count() == 2


def test_a_number_is_guessed_and_measured(trial):
    page, quiz = trial.page, trial.widget("Quiz").nth(1)
    slider = quiz.get_by_role("slider")
    for _ in range(5):
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "55 %"
    quiz.get_by_role("button", name="This is my guess").press("Enter")
    page.wait_for_selector('[data-quiz="04.trial_share"][data-answered="true"]')
    assert trial.run_source("print(share.reveal(31))").strip() == "You predicted 55 %; measured: 31 %."
    page.wait_for_function("() => document.body.innerText.includes('You guessed 55 %; it is 31 %.')")


def test_a_list_in_a_question_is_a_list(lesson):
    trial = lesson("trial", notebook=notebook(WRAPPED, "sampler"))
    trial.run_all()
    for question, items, ends in ((0, 3, "counts[(*context, word)] / counts[context]"), (1, 2, "all get more alike")):
        found = trial.widget("Exercise").nth(question).locator(".fbc-exercise-question li").all_inner_texts()
        assert len(found) == items and found[0].endswith(ends), found


def test_an_exercise_names_the_mistake_and_helps_when_asked(trial):
    page, question, answer = trial.page, trial.widget("Exercise").first, trial.widget("Exercise").nth(1)
    for view in (question, answer):
        assert view.get_attribute("data-outcome") == "incorrect"
        assert "lets position 3 see position 5" in view.inner_text()
    assert question.locator("details").get_attribute("open") is not None
    assert answer.locator("details").get_attribute("open") is None, "the question need not stand there twice"

    assert not question.get_by_role("listitem").filter(has_text="Draw it").is_visible()
    question.get_by_role("button", name="Hint 1 of 3").press("Enter")
    assert "Draw it for three positions" in question.inner_text() and "Compare a row" not in question.inner_text()

    question.get_by_role("button", name="Solution").press("Enter")
    assert "def my_causal_mask" not in question.inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Keep trying"
    page.keyboard.press("Enter")
    question.get_by_role("button", name="Solution").press("Enter")
    question.get_by_role("button", name="Show it").press("Enter")
    assert "def my_causal_mask(T):" in answer.inner_text()

    trial.run_source("causal_mask.check(lambda T: torch.ones(T, T).bool().tril())")
    page.wait_for_selector('[data-exercise][data-outcome="correct"]')
    assert "✓ Correct" in question.inner_text() and "nobody the future" in answer.inner_text()

    trial.run_source('def loud(T):\n    print("<script>alert(1)</script>")\n    return T / 0')
    trial.run_source("causal_mask.check(loud)")
    page.wait_for_selector('[data-exercise][data-outcome="raised"]')
    text = question.inner_text()
    assert "ZeroDivisionError" in text and "return T / 0" in text and "<script>alert(1)</script>" in text
    assert "solved before" in text and not question.locator("script").count()
