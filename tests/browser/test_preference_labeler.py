"""A learner labels twenty pairs by keyboard, takes one back, restarts the kernel, and finds nothing lost."""

import json

import nbformat.v4 as nbf
import pytest

from tests.browser.measurements import record_measurement
from tests.browser.panels import LABELED, LABELER, Labeling

KEYS = ("ArrowLeft", "ArrowRight", "1", "2", "0", "Space") * 4
TRIAL = """
from widgets import PreferenceLabeler
from widgets.votes import Votes
pairs = [(f"Question <b>{n}</b>?", f"Yes {n} <img src=x onerror=alert(1)>", f"No {n}") for n in range(20)]
crowd = [dict(prompt=p, completion_a=a, completion_b=b, winner="a", labeler="one") for p, a, b in pairs]
labeler = PreferenceLabeler(pairs, session="trial", crowd=crowd)
labeler
"""


def notebook(*sources: str):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbf.new_notebook(cells=[nbf.new_code_cell(source) for source in sources], metadata={"kernelspec": kernel})


@pytest.mark.parametrize("subshells", [True, False])
def test_twenty_pairs_by_keyboard_and_a_restart(lesson, subshells):
    trial = lesson("trial", notebook=notebook("1 + 1", TRIAL, "2 + 2"), watch=(LABELER,), subshells=subshells)
    trial.run_source("from widgets.votes import Votes; Votes('trial').clear()")
    trial.run_all()
    record_measurement("PreferenceLabeler, cell to visible", [trial.first_seen(LABELER)], unit="s")
    labeling = Labeling(trial)
    assert labeling.widget.get_attribute("data-labeled") == "0"
    assert labeling.widget.locator("b, img").count() == 0, "text of a model became HTML"

    labeling.focus()
    cell, expected, seconds = labeling.active_cell(), [], []
    for place, key in enumerate(KEYS[:20]):
        sides = {
            side: labeling.widget.locator(f'[data-choose="{side}"] .text').inner_text() for side in ("left", "right")
        }
        chosen = {"ArrowLeft": "left", "1": "left", "ArrowRight": "right", "2": "right"}.get(key)
        expected.append("tie" if chosen is None else "a" if sides[chosen].startswith("Yes") else "b")
        seconds.append(labeling.press(key))
        assert labeling.active_cell() == cell and labeling.page.locator(".jp-Cell").count() == 3
        if place == 11:  # a slip of the finger
            labeling.press("Backspace")
            assert labeling.widget.get_attribute("data-labeled") == "11"
            labeling.press(key)
    record_measurement(f"PreferenceLabeler, key to next pair, subshells {subshells}", seconds)
    labeling.wait_until_saved(20)
    text = labeling.widget.inner_text()
    assert "20 of 20" in text and "Done" in text and "% of the" in text
    assert [row["winner"] for row in labeling.rows("trial")] == expected

    labeling.restart()
    trial.run_all()
    again = Labeling(trial)
    assert again.widget.get_attribute("data-labeled") == "20"
    assert [row["winner"] for row in again.rows("trial")] == expected
    again.focus()
    again.press("u")
    again.wait_until_saved(19)
    assert [row["winner"] for row in again.rows("trial")] == expected[:19]


def test_the_lesson_learns_from_twenty_labels_of_a_person(lesson):
    feedback = lesson("08_human_feedback", watch=(LABELER,))
    feedback.run_source("from widgets.votes import Votes; Votes().clear()")
    feedback.run_until("labeler = PreferenceLabeler(")
    record_measurement("PreferenceLabeler in its lesson, cell to visible", [feedback.first_seen(LABELER)], unit="s")
    labeling = Labeling(feedback)
    labeling.focus()
    for place in range(20):
        labeling.press("1" if place % 5 else "0")
    labeling.wait_until_saved(20)
    votes = labeling.rows("lesson 08")
    feedback.run_all(seconds=500)
    assert feedback.run_source("print(mine, len(preferred))").split() == ["True", "16"]
    assert json.loads(feedback.run_source("import json; print(json.dumps(my_votes))")) == votes
    assert float(feedback.run_source("print(float((after - before).mean()))")) > 0.2


def test_votes_given_while_the_kernel_is_busy_and_then_restarted_are_not_lost(lesson):
    trial = lesson("trial", notebook=notebook(TRIAL), subshells=False)
    trial.run_source("from widgets.votes import Votes; Votes('trial').clear()")
    trial.run_all()
    labeling = Labeling(trial)
    labeling.page.evaluate(
        "() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute("
        "{ code: 'import time; time.sleep(60)' }).done.catch(() => null); }"
    )
    labeling.focus()
    for key in ("1", "2", "0"):
        labeling.press(key)
    labeling.widget.locator(".fbc-message", has_text="3 of your votes wait in this tab").wait_for()
    labeling.restart()
    trial.run_all()
    again = Labeling(trial)
    again.wait_until_saved(3)
    assert len(again.rows("trial")) == 3


def test_a_mouse_and_a_screen_reader_find_their_way(lesson):
    trial = lesson("trial", notebook=notebook(TRIAL))
    trial.run_source("from widgets.votes import Votes; Votes('trial').clear()")
    trial.run_all()
    labeling = Labeling(trial)
    left = labeling.widget.get_by_role("button", name="The left answer is better")
    trial.reaction(left.click, read=LABELED, event="click")
    labeling.press("2")  # after a click the keys work, too
    labeling.widget.get_by_role("button", name="No difference").press("Space")  # a button that is pressed by space
    labeling.page.wait_for_selector(f'{LABELER}[data-labeled="3"]')
    assert labeling.widget.get_by_role("progressbar").get_attribute("aria-valuenow") == "3"
    labeling.widget.get_by_role("button", name="Undo").click()
    labeling.wait_until_saved(2)
    assert len(labeling.rows("trial")) == 2
