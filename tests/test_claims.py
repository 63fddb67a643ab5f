"""Verdicts are kept for the learner who measured them; the table says what is missing, and invents nothing."""

import re
from pathlib import Path

import pytest

from widgets import claim, claims_table
from widgets.claims import CLAIMS, LESSONS, VERDICTS, recorded

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BLANK_TO_CHAT_HOME", str(tmp_path))


def test_nothing_is_measured_until_a_lesson_says_so():
    assert set(recorded()) == set(range(1, 15)) and not any(recorded().values())
    rows = claims_table().rows()
    assert {row[3] for row in rows} == {"not measured yet"} and {row[0] for row in rows} == set(CLAIMS)
    assert ("open lesson 11 and run it") in {row[4] for row in rows}


def test_a_verdict_is_kept_with_its_evidence_and_replaced_by_a_newer_one():
    assert claim(7, "holds", "loss 3.1 at 300", lesson="06") == "claim 7: holds"
    assert claim(7, "does not hold", "loss 3.4 & rising <fast>", lesson="06") == "claim 7: does not hold"
    assert recorded()[7] == {"06": ("does not hold", "loss 3.4 & rising <fast>")}
    rows = {row[2]: row for row in claims_table().rows() if row[0] == 7}
    assert rows["06"][3:] == ("does not hold", "loss 3.4 & rising <fast>") and rows["04"][3] == "not measured yet"
    html = claims_table()._repr_html_()
    assert "loss 3.4 &amp; rising &lt;fast&gt;" in html and 'href="06_gpt.ipynb"' in html
    assert "does not hold: 1" in html and repr(claims_table()) == "ClaimsTable()"


def test_a_lesson_beside_those_planned_may_have_its_say():
    claim(13, "holds with conditions", lesson="11")
    assert [row[2] for row in claims_table().rows() if row[0] == 13] == ["07", "09", "10", "11"]


@pytest.mark.parametrize(
    "wrong", [(15, "holds", "10"), (0, "holds", "10"), (3, "true", "10"), (3, "holds", "12"), ("3", "holds", "03")]
)
def test_any_other_claim_verdict_or_lesson_is_refused(wrong):
    number, verdict, lesson = wrong
    with pytest.raises(ValueError, match="claims are 1 to 14"):
        claim(number, verdict, lesson=lesson)
    assert not any(recorded().values())


def test_every_lesson_that_is_linked_is_there_or_planned():
    there = {path.stem for path in (ROOT / "course").glob("*.ipynb")} - {"00_start_here"}
    assert there <= set(LESSONS.values()), "a lesson has another name in widgets/claims.py"
    assert all(re.fullmatch(rf"{number}_\w+", name) for number, name in LESSONS.items())
    assert {lesson for _, lessons in CLAIMS.values() for lesson in lessons} <= set(LESSONS) and len(VERDICTS) == 4
