"""A learner goes back and runs a cell again: it finds the names that it found at first, not those of a later cell."""

import symtable

import pytest

from tests.test_notebooks import NOTEBOOKS, cells


def names(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell makes, and those that it uses, in its functions too."""
    table = symtable.symtable(source, "cell", "exec")
    made = {one.get_name() for one in table.get_symbols() if one.is_assigned() or one.is_imported()}
    used, scopes = set(), [table]
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        used |= {one.get_name() for one in scope.get_symbols() if scope is table or one.is_global()}
    return made, used - made


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_later_cell_takes_a_name_that_an_earlier_one_needs(path):
    found = [names(cell.source) for cell in cells(path, "code")]
    for place, (_, needed) in enumerate(found):
        before, after = (set().union(*(made for made, _ in part)) for part in (found[:place], found[place + 1 :]))
        taken = needed & before & after
        assert not taken, f"run again, this cell finds another {', '.join(taken)}:\n{cells(path, 'code')[place].source}"


def test_the_names_of_a_cell():
    made, needed = names("import math\nfor x in data: y = [z * scale for z in x]\ndef f(a): return a + offset")
    assert made == {"math", "x", "y", "f"}
    assert {"data", "scale", "offset"} <= needed and not {"a", "z", "x"} & needed
