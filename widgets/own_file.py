"""A small SQLite file of the learner's own, which never stands in the way of a lesson.

It lies in `$BLANK_TO_CHAT_HOME`, or else in Jupyter's data directory. SQLite lets two kernels write at once. Where
nothing can be kept on disk all goes on in memory, and `message` says so.
"""

import os
import sqlite3
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any


def home() -> Path:
    """The learner's own directory: `$BLANK_TO_CHAT_HOME`, or `blank-to-chat` in Jupyter's data directory."""
    from jupyter_core.paths import jupyter_data_dir

    chosen = os.environ.get("BLANK_TO_CHAT_HOME")
    return Path(chosen).expanduser() if chosen else Path(jupyter_data_dir()) / "blank-to-chat"


class OwnFile:
    """One table in one file. Subclasses say what is kept, and turn rows into something to work with.

    Never raises because of the file: a damaged one is moved aside, one that cannot be written is replaced by
    memory, and `message` (else "") tells the learner in a sentence.
    """

    kept: str  # what the learner calls it: "progress"; the file is named so, and so is the table
    table: str  # SQL that makes the table, if there is none
    copied: tuple[str, str]  # SQL that reads all rows, and SQL that writes one
    patience = 2.0  # seconds to wait while another kernel writes

    def __init__(self, path: str | Path | None = None):
        self.path = Path(path) if path else home() / f"{self.kept}.sqlite3"
        self.message = ""
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.RLock()

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
                except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
                    raise  # the value is wrong, not the file
                except sqlite3.DatabaseError:
                    self._move_aside(before)
            if self._memory is None:
                self._keep_in_memory("it is damaged, and so is the file that replaced it")
            return self._memory.execute(sql, values).fetchall()

    def _rows_on_disk(self, sql: str, values: tuple) -> list[tuple]:
        # A connection of its own for every action: no thread owns it, and none stays open when a kernel dies.
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=self.patience)) as database, database:
            database.execute(self.table)
            return database.execute(sql, values).fetchall()

    def _file_number(self) -> int | None:
        return self.path.stat().st_ino if self.path.exists() else None

    def _move_aside(self, number: int | None) -> None:
        # Another kernel may have moved it already: a file with another number is a new and good one.
        try:
            if self._file_number() != number:
                return
            aside = self.path.with_name(f"{self.kept}.damaged-{datetime.now():%Y-%m-%d-%H%M%S}.sqlite3")
            os.replace(self.path, aside)
            Path(f"{self.path}-journal").unlink(missing_ok=True)  # it belongs to the damaged file
        except OSError as error:
            self._keep_in_memory(error)
        else:
            self.message = f"The file with your {self.kept} was damaged. It is now {aside}; a new one has begun."

    def _keep_in_memory(self, reason: Exception | str) -> None:
        self._memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._memory.execute(self.table)
        read_only = f"{self.path.absolute().as_uri()}?mode=ro"
        try:  # what can still be read stays visible
            with closing(sqlite3.connect(read_only, uri=True, timeout=0)) as kept:
                rows = kept.execute(self.copied[0]).fetchall()
            self._memory.executemany(self.copied[1], rows)
        except (sqlite3.Error, OSError):
            pass
        self.message = (
            f"Your {self.kept} cannot be saved in {self.path.parent} ({reason}). All is kept until this kernel "
            "stops; set BLANK_TO_CHAT_HOME to a directory that you may write to, and restart the kernel."
        )
