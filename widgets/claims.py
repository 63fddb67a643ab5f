"""The article's fourteen claims, and what the learner's own measurements say about them.

Each lesson records its verdicts with `claim(...)`, in the learner's own progress; `claims_table()` shows them all.
"""

from collections import Counter
from html import escape

from widgets import progress

VERDICTS = ("holds", "holds with conditions", "does not hold", "not shown")

# Number -> what the article says, and the lessons that test it.
CLAIMS = {
    1: ("language models analyse massive text and uncover relationships between words", ("01", "06")),
    2: ("they fill in the blank with the most statistically probable word", ("01", "05")),
    3: ("earlier models don't weigh surrounding words differently", ("01", "03")),
    4: ("their context window is often fixed", ("01", "03")),
    5: ("LSTM (1997) came well before hardware that could run such networks", ("03",)),
    6: ("self-attention broke the shackles of sequential modelling", ("04",)),
    7: ("no longer limited to a fixed context window", ("04", "06")),
    8: ("RLHF starts from feedback on prompts submitted by customers", ("08",)),
    9: ("result: better adherence to instructions", ("10",)),
    10: ("result: fewer made-up facts", ("10",)),
    11: ("result: reduced toxicity", ("10",)),
    12: ("capability and alignment are two things", ("10",)),
    13: ("ChatGPT = supervised learning + RLHF, enhancing alignment and capability", ("07", "09", "10")),
    14: ("it is a continual process; biases and harmful outputs remain", ("11",)),
}
LESSONS = {
    "01": "01_fill_in_the_blank", "02": "02_tokens", "03": "03_memory", "04": "04_attention",
    "05": "05_masked_language_models", "06": "06_gpt", "07": "07_instructions", "08": "08_human_feedback",
    "09": "09_rlhf", "10": "10_alignment_and_capability", "11": "11_chatgpt",
}  # fmt: skip


def claim(number: int, verdict: str, evidence: str = "", *, lesson: str) -> str:
    """Record a verdict on a claim as this lesson has just measured it; returns "claim 7: does not hold".

    Args: number: 1 to 14; verdict: one of VERDICTS; evidence: the numbers, in a few words; lesson: such as "06".
    Recorded anew, it replaces what the same lesson said before. Raises: ValueError for any other claim or verdict.
    """
    if number not in CLAIMS or verdict not in VERDICTS or lesson not in LESSONS:
        raise ValueError(
            f"claim {number!r}, verdict {verdict!r}, lesson {lesson!r}: claims are 1 to {len(CLAIMS)}, "
            f"verdicts {', '.join(VERDICTS)}, lessons {', '.join(LESSONS)}"
        )
    progress.mine().record(_key(number, lesson), verdict, evidence)
    return f"claim {number}: {verdict}"


def recorded() -> dict[int, dict[str, tuple[str, str]]]:
    """What was measured on this machine: claim -> lesson -> (verdict, evidence)."""
    kept = progress.mine()
    outcomes = kept.summary()
    return {
        number: {
            lesson: (outcomes[key], kept.answer(key) or "")
            for lesson in LESSONS
            if (key := _key(number, lesson)) in outcomes
        }
        for number in CLAIMS
    }


def claims_table() -> "ClaimsTable":
    """All fourteen claims with the verdicts recorded on this machine, to be left as a cell's last line."""
    return ClaimsTable(recorded())


class ClaimsTable:
    """The claims, what was measured, and where the missing verdicts can be measured."""

    def __init__(self, found: dict[int, dict[str, tuple[str, str]]]):
        self.found = found

    def rows(self) -> list[tuple[int, str, str, str, str]]:
        """(claim, what the article says, lesson, verdict, evidence), one row for each lesson that tests it."""
        rows = []
        for number, (said, lessons) in CLAIMS.items():
            measured = self.found.get(number, {})
            for lesson in sorted({*lessons, *measured}):
                verdict, evidence = measured.get(lesson, ("not measured yet", f"open lesson {lesson} and run it"))
                rows.append((number, said, lesson, verdict, evidence))
        return rows

    def __repr__(self) -> str:
        return "ClaimsTable()"

    def _repr_html_(self) -> str:
        left = 'style="text-align: left; vertical-align: top"'
        html = ["<table><tr>"]
        html += [f"<th {left}>{head}</th>" for head in ("", "the article says", "lesson", "verdict", "evidence")]
        before = None
        for number, said, lesson, verdict, evidence in self.rows():
            first = number != before
            before = number
            link = f'<a href="{LESSONS[lesson]}.ipynb">{lesson}</a>'
            missing = verdict == "not measured yet"
            strong = f"<em>{verdict}</em>" if missing else f"<strong>{escape(verdict)}</strong>"
            cells = [str(number) if first else "", escape(said) if first else "", link, strong, escape(evidence)]
            html.append("</tr><tr>" + "".join(f"<td {left}>{cell}</td>" for cell in cells))
        counted = Counter(verdict for *_, verdict, _ in self.rows())
        total = ", ".join(f"{verdict}: {count}" for verdict, count in counted.most_common())
        return "".join(html) + f"</tr></table><p>{total}.</p>"


def _key(number: int, lesson: str) -> str:
    return f"claim.{number:02d}.{lesson}"
