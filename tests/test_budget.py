"""A budget of seconds: what a phase takes too much, those after it have less."""

import time

import pytest

from lmcore.budget import LEAST, Budget

SHARES = {"read": 0.2, "learn": 0.6, "ask": 0.2}


def test_phases_that_keep_to_their_time_have_their_shares():
    report = {"phases": {}}
    budget = Budget(100.0, SHARES, report)
    assert [budget.planned(phase) for phase in SHARES] == pytest.approx([20, 75, 100])  # of what is left until now
    report["phases"] = {"read": {"seconds": 20.0}, "learn": {"seconds": 60.0}}
    assert budget.planned("learn") == pytest.approx(60) and budget.planned("ask") == pytest.approx(20)
    assert budget.left() == pytest.approx(20)


def test_what_one_takes_too_much_or_leaves_is_shared_by_those_after_it():
    slow, quick = ({"phases": {"read": {"seconds": seconds}}} for seconds in (60.0, 0.0))
    assert Budget(100.0, SHARES, slow).planned("learn") == pytest.approx(30)
    assert Budget(100.0, SHARES, quick).planned("learn") == pytest.approx(75)
    late = Budget(100.0, SHARES, {"phases": {"read": {"seconds": 150.0}}})
    assert late.planned("learn") == pytest.approx(LEAST * 60) and late.left() == 0


def test_time_is_counted_once_and_on_top_of_what_was_taken_before_a_kill():
    report = {"phases": {"learn": {"seconds": 7.0}}}
    budget = Budget(100.0, SHARES, report)
    time.sleep(0.05)  # nobody's
    budget.begin("learn")
    started = time.perf_counter()
    time.sleep(0.02)
    first = budget.spent("learn")
    assert 7.02 <= first <= 7 + time.perf_counter() - started + 0.01
    assert budget.spent("learn") - first < 0.02 and report["phases"]["learn"]["seconds"] >= first
