"""A small world of true facts, and the text that is made of them."""

from lmcore.data.almanac.demonstrations import demonstrations
from lmcore.data.almanac.facts import Fact, entities, facts, names_kept_out, row, table
from lmcore.data.almanac.grammar import documents
from lmcore.data.almanac.tasks import Task, prompts

__all__ = [
    "Fact",
    "Task",
    "demonstrations",
    "documents",
    "entities",
    "facts",
    "names_kept_out",
    "prompts",
    "row",
    "table",
]
