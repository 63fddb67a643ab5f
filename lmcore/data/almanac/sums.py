"""Small sums as facts: generated, because a table of them would be a times table."""

from functools import cache

from lmcore.data.almanac.facts import Fact


@cache
def sums() -> tuple[Fact, ...]:
    """Sums up to 20, differences from up to 20 and products up to 10 x 10, such as 3 plus 4, result 7."""
    plus = [(f"{a} plus {b}", a + b) for a in range(1, 13) for b in range(1, 13) if a + b <= 20]
    minus = [(f"{a} minus {b}", a - b) for a in range(2, 21) for b in range(1, 11) if a >= b]
    times = [(f"{a} times {b}", a * b) for a in range(2, 11) for b in range(2, 11)]
    return tuple(Fact("sums", asked, "result", str(result), "taught") for asked, result in plus + minus + times)
