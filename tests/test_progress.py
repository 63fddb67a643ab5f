"""A learner's progress survives kernels, damage and read-only disks; else a sentence says what is lost."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from widgets import progress
from widgets.progress import Progress


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "learner" / "progress.sqlite3"


def test_what_one_kernel_records_the_next_one_reads(path):
    Progress(path).record("04.causal_mask", "incorrect")
    Progress(path).record("04.q1", "answered", answer={"guess": "left", "share": 0.5})
    later = Progress(path)
    assert later.summary() == {"04.causal_mask": "incorrect", "04.q1": "answered"}
    assert later.answer("04.q1") == {"guess": "left", "share": 0.5}
    assert later.outcome("05.mask_tokens") is None and later.answer("05.mask_tokens") is None
    assert later.message == ""


def test_what_was_solved_once_stays_solved_and_the_last_answer_counts(path):
    kept = Progress(path)
    for outcome, answer in (("incorrect", 1), ("correct", 2), ("incorrect", 3)):
        kept.record("04.q1", outcome, answer)
    assert kept.outcome("04.q1") == "correct" and kept.answer("04.q1") == 3


def test_forget_one_lesson_or_everything(path):
    kept = Progress(path)
    for id in ("04.a", "05.a", "09.a"):
        kept.record(id, "correct")
    kept.forget("05")
    assert list(kept.summary()) == ["04.a", "09.a"]
    kept.forget()
    assert kept.summary() == {}


def test_text_is_data_never_sql(path):
    kept = Progress(path)
    kept.record("'; DROP TABLE progress; --", "correct", answer="<b>\u2603'\"")
    assert kept.answer("'; DROP TABLE progress; --") == "<b>\u2603'\""


def test_two_kernels_write_at_once(path):
    program = (
        "import sys; from widgets.progress import Progress\n"
        "kept = Progress(sys.argv[1])\n"
        "for i in range(25): kept.record(f'{sys.argv[2]}.{i}', 'correct')\n"
        "assert kept.message == '', kept.message"
    )
    root = Path(progress.__file__).parents[1]
    kernels = [subprocess.Popen([sys.executable, "-c", program, str(path), name], cwd=root) for name in "ab"]
    assert [kernel.wait(timeout=60) for kernel in kernels] == [0, 0]
    assert len(Progress(path).summary()) == 50


def test_threads_of_one_kernel_share_it(path):
    kept = Progress(path)
    threads = [threading.Thread(target=kept.record, args=(f"04.{i}", "correct")) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept.summary()) == 12 and kept.message == ""


@pytest.mark.parametrize("damage", ["text", "torn"])
def test_a_damaged_file_is_moved_aside_with_a_sentence(path, damage):
    Progress(path).record("04.a", "correct")
    if damage == "text":
        path.write_text("this is no database, whatever it was before " * 40)
    else:  # the header is whole, the pages behind it are not
        path.write_bytes(path.read_bytes()[:200] + b"\xff" * 8000)
    kept = Progress(path)
    kept.record("05.a", "correct")
    assert kept.summary() == {"05.a": "correct"} and Progress(path).summary() == {"05.a": "correct"}
    aside = list(path.parent.glob("progress.damaged-*.sqlite3"))
    assert len(aside) == 1 and "damaged" in kept.message and str(aside[0]) in kept.message


@pytest.mark.parametrize(
    ("outcome", "error"), [(None, sqlite3.IntegrityError), ({"correct"}, sqlite3.ProgrammingError)]
)
def test_a_wrong_value_is_an_error_and_the_good_file_stays(path, outcome, error):
    kept = Progress(path)
    kept.record("01.a", "correct")
    with pytest.raises(error):
        kept.record("01.b", outcome)
    assert kept.summary() == Progress(path).summary() == {"01.a": "correct"}
    assert kept.message == "" and not list(path.parent.glob("*damaged*"))


def test_the_new_file_of_another_kernel_is_not_moved_aside(path):
    kept = Progress(path)
    kept.record("04.a", "correct")
    kept._move_aside(number=-1)  # we saw damage in a file that is gone by now
    assert Progress(path).summary() == {"04.a": "correct"} and not list(path.parent.glob("*damaged*"))


def test_a_home_that_cannot_be_made_is_replaced_by_memory_with_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    kept = Progress(tmp_path / "file" / "progress.sqlite3")
    kept.record("04.a", "correct", answer=3)
    assert kept.summary() == {"04.a": "correct"} and kept.answer("04.a") == 3
    assert "cannot be saved" in kept.message and "BLANK_TO_CHAT_HOME" in kept.message


def test_a_read_only_file_keeps_showing_what_was_solved():
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: another user must be able to look into it
        path = Path(folder) / "progress.sqlite3"
        Progress(path).record("04.a", "correct", answer="kept")
        path.chmod(stat.S_IREAD | stat.S_IRGRP | stat.S_IROTH)
        Path(folder).chmod(0o555)
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if is_root:  # root may write everywhere, nobody may not
            os.seteuid(65534)
        try:
            kept = Progress(path)
            kept.record("04.b", "correct")
            assert kept.summary() == {"04.a": "correct", "04.b": "correct"} and kept.answer("04.a") == "kept"
            assert "cannot be saved" in kept.message
        finally:
            if is_root:
                os.seteuid(0)
            Path(folder).chmod(0o755)
            path.chmod(0o644)
        assert Progress(path).summary() == {"04.a": "correct"}


def test_a_file_that_another_program_locks_does_not_stop_the_lesson(path):
    Progress(path).record("04.a", "correct")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        kept = Progress(path)
        kept.record("04.b", "correct")
        assert kept.outcome("04.b") == "correct" and "locked" in kept.message
        other.execute("ROLLBACK")


def test_home_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path / "one"))
    progress.mine().record("04.a", "correct")
    assert (tmp_path / "one" / "progress.sqlite3").exists() and progress.mine() is progress.mine()
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path / "two"))
    assert progress.mine().summary() == {}
    monkeypatch.delenv("BLANK_TO_CHAT_HOME")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    assert progress.home() == tmp_path / "jupyter" / "blank-to-chat"
