"""Whatever a learner's code does, an exercise answers with a sentence, and the kernel lives on."""

import linecache
import threading
import time

import pytest
import torch

from widgets import progress
from widgets.examine import OUTCOMES, examine
from widgets.exercise import Exercise, Misconception


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path))


def my_double(numbers):
    """A list with every number doubled."""
    return [2 * number for number in numbers]


def check_double(learner):
    answer = learner([1, 2])
    if answer == [1, 2, 1, 2]:
        raise Misconception("`numbers * 2` repeats a list; it does not double its numbers.")
    if answer != [2, 4]:
        raise Misconception(f"For `[1, 2]` you returned `{answer}`.")
    return "Doubled, every one."


def exercise(check=check_double, seconds=10.0, **changes) -> Exercise:
    question, hints = "Double **all** numbers.", ["First.", "Second."]
    return Exercise("04.double", question, check, hints, my_double, seconds=seconds, **changes)


def test_a_right_answer():
    task = exercise().check(my_double)
    assert (task.outcome, task.message) == ("correct", "Doubled, every one.")


def test_a_misconception_is_named():
    task = exercise().check(lambda numbers: numbers * 2)
    assert task.outcome == "incorrect" and "repeats a list" in task.message


def untouched(numbers):
    """A list with every number doubled."""
    ...


def untouched_return(numbers):
    doubled = ...
    return doubled


def untouched_pair(numbers):
    return ..., ...


def untouched_pass(numbers):
    pass


def untouched_raise(numbers):
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer", [None, ..., untouched, untouched_return, untouched_pair, untouched_pass, untouched_raise]
)
def test_untouched_starter_code_is_not_an_attempt_and_is_not_recorded(answer):
    task = exercise().check(answer)
    assert task.outcome == "not attempted" and "..." in task.message
    assert progress.mine().summary() == {}


def test_the_starter_is_the_solution_without_its_body():
    starter = exercise().starter
    assert starter.splitlines()[:3] == [
        "def my_double(numbers):",
        '    """A list with every number doubled."""',
        "    ...",
    ]
    task = exercise()
    exec(starter, {"double": task})  # the check in its last line runs
    assert task.verdict["checks"] == 1 and task.outcome == "not attempted"
    assert exercise(starter="x = ...").starter == "x = ..."


def test_an_error_shows_its_type_its_text_and_the_learners_own_line():
    def learner(numbers):
        total = sum(numbers)
        return total.to_list()

    task = exercise().check(learner)
    assert task.outcome == "raised" and "AttributeError" in task.message and "to_list" in task.message
    assert task.verdict["line"].endswith("return total.to_list()")


@pytest.mark.parametrize(
    "learner, advice",
    [
        (lambda numbers: unheard_of(numbers), "makes or imports it been run?"),  # noqa: F821
        (lambda numbers: {}[sum(numbers), "x"], "asks without an error."),
        (lambda numbers: [numbers[place] for place in range(99)], "while a loop goes through it?"),
        (lambda numbers: b"\xc3".decode(), "is a half missing?"),
        (lambda numbers: torch.ones(2)[5], "out of bounds for dimension 0 with size 2"),  # torch has said it all
    ],
)
def test_the_first_errors_of_a_beginner_come_with_advice(learner, advice):
    task = exercise().check(learner)
    assert task.outcome == "raised" and task.message.endswith(advice), task.message


def test_a_function_that_calls_itself_for_ever_is_told_so():
    def learner(numbers):
        return learner(numbers)

    assert "in which case should it stop?" in exercise().check(learner).message


def test_an_error_deep_in_a_library_shows_the_line_that_called_it():
    def learner(numbers):
        return torch.ones(2, 3) @ torch.ones(2, 3)

    task = exercise().check(learner)
    assert task.outcome == "raised" and "cannot be multiplied" in task.message
    assert "torch.ones(2, 3) @" in task.verdict["line"]


def test_code_of_notebook_cells_shows_its_line_too_also_that_of_a_function_in_another_cell():
    names = {}
    for number, source in enumerate(["def fifth(x):\n    return x[5]\n", "def learner(x):\n    return fifth(x)\n"]):
        cell = f"/tmp/ipykernel_1/{number}.py"  # as ipykernel does it: no such file, but linecache knows the text
        linecache.cache[cell] = (len(source), None, source.splitlines(True), cell)
        exec(compile(source, cell, "exec"), names)
    assert exercise().check(names["fifth"]).verdict["line"] == "line 2: return x[5]"
    assert exercise().check(names["learner"]).verdict["line"] == "line 2: return x[5]"


def test_sys_exit_does_not_end_the_kernel():
    assert "SystemExit" in exercise().check(lambda numbers: exit()).message


def test_a_wrong_signature_is_told():
    assert "positional argument" in exercise().check(lambda: []).message


def test_a_result_instead_of_a_function_is_told():
    task = exercise().check(my_double([1, 2]))
    assert task.outcome == "incorrect" and "without brackets" in task.message


