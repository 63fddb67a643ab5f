"""A learner's votes survive kernels, damage and read-only disks, and only what is taken back is gone."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lmcore.data import preferences
from widgets import votes as module
from widgets.votes import Votes

PAGE = {"prompt": "Hi!", "completion_a": "Hello.", "completion_b": "Go away."}


def vote(number: int = 0, winner: str = "a", **more) -> dict:
    return PAGE | {"prompt": f"Hi, number {number}!", "winner": winner, "labeler": "you", "left": "b"} | more


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "learner" / "votes.sqlite3"


def test_what_one_kernel_adds_the_next_one_reads_in_order(path):
    kept = [vote(2), vote(0, "tie"), vote(1, "b")]
    for row in kept:
        Votes("lesson 08", path).add(row)
    later = Votes("lesson 08", path)
    assert later.rows() == kept and later.message == ""
    assert Votes("lesson 11", path).rows() == []
    assert preferences.votes(later.rows())[1]["winner"] == "tie"
    assert [pair["chosen"] for pair in preferences.pairs(later.rows())] == ["Hello.", "Go away."]


def test_undo_takes_back_the_last_or_the_one_that_is_meant(path):
    kept = Votes(path=path)
    other = Votes("another session", path)
    for number in range(3):
        kept.add(vote(number))
    other.add(vote(9))
    kept.undo()
    assert [row["prompt"] for row in kept.rows()] == ["Hi, number 0!", "Hi, number 1!"]
    kept.undo(vote(0, "b"))
    assert [row["prompt"] for row in kept.rows()] == ["Hi, number 1!"]
    kept.undo()
    kept.undo()
    assert kept.rows() == [] and len(other.rows()) == 1


def test_a_second_vote_on_the_same_comparison_replaces_the_first(path):
    kept = Votes(path=path)
    for row in (vote(0, "a"), vote(1, "a"), vote(0, "b"), vote(0, "a", labeler="somebody else")):
        kept.add(row)
    found = [(row["prompt"][-2], row["winner"], row["labeler"]) for row in kept.rows()]
    assert found == [("1", "a", "you"), ("0", "b", "you"), ("0", "a", "somebody else")]


def test_clear_forgets_one_session(path):
    one, other = Votes("one", path), Votes("other", path)
    one.add(vote())
    other.add(vote())
    one.clear()
    assert one.rows() == [] and len(other.rows()) == 1


@pytest.mark.parametrize(
    "row, named",
    [
        ({"winner": "a"}, "prompt"),
        (vote(winner="left"), "'left'"),
        (vote(prompt=3), "prompt"),
        (vote(winner=None), "winner"),
    ],
)
def test_a_row_that_is_no_vote_is_refused_with_a_sentence(path, row, named):
    with pytest.raises(ValueError, match=named):
        Votes(path=path).add(row)
    assert Votes(path=path).rows() == []


def test_text_is_data_never_sql(path):
    row = vote(prompt="'; DROP TABLE votes; --", completion_a="<b>\u2603'\"\n", completion_b="")
    Votes(path=path).add(row)
    assert Votes(path=path).rows() == [row]
    Votes(path=path).add(vote(completion_a="half a parrot \ud83e"))  # half an emoji, as browsers may send it
    assert Votes(path=path).rows()[1]["completion_a"] == "half a parrot \ufffd"


def test_two_kernels_write_at_once(path):
    program = (
        "import sys; from widgets.votes import Votes\n"
        "kept = Votes('lesson 08', sys.argv[1])\n"
        "for i in range(25): kept.add({'prompt': f'{sys.argv[2]} {i}', 'completion_a': 'a', 'completion_b': 'b',"
        " 'winner': 'a'})\n"
        "assert kept.message == '', kept.message"
    )
    root = Path(module.__file__).parents[1]
    kernels = [subprocess.Popen([sys.executable, "-c", program, str(path), name], cwd=root) for name in "ab"]
    assert [kernel.wait(timeout=60) for kernel in kernels] == [0, 0]
    assert len(Votes(path=path).rows()) == 50


@pytest.mark.parametrize("damage", ["text", "torn"])
def test_a_damaged_file_is_moved_aside_with_a_sentence(path, damage):
    Votes(path=path).add(vote(0))
    if damage == "text":
        path.write_text("this is no database, whatever it was before " * 40)
    else:  # the header is whole, the pages behind it are not
        path.write_bytes(path.read_bytes()[:200] + b"\xff" * 12000)
    kept = Votes(path=path)
    kept.add(vote(1))
    assert kept.rows() == [vote(1)] and Votes(path=path).rows() == [vote(1)]
    aside = list(path.parent.glob("votes.damaged-*.sqlite3"))
    assert len(aside) == 1 and "damaged" in kept.message and str(aside[0]) in kept.message


def test_the_new_file_of_another_kernel_is_not_moved_aside(path):
    kept = Votes(path=path)
    kept.add(vote())
    kept._move_aside(number=-1)  # we saw damage in a file that is gone by now
    assert Votes(path=path).rows() == [vote()] and not list(path.parent.glob("*damaged*"))


def test_a_home_that_cannot_be_made_is_replaced_by_memory_with_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    kept = Votes(path=tmp_path / "file" / "votes.sqlite3")
    kept.add(vote(0))
    kept.add(vote(1))
    kept.undo()
    assert kept.rows() == [vote(0)]
    assert "cannot be saved" in kept.message and "BLANK_TO_CHAT_HOME" in kept.message


def test_a_read_only_file_keeps_showing_what_was_labeled():
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: another user must be able to look into it
        path = Path(folder) / "votes.sqlite3"
        Votes(path=path).add(vote(0))
        path.chmod(stat.S_IREAD | stat.S_IRGRP | stat.S_IROTH)
        Path(folder).chmod(0o555)
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if is_root:  # root may write everywhere, nobody may not
            os.seteuid(65534)
        try:
            kept = Votes(path=path)
            kept.add(vote(1))
            assert kept.rows() == [vote(0), vote(1)] and "cannot be saved" in kept.message
        finally:
            if is_root:
                os.seteuid(0)
            Path(folder).chmod(0o755)
            path.chmod(0o644)
        assert Votes(path=path).rows() == [vote(0)]


def test_a_file_that_another_program_locks_does_not_stop_the_lesson(path):
    Votes(path=path).add(vote(0))
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        kept = Votes(path=path)
        kept.add(vote(1))
        assert vote(1) in kept.rows() and "locked" in kept.message
        other.execute("ROLLBACK")


def test_home_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path / "mine"))
    Votes().add(vote())
    assert (tmp_path / "mine" / "votes.sqlite3").exists() and Votes().rows() == [vote()]
    assert repr(Votes()) == "Votes('lesson 08')"
