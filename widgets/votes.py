"""The learner's own votes, kept in one small file of theirs until they take them back.

The file is `votes.sqlite3` beside the learner's progress (see progress.py), so labels outlive the kernel and the
lesson: 08 writes them, later ones read `Votes().rows()`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmcore.data.preferences import WINNERS
from widgets.own_file import OwnFile

COLUMNS = ("prompt", "completion_a", "completion_b", "winner", "labeler", "left")
TABLE = """CREATE TABLE IF NOT EXISTS votes (id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL,
    prompt TEXT NOT NULL, completion_a TEXT NOT NULL, completion_b TEXT NOT NULL, winner TEXT NOT NULL,
    labeler TEXT NOT NULL, left TEXT NOT NULL, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (session, prompt, completion_a, completion_b, labeler))"""
ADD = f"INSERT OR REPLACE INTO votes (session, {', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?)"
LAST = "SELECT max(id) FROM votes WHERE session = ?"
THIS = "session = ? AND prompt = ? AND completion_a = ? AND completion_b = ? AND labeler = ?"


class Votes(OwnFile):
    """Votes of one labeling session, in the order in which they were given.

    A row has the columns of `lmcore.data.preferences.votes`, and `left`: which answer, "a" or "b", stood on the left.
    Who votes again on the same comparison has changed their mind: the new vote counts.
    Never raises because of the file, see OwnFile.
    """

    kept, table = "votes", TABLE
    copied = (f"SELECT session, {', '.join(COLUMNS)} FROM votes ORDER BY id", ADD)
    patience = 5.0

    def __init__(self, session: str = "lesson 08", path: str | Path | None = None):
        super().__init__(path)
        self.session = session

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a vote. Raises: ValueError for a row with a column missing, or without a valid winner."""
        row = {"labeler": "you", "left": "a"} | dict(row)
        missing = [column for column in COLUMNS if not isinstance(row.get(column), str)]
        if missing:
            raise ValueError(f"a vote needs a text for {', '.join(missing)}; this one has {', '.join(row)}")
        if row["winner"] not in WINNERS:
            raise ValueError(f"a vote cannot be won by {row['winner']!r}; it can by {', '.join(WINNERS)}")
        self._rows(ADD, self.session, *(row[column] for column in COLUMNS))

    def undo(self, row: Mapping[str, Any] | None = None) -> None:
        """Take back the last vote, or the one on the comparison of `row`; nothing happens if there is none."""
        if row is None:
            self._rows(f"DELETE FROM votes WHERE id = ({LAST})", self.session)
        else:
            which = (row[column] for column in ("prompt", "completion_a", "completion_b", "labeler"))
            self._rows(f"DELETE FROM votes WHERE {THIS}", self.session, *which)

    def rows(self) -> list[dict[str, str]]:
        """All votes of the session, the first one first; an empty list if there are none."""
        found = self._rows(f"SELECT {', '.join(COLUMNS)} FROM votes WHERE session = ? ORDER BY id", self.session)
        return [dict(zip(COLUMNS, values, strict=True)) for values in found]

    def clear(self) -> None:
        """Forget all votes of the session."""
        self._rows("DELETE FROM votes WHERE session = ?", self.session)

    def __repr__(self) -> str:
        return f"Votes({self.session!r})"

    def _rows(self, sql: str, *values: str) -> list[tuple]:
        return super()._rows(sql, *(_plain(value) for value in values))


def _plain(text: str) -> str:
    """Text as SQLite can keep it: half a character (a lone surrogate) becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