def test_a_missing_return_is_told():
    def learner(numbers):
        print(my_double(numbers))

    task = exercise().check(learner)
    assert task.outcome == "incorrect" and "`return` missing" in task.message
    assert task.verdict["printed"] == "[2, 4]\n"


def test_what_is_printed_is_kept_short_and_off_the_cell(capsys):
    def learner(numbers):
        for i in range(5000):
            print("line", i)
        return my_double(numbers)

    task = exercise().check(learner)
    assert task.outcome == "correct" and task.verdict["printed"].startswith("line 0\nline 1\n")
    assert len(task.verdict["printed"]) <= 2004 and capsys.readouterr().out == ""


@pytest.mark.parametrize("inputs", [[1, 2], torch.tensor([1.0, float("nan")])])
def test_changed_inputs_are_told(inputs):
    def learner(numbers):
        numbers[0] = 7
        return numbers

    verdict = examine(lambda function: function(inputs) and None, learner)
    assert verdict.outcome == "incorrect" and "changed its input `numbers` in place" in verdict.message


def test_inputs_left_alone_are_no_accusation():
    inputs = [torch.tensor([1.0, float("nan"), -float("inf")]), [torch.ones(2)], {"a": torch.ones(2)}]
    for value in inputs:
        verdict = examine(lambda function, value=value: function(value) and None, lambda x: "fine")
        assert verdict.outcome == "correct"


def test_an_endless_loop_is_stopped_with_a_sentence_and_its_line():
    def learner(numbers):
        while True:
            numbers = numbers[:]

    start = time.monotonic()
    task = exercise(seconds=0.2).check(learner)
    assert time.monotonic() - start < 3
    assert task.outcome == "raised" and "not finished after 0.2 seconds" in task.message
    assert "numbers" in task.verdict["line"] or "while" in task.verdict["line"]


def test_an_endless_loop_that_catches_everything_is_stopped_too():
    def learner(numbers):
        while True:
            try:
                numbers = numbers[:]
            except Exception:
                pass

    assert "not finished" in exercise(seconds=0.1).check(learner).message


def test_the_deadline_works_in_another_thread_and_nothing_strikes_afterwards():
    def learner(numbers):
        while True:
            pass

    found = []

    def work():
        found.append(exercise(seconds=0.1).check(learner).outcome)
        found.append(exercise(seconds=0.1).check(my_double).outcome)
        until = time.monotonic() + 1.3  # longer than the deadline, and than the second strike would need
        while time.monotonic() < until:
            pass
        found.append("alive")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["raised", "correct", "alive"]


def test_answers_just_before_the_deadline_never_hurt_the_caller():
    def learner(numbers):
        until = time.perf_counter() + 0.01
        while time.perf_counter() < until:
            pass
        return my_double(numbers)

    for _ in range(60):  # it ends about when the deadline strikes: either outcome is fine, an escape is not
        assert exercise(seconds=0.01).check(learner).outcome in ("raised", "correct")


def test_an_answer_of_a_strange_type_gets_a_sentence():
    def check(learner):
        return f"{learner([1]) + 1}"

    task = exercise(check).check(lambda numbers: "text")
    assert task.outcome == "incorrect" and "TypeError" in task.message


def test_hints_come_one_at_a_time_and_the_solution_when_asked_for():
    task = exercise()
    assert "First." not in repr(task)
    assert "Hint 1: First." in repr(task.hint()) and "Second." not in repr(task)
    assert "Hint 2: Second." in repr(task.hint()) and repr(task.hint()) == repr(task)
    assert "return [2 *" not in repr(task)
    assert "return [2 * number for number in numbers]" in repr(task.solution())


def test_repr_says_the_same_whatever_was_solved_yesterday():
    assert repr(exercise()) == "Exercise 04.double: not attempted"
    exercise().check(my_double)
    again = exercise()
    assert again.solved_before and repr(again) == "Exercise 04.double: not attempted"
    assert repr(again.check(my_double)) == "Exercise 04.double: correct\nDoubled, every one."


def test_the_record_keeps_what_was_solved():
    exercise().check(lambda numbers: numbers)
    assert progress.mine().outcome("04.double") == "incorrect"
    exercise().check(my_double).check(lambda numbers: numbers)
    assert progress.mine().outcome("04.double") == "correct"


def test_a_page_without_widgets_shows_the_question():
    task = exercise()
    data, _ = task._repr_mimebundle_()
    assert "Double **all** numbers." in data["text/markdown"] and data["text/plain"] == repr(task)
    assert "text/markdown" not in task.check(None)._repr_mimebundle_()[0]  # once is enough


def test_progress_that_cannot_be_saved_is_said_in_the_widget(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path / "file"))
    task = exercise().check(my_double)
    assert task.outcome == "correct" and "cannot be saved" in task.note


def test_outcomes_are_the_four_that_the_script_knows():
    script = Exercise._esm
    assert all(outcome in script for outcome in OUTCOMES)
