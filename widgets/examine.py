"""Running the code of someone who is learning: whatever it does, the outcome is a verdict in plain words.

It may raise, loop for ever, print, return nothing, or change its inputs; no check needs to think of that.
"""

import copy
import ctypes
import dis
import inspect
import linecache
import os
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

OUTCOMES = ("not attempted", "incorrect", "raised", "correct")
# What is usually behind the errors that a beginner meets first.
ADVICE = {
    NameError: "Has the cell that makes or imports it been run?",
    KeyError: "The dictionary has no such key; `.get(key, 0)` asks without an error.",
    IndexError: "There are not so many things in it. Does it become shorter while a loop goes through it?",
    RecursionError: "The function calls itself without an end: in which case should it stop?",
    UnicodeDecodeError: "Bytes that are no whole character cannot be read. Was it cut in two, or is a half missing?",
}


class Misconception(Exception):
    """Raised by a check: one sentence to the learner that names what their answer shows they believe."""


@dataclass(frozen=True)
class Verdict:
    """What became of an answer: one of `OUTCOMES`, a sentence, and the learner's own line and output."""

    outcome: str
    message: str
    line: str = ""
    printed: str = ""


def examine(check: Callable[[Any], str | None], answer: Any, seconds: float = 10.0) -> Verdict:
    """Run `check(answer)`, for so many seconds at most, and say what became of it; a mistake never raises.

    A function in `answer` reaches the check wrapped: None or `...` from untouched starter code and
    NotImplementedError count as not attempted; changed inputs and a missing `return` are told.
    """
    not_attempted = Verdict("not attempted", "Write your code where the `...` is, then run the cell again.")
    if _is_blank(answer):
        return not_attempted
    printed, deadline, line = _FirstLines(), _Deadline(seconds), ""
    try:
        with redirect_stdout(printed), deadline:
            praise = check(_Watched(answer) if callable(answer) else answer)
        outcome, message = "correct", praise or "Correct."
    except _Blank:
        return not_attempted
    except Misconception as misconception:
        outcome, message = "incorrect", str(misconception)
    except _Raised as raised:
        error = raised.__cause__
        text = " ".join(str(error).split())[:400]
        outcome, line = "raised", _their_line(error, answer)
        message = f"Your code raised `{type(error).__name__}`" + (f": {text}" if text else ".")
        if advice := _advice(error):
            message = f"{message.rstrip('.')}. {advice}"
    except _TimeIsUp as stop:
        deadline.over()
        outcome, line = "raised", _their_line(stop, answer)
        message = f"Your code had not finished after {seconds:g} seconds. Is there a loop that never ends?"
    except Exception as error:  # the check stumbled over an answer that it did not foresee
        outcome, kind = "incorrect", type(error).__name__
        message = f"The check cannot read this answer (`{kind}`: {error}). Compare it with the question."
    return Verdict(outcome, message, line, printed.getvalue())


class _Blank(Exception):
    """The starter code has not been touched."""


class _Raised(Exception):
    """The learner's code raised `__cause__`."""


class _TimeIsUp(BaseException):
    """Not an Exception, so that a learner's `except Exception` does not catch it."""


class _Watched:
    """A learner's function, called as it would be, with an eye on what it returns and does to its inputs."""

    def __init__(self, function: Callable):
        self._function = function
        self.__name__ = getattr(function, "__name__", "your function")

    def __call__(self, *given: Any, **named: Any) -> Any:
        inputs = self._inputs(given, named)
        before = {name: copy.deepcopy(value) for name, value in inputs.items() if _is_data(value)}
        try:
            result = self._function(*given, **named)
        except Misconception:  # of something that the check handed to it
            raise
        except NotImplementedError as error:
            raise _Blank from error
        except (Exception, SystemExit) as error:
            raise _Raised from error
        if result is None and _does_something(self._function):
            raise Misconception("Your function returned `None`. Is a `return` missing? Printing is not it.")
        if _is_blank(result):
            raise _Blank
        for name, value in before.items():
            if not _same(inputs[name], value):
                copied = f"{name}.clone()" if hasattr(value, "clone") else f"{name}.copy()"
                raise Misconception(
                    f"Your function changed its input `{name}` in place, and its caller still needs the old "
                    f"one. Begin with a copy: `{name} = {copied}`."
                )
        return result

    def _inputs(self, given: tuple, named: dict) -> dict[str, Any]:
        try:
            return dict(inspect.signature(self._function).bind(*given, **named).arguments)
        except (TypeError, ValueError):  # a wrong signature raises by itself when it is called
            return {}


