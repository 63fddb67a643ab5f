"""A quiz keeps a guess, explains it, never blocks, and answers nonsense with a sentence."""

import pytest
import traitlets

from widgets import progress
from widgets.quiz import Quiz


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path))


def colours(**changes) -> Quiz:
    explain = {"red": "Red light is scattered least.", "blue": "Rayleigh."}
    given = {"answer": "blue", "explain": explain, "id": "04.q1"}
    return Quiz("Why is the sky ...?", ["red", "blue"], **(given | changes))


def test_unanswered_is_fine():
    quiz = colours()
    assert quiz.guess is None and quiz.outcome == "not attempted" and progress.mine().summary() == {}
    assert quiz.reveal("blue") == 'Measured: "blue". You made no prediction.'


@pytest.mark.parametrize("place, guess, outcome", [(0, "red", "incorrect"), (1, "blue", "correct")])
def test_a_guess_is_readable_judged_and_kept(place, guess, outcome):
    quiz = colours()
    quiz.given = place  # what the page sends
    assert (quiz.guess, quiz.outcome) == (guess, outcome)
    assert progress.mine().outcome("04.q1") == outcome
    again = colours()
    assert again.guess == guess and repr(again) == repr(colours(id="04.q1")) == "Quiz('04.q1')"


def test_explanations_stand_beside_their_choices():
    assert colours().explanations == ["Red light is scattered least.", "Rayleigh."]
    assert colours(explain={1: "by place"}).explanations == ["", "by place"]


def test_a_kept_guess_that_is_no_choice_any_more_is_forgotten():
    colours().given = 0
    assert Quiz("Why?", ["green", "blue"], "blue", id="04.q1").guess is None
    assert Quiz.number("How many?", 0, 1, id="04.q1").guess is None


def test_without_an_id_nothing_is_kept():
    quiz = colours(id="")
    quiz.given = 1
    assert quiz.guess == "blue" and progress.mine().summary() == {}


def test_wrong_definitions_say_so():
    with pytest.raises(ValueError, match="'green' is not one of the choices: 'red', 'blue'"):
        colours(answer="green")
    with pytest.raises(ValueError, match="'violet' is not one"):
        colours(explain={"violet": "?"})
    with pytest.raises(ValueError, match="low=3 must be below high=3"):
        Quiz.number("How many?", 3, 3)


@pytest.mark.parametrize("nonsense", [2, -1, "blue", True, [0]])
def test_a_guess_that_is_no_choice_is_refused_and_the_quiz_lives_on(nonsense):
    quiz = colours()
    with pytest.raises(traitlets.TraitError, match="is not between 0 and 1"):
        quiz.given = nonsense
    quiz.given = 0
    assert quiz.guess == "red"


def test_a_number_is_guessed_revealed_and_judged():
    quiz = Quiz.number("How many of 100?", 0, 100, unit="%", id="09.q2")
    assert quiz.guess is None
    quiz.given = 40
    assert quiz.guess == 40.0 and quiz.outcome == progress.mine().outcome("09.q2") == "answered"
    assert quiz.reveal(31.25) == "You predicted 40 %; measured: 31 %."
    assert quiz.outcome == "correct" and quiz.right == 31.25  # within a tenth of the range
    quiz.reveal(60)
    assert quiz.outcome == "incorrect"
    with pytest.raises(traitlets.TraitError, match="101 is not between 0 and 100"):
        quiz.given = 101
    assert Quiz.number("How many of 100?", 0, 100, unit="%", id="09.q2").guess == 40.0


@pytest.mark.parametrize(
    "low, high, step, decimals", [(0, 100, 1, 0), (0, 1, 0.01, 2), (0, 5, 0.05, 2), (1, 30, 0.5, 1)]
)
def test_the_sliders_step_is_a_round_number(low, high, step, decimals):
    scale = Quiz.number("How much?", low, high).scale
    assert scale["step"] == pytest.approx(step) and scale["decimals"] == decimals


def test_a_page_without_widgets_shows_the_question_and_the_choices():
    data, _ = colours()._repr_mimebundle_()
    assert data["text/markdown"] == "**Predict**\n\nWhy is the sky ...?\n\n- red\n- blue"
