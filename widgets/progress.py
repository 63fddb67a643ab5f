"""What a learner has done, kept in one small file of their own and never in a notebook.

The file is `progress.sqlite3` in `$BLANK_TO_CHAT_HOME`, or else in Jupyter's data directory. SQLite lets two
kernels write at once. Where nothing can be kept on disk all goes on in memory, and `message` says so.
"""

import json
import os
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

TABLE = """CREATE TABLE IF NOT EXISTS progress
    (id TEXT PRIMARY KEY, outcome TEXT NOT NULL, answer TEXT, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
# What was solved once stays solved: running a cell again with half-finished code takes nothing away.
RECORD = """INSERT INTO progress (id, outcome, answer) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    outcome = CASE progress.outcome WHEN 'correct' THEN 'correct' ELSE excluded.outcome END,
    answer = excluded.answer, at = excluded.at"""


def home() -> Path:
    """The learner's own directory: `$BLANK_TO_CHAT_HOME`, or `blank-to-chat` in Jupyter's data directory."""
    from jupyter_core.paths import jupyter_data_dir

    chosen = os.environ.get("BLANK_TO_CHAT_HOME")
    return Path(chosen).expanduser() if chosen else Path(jupyter_data_dir()) / "blank-to-chat"


class Progress:
    """Outcomes by the id of an exercise or quiz ("04.causal_mask"), with the answer where one was given.

    Never raises because of the file: a damaged one is moved aside, one that cannot be written is replaced by
    memory, and `message` (else "") tells the learner in a sentence.
    """

    def __init__(self, path: str | Path | None = None):
        self.path = Path(path) if path else home() / "progress.sqlite3"
        self.message = ""
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def record(self, id: str, outcome: str, answer: Any = None) -> None:
        """Keep an outcome and an answer (anything JSON can hold). An outcome "correct" is never replaced."""
        self._rows(RECORD, id, outcome, None if answer is None else json.dumps(answer))

    def outcome(self, id: str) -> str | None:
        """The recorded outcome, or None."""
        return self.summary().get(id)

    def answer(self, id: str) -> Any:
        """The last recorded answer, or None."""
        for (answer,) in self._rows("SELECT answer FROM progress WHERE id = ? AND answer NOT NULL", id):
            return json.loads(answer)

    def summary(self) -> dict[str, str]:
        """Every recorded outcome by id, ordered by id."""
        return dict(self._rows("SELECT id, outcome FROM progress ORDER BY id"))

    def forget(self, lesson: str = "") -> None:
        """Begin again: remove what is recorded of one lesson ("04"), or all of it."""
        self._rows("DELETE FROM progress WHERE substr(id, 1, ?) = ?", len(lesson), lesson)

    def __repr__(self) -> str:
        return "Progress()"

    def _rows(self, sql: str, *values: Any) -> list[tuple]:
        with self._lock:
            for _attempt in range(2):  # the second one finds a new file where the damaged one was
                if self._memory is not None:
                    break
                before = self._file_number()
                try:
                    return self._rows_on_disk(sql, values)
                except (sqlite3.OperationalError, OSError) as error:
                    self._keep_in_memory(error)
                except sqlite3.DatabaseError:
                    self._move_aside(before)
            if self._memory is None:
                self._keep_in_memory("it is damaged, and so is the file that replaced it")
            return self._memory.execute(sql, values).fetchall()

    def _rows_on_disk(self, sql: str, values: tuple) -> list[tuple]:
        # A connection of its own for every action: no thread owns it, and none stays open when a kernel dies.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=2)) as database, database:
            database.execute(TABLE)
            return database.execute(sql, values).fetchall()

    def _file_number(self) -> int | None:
        return self.path.stat().st_ino if self.path.exists() else None

    def _move_aside(self, number: int | None) -> None:
        # Another kernel may have moved it already: a file with another number is a new and good one.
        try:
            if self._file_number() != number:
                return
            aside = self.path.with_name(f"progress.damaged-{datetime.now():%Y-%m-%d-%H%M%S}.sqlite3")
            os.replace(self.path, aside)
            Path(f"{self.path}-journal").unlink(missing_ok=True)  # it belongs to the damaged file
        except OSError as error:
            self._keep_in_memory(error)
        else:
            self.message = f"The file with your progress was damaged. It is now {aside}; a new one has begun."

    def _keep_in_memory(self, reason: Exception | str) -> None:
        self._memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._memory.execute(TABLE)
        read_only = f"{self.path.absolute().as_uri()}?mode=ro"
        try:  # what can still be read stays visible
            with closing(sqlite3.connect(read_only, uri=True, timeout=0)) as kept:
                rows = kept.execute("SELECT id, outcome, answer FROM progress").fetchall()
            self._memory.executemany(RECORD, rows)
        except (sqlite3.Error, OSError):
            pass
        self.message = (
            f"Your progress cannot be saved in {self.path.parent} ({reason}). It is kept until this kernel "
            "stops; set BLANK_TO_CHAT_HOME to a directory that you may write to, and restart the kernel."
        )


@cache
def _at(path: Path) -> Progress:
    return Progress(path)


def mine() -> Progress:
    """The progress of whoever runs this kernel, one object for all its exercises and quizzes."""
    return _at(home() / "progress.sqlite3")