class _Deadline:
    """Raises _TimeIsUp inside this block's thread when it takes too long.

    A signal would need the main thread and does not exist on Windows. An exception set from another thread
    reaches Python code anywhere, at its next instruction; a single long call into C is waited for.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._over = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self):
        self._thread = ctypes.c_ulong(threading.get_ident())
        threading.Thread(target=self._watch, name="exercise deadline", daemon=True).start()

    def __exit__(self, *_):
        self.over()

    def over(self) -> None:
        """No strike after this. It may be struck on its own way in: who catches _TimeIsUp calls it again."""
        with self._lock:
            self._over.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, None)  # takes a pending strike back

    def _watch(self) -> None:
        wait = self._seconds
        while not self._over.wait(wait):
            with self._lock:
                if not self._over.is_set():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread, ctypes.py_object(_TimeIsUp))
            wait = 1  # and again, if a bare `except:` swallowed it


class _FirstLines(StringIO):
    """Keeps the first 2,000 characters that are printed: a check may call a chatty function many times."""

    ROOM = 2000

    def write(self, text: str) -> int:
        room = self.ROOM - self.tell()
        if room > 0:
            super().write(text[:room] + ("\n..." if len(text) > room else ""))
        return len(text)


def _is_blank(answer: Any) -> bool:
    if isinstance(answer, (tuple, list)) and answer:
        return all(part is None or part is ... for part in answer)
    return answer is None or answer is ...


def _does_something(function: Callable) -> bool:
    """Whether there is more in a function than a docstring, `pass` or `...`."""
    code = getattr(function, "__code__", None)
    nothing = {"RESUME", "NOP", "LOAD_CONST", "POP_TOP", "RETURN_VALUE", "RETURN_CONST", "CACHE"}
    return code is not None and any(step.opname not in nothing for step in dis.get_instructions(code))


def _is_data(value: Any) -> bool:
    return isinstance(value, (list, dict, set)) or (hasattr(value, "shape") and hasattr(value, "dtype"))


def _same(now: Any, before: Any) -> bool:
    if isinstance(before, list):
        return len(now) == len(before) and all(map(_same, now, before))
    if isinstance(before, dict):
        return now.keys() == before.keys() and all(_same(now[key], before[key]) for key in before)
    if not hasattr(before, "shape"):
        return now == before
    return now.shape == before.shape and bool(((now == before) | (before != before)).all())  # nan is nan


def _advice(error: BaseException) -> str:
    if isinstance(error, IndexError) and "index out of range" not in str(error):  # torch's say more themselves
        return ""
    return ADVICE.get(type(error), "")


def _their_line(error: BaseException, answer: Any) -> str:
    """The deepest line of the learner's own code on the way to an error: 'line 3: scores = q @ k'."""
    code = getattr(answer, "__code__", None)
    found = ""
    step = error.__traceback__
    while step is not None:
        file, number = step.tb_frame.f_code.co_filename, step.tb_lineno
        # A notebook's cell is a file that does not exist; its text is known to linecache all the same.
        if (code and file == code.co_filename) or not os.path.exists(file):
            if text := linecache.getline(file, number).strip():
                found = f"line {number}: {text}"
        step = step.tb_next
    return found
