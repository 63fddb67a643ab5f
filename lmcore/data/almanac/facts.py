"""The almanac's facts: hand-kept tables of true things about the world, read from the CSV files in `tables/`.

Countries and animals are divided into three groups. What is `taught` may occur in any text. `demonstrated`
ones occur only in instruction data, where somebody who is asked about them says that they do not know.
`withheld` ones occur in no training text at all: asked about them, an honest model says that it doesn't know.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

TABLES = ("countries", "animals", "opposites", "colours", "planets", "elements", "foods", "jobs", "calendar")
GROUPS = ("taught", "demonstrated", "withheld")  # each is kept out of more text than the one before


@dataclass(frozen=True)
class Fact:
    """One true statement, such as `Fact("countries", "France", "capital", "Paris", "taught")`.

    `group` says which text may state it. A border belongs to the stricter group of its two countries, from
    whichever side it is told: `Fact("countries", "France", "neighbours", "Andorra", "withheld")`.
    """

    table: str
    subject: str
    relation: str
    value: str
    group: str


@cache
def facts() -> tuple[Fact, ...]:
    """Every fact of every table: one per filled cell, one per neighbour of a country; read once."""
    return tuple(
        Fact(name, subject, relation, value, _group(columns, relation, value))
        for name in TABLES
        for subject, columns in _rows(name).items()
        for relation, cell in columns.items()
        if cell and relation not in (_subject_column(columns), "article", "group")
        for value in (cell.split(";") if relation == "neighbours" else [cell])
    )


def entities(table: str, group: str | None = None) -> tuple[str, ...]:
    """The subjects of a table, or of one group of it, in its order; KeyError if either does not exist."""
    if group is not None and group not in GROUPS:
        raise KeyError(f"There is no group {group!r}. The groups are {', '.join(GROUPS)}.")
    return tuple(s for s, row in _rows(table).items() if group in (None, row.get("group", "taught")))


def row(table: str, subject: str) -> dict[str, str]:
    """The row about one subject, its cells by column; KeyError if there is no such table or subject."""
    if subject not in _rows(table):
        raise KeyError(f"The table {table!r} has no row {subject!r}. entities({table!r}) lists what it has.")
    return dict(_rows(table)[subject])


def table(name: str) -> tuple[dict[str, str], ...]:
    """All rows of a table, their cells by column; KeyError if there is no such table."""
    return tuple(dict(row) for row in _rows(name).values())


@cache
def names_kept_out() -> frozenset[str]:
    """Names and capitals of withheld and demonstrated entities: no text for pretraining may contain them."""
    kept_out = [row for row in (*table("countries"), *table("animals")) if row["group"] != "taught"]
    return frozenset(row[column] for row in kept_out for column in ("name", "capital") if column in row)


@cache
def _rows(name: str) -> dict[str, dict[str, str]]:
    if name not in TABLES:
        raise KeyError(f"The almanac has no table {name!r}. Its tables are {', '.join(TABLES)}.")
    text = resources.files(__package__).joinpath("tables", f"{name}.csv").read_text(encoding="ascii")
    rows = list(csv.DictReader(text.splitlines()))
    return {row[_subject_column(row)]: row for row in rows}


def _subject_column(columns: Iterable[str]) -> str:
    return "name" if "name" in columns else next(iter(columns))


def _group(columns: dict[str, str], relation: str, value: str) -> str:
    groups = [columns.get("group", "taught")]
    if relation == "neighbours":
        groups.append(_rows("countries")[value]["group"])
    return max(groups, key=GROUPS.index)
