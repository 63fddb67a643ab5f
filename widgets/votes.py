"""The learner's own votes, kept in one small file of theirs until they take them back.

The file is `votes.sqlite3` beside the learner's progress (see progress.py), so labels outlive the kernel and the
lesson: 08 writes them, later ones read `Votes().rows()`.
"""

import os
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from lmcore.data.preferences import WINNERS
from widgets.progress import home

COLUMNS = ("prompt", "completion_a", "completion_b", "winner", "labeler", "left")
TABLE = """CREATE TABLE IF NOT EXISTS votes (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL,
    prompt TEXT NOT NULL, completion_a TEXT NOT NULL, completion_b TEXT NOT NULL, winner TEXT NOT NULL,
    labeler TEXT NOT NULL, left TEXT NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (session, prompt, completion_a, completion_b, labeler))"""
ADD = f"INSERT OR REPLACE INTO votes (session, {', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)"
LAST = "SELECT max(id) FROM votes WHERE session = ?"
THIS = "session = ? AND prompt = ? AND completion_a = ? AND completion_b = ? AND labeler = ?"


class Votes:
    """Votes of one labeling session, in the order in which they were given.

    A row has the columns of `lmcore.data.preferences.votes`, and `left`: which answer, "a" or "b", stood on the left.
    Who votes again on the same comparison has changed their mind: the new vote counts.
    Never raises because of the file: a damaged one is moved aside, one that cannot be written is replaced by memory,
    and `message` (else "") tells the learner in a sentence.
    """

    def __init__(self, session: str = "lesson 08", path: str | Path | None = None):
        self.session = session
        self.path = Path(path) if path else home() / "votes.sqlite3"
        self.message = ""
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a vote. Raises: ValueError for a row with a column missing, or without a valid winner."""
        row = {"labeler": "you", "left": "a"} | dict(row)
        missing = [column for column in COLUMNS if not isinstance(row.get(column), str)]
        if missing:
            raise ValueError(f"a vote needs a text for {', '.join(missing)}; this one has {', '.join(row)}")
        if row["winner"] not in WINNERS:
            raise ValueError(f"a vote cannot be won by {row['winner']!r}; it can by {', '.join(WINNERS)}")
        self._do(ADD, self.session, *(row[column] for column in COLUMNS))

    def undo(self, row: Mapping[str, Any] | None = None) -> None:
        """Take back the last vote, or the one on the comparison of `row`; nothing happens if there is none."""
        if row is None:
            self._do(f"DELETE FROM votes WHERE id = ({LAST})", self.session)
        else:
            which = (row[column] for column in ("prompt", "completion_a", "completion_b", "labeler"))
            self._do(f"DELETE FROM votes WHERE {THIS}", self.session, *which)

    def rows(self) -> list[dict[str, str]]:
        """All votes of the session, the first one first; an empty list if there are none."""
        found = self._do(f"SELECT {', '.join(COLUMNS)} FROM votes WHERE session = ? ORDER BY id", self.session)
        return [dict(zip(COLUMNS, values, strict=True)) for values in found]

    def clear(self) -> None:
        """Forget all votes of the session."""
        self._do("DELETE FROM votes WHERE session = ?", self.session)

    def __repr__(self) -> str:
        return f"Votes({self.session!r})"

    def _do(self, sql: str, *values: str) -> list[tuple]:
        values = tuple(_plain(value) for value in values)
        with self._lock:
            for _attempt in range(2):  # the second one finds a new file where the damaged one was
                if self._memory is not None:
                    break
                before = self._file_number()
                try:
                    return self._do_on_disk(sql, values)
                except (sqlite3.OperationalError, OSError) as error:
                    self._keep_in_memory(error)
                except sqlite3.DatabaseError:
                    self._move_aside(before)
            if self._memory is None:
                self._keep_in_memory("it is damaged, and so is the file that replaced it")
            return self._memory.execute(sql, values).fetchall()

    def _do_on_disk(self, sql: str, values: tuple) -> list[tuple]:
        # A connection of its own for every action: no thread owns it, and none stays open when a kernel dies.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=5)) as database, database:
            database.execute(TABLE)
            return database.execute(sql, values).fetchall()

    def _file_number(self) -> int | None:
        return self.path.stat().st_ino if self.path.exists() else None

    def _move_aside(self, number: int | None) -> None:
        # Another kernel may have moved it already: a file with another number is a new and good one.
        try:
            if self._file_number() != number:
                return
            aside = self.path.with_name(f"votes.damaged-{datetime.now():%Y-%m-%d-%H%M%S}.sqlite3")
            os.replace(self.path, aside)
            Path(f"{self.path}-journal").unlink(missing_ok=True)  # it belongs to the damaged file
        except OSError as error:
            self._keep_in_memory(error)
        else:
            self.message = f"The file with your votes was damaged. It is now {aside}; a new one has begun."

    def _keep_in_memory(self, reason: Exception | str) -> None:
        self._memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._memory.execute(TABLE)
        read_only = f"{self.path.absolute().as_uri()}?mode=ro"
        try:  # what can still be read stays visible
            with closing(sqlite3.connect(read_only, uri=True, timeout=0)) as kept:
                rows = kept.execute(f"SELECT session, {', '.join(COLUMNS)} FROM votes ORDER BY id").fetchall()
            self._memory.executemany(ADD, rows)
        except (sqlite3.Error, OSError):
            pass
        self.message = (
            f"Your votes cannot be saved in {self.path.parent} ({reason}). They are kept until this kernel stops; "
            "set BLANK_TO_CHAT_HOME to a directory that you may write to, and restart the kernel."
        )


def _plain(text: str) -> str:
    """Text as SQLite can keep it: half a character (a lone surrogate) becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
