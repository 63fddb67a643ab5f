"""What a learner has done, kept in one small file of their own and never in a notebook.

The file is `progress.sqlite3` in the learner's own directory, see own_file.py.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from widgets.own_file import OwnFile, home

TABLE = """CREATE TABLE IF NOT EXISTS progress
    (id TEXT PRIMARY KEY, outcome TEXT NOT NULL, answer TEXT, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"""
# What was solved once stays solved: running a cell again with half-finished code takes nothing away.
RECORD = """INSERT INTO progress (id, outcome, answer) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    outcome = CASE progress.outcome WHEN 'correct' THEN 'correct' ELSE excluded.outcome END,
    answer = excluded.answer, at = excluded.at"""


class Progress(OwnFile):
    """Outcomes by the id of an exercise or quiz ("04.causal_mask"), with the answer where one was given.
    Never raises because of the file, see OwnFile.
    """

    kept, table, copied = "progress", TABLE, ("SELECT id, outcome, answer FROM progress", RECORD)

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


@cache
def _at(path: Path) -> Progress:
    return Progress(path)


def mine() -> Progress:
    """The progress of whoever runs this kernel, one object for all its exercises and quizzes."""
    return _at(home() / "progress.sqlite3")
