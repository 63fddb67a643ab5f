"""The learner's whole way through lessons 08, 09 and 11, from an empty directory, with restarts on it: twenty labels by
keyboard, a reward model from them, PPO on that, broken, rewound, kept, and talked to."""

import json

import pytest

from tests.browser.panels import Cockpit, Labeling

EMPTY = "import shutil; from widgets.progress import home; shutil.rmtree(home(), ignore_errors=True)"
WEIGHTS = "sum(p.double().abs().sum().item() for p in own.policy.parameters())"


def label_twenty(labeling: Labeling) -> None:
    """Always the shorter answer, by the arrow keys."""
    labeling.focus()
    for _ in range(20):
        left, right = (
            labeling.widget.locator(f'[data-choose="{side}"] .text').inner_text() for side in ("left", "right")
        )
        labeling.press("ArrowLeft" if len(left) <= len(right) else "ArrowRight")
    labeling.wait_until_saved(20)


def play_until(cockpit: Cockpit, step: int) -> None:
    cockpit.press("play")
    cockpit.wait_for_step(step)
    cockpit.press("pause")
    cockpit.wait_for("paused")


def test_twenty_labels_become_a_model_to_talk_to(lesson):
    feedback = lesson("08_human_feedback")
    feedback.run_source(EMPTY)
    feedback.run_until("labeler = PreferenceLabeler(")
    labeling = Labeling(feedback)
    label_twenty(labeling)
    votes = labeling.rows("lesson 08")
    labeling.restart()
    feedback.run_until("labeler = PreferenceLabeler(")
    assert Labeling(feedback).widget.get_attribute("data-labeled") == "20"
    lengths = [{side: len(vote[f"completion_{side}"]) for side in "ab"} for vote in votes]
    assert len(votes) == 20
    assert all(one[vote["winner"]] == min(one.values()) for one, vote in zip(lengths, votes, strict=True))

    rlhf = lesson("09_rlhf")
    rlhf.run_until("cockpit = RLHFCockpit(")
    for cell in ("twenty_votes(sft)", "own.run(8)", "own_cockpit = RLHFCockpit("):
        rlhf.run_cell(cell)
    assert "20 votes of yours" in rlhf.run_source("print(whose)")
    cockpit = Cockpit(rlhf, "Your taste as the reward", "own_cockpit")
    assert cockpit.kernel("[vote['prompt'] for vote in votes]") == [vote["prompt"] for vote in votes]
    good, start = cockpit.kernel(WEIGHTS), cockpit.step()
    cockpit.widget.locator('[data-recipe="Turn the leash off"]').click()
    play_until(cockpit, start + 6)
    straying = cockpit.kernel("[row['objective/kl'] for row in own_cockpit.history]")
    assert max(straying) > 2 * straying[0] and cockpit.kernel(WEIGHTS) != good
    cockpit.rewind(start)
    assert cockpit.kernel(WEIGHTS) == pytest.approx(good, rel=1e-12)
    cockpit.widget.locator('[data-recipe="Back to normal"]').click()
    play_until(cockpit, start + 2)
    rlhf.run_cell("keep(own)")
    rlhf.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")

    chatgpt = lesson("11_chatgpt")
    chatgpt.run_until("chat = ChatBox(")
    box = chatgpt.widget("ChatBox").first
    box.get_by_label("What you say").fill("Hello! How are you?")
    box.get_by_label("What you say").press("Enter")
    chatgpt.page.wait_for_selector('[data-widget="ChatBox"][data-state="done"][data-step="1"]')
    said = box.locator('[data-stage="your taste"] .answer').inner_text()
    assert said and said == json.loads(chatgpt.run_source("import json; print(json.dumps(chat.speakers[-1].said))"))
