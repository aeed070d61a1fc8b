"""The search for a knee brackets it, whatever it is, in few replays."""

from bisect import insort
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.study.knee import bracket, knee_rates, replay_count
from rack_sim.study.load_row import LoadRow, backlog


def row(rate_rps: float, *, kept: bool = True, met: float = 1.0, capacity: float | None = None):
    """A row that says no more than whether its rate is too high."""
    return LoadRow(
        rate_rps=rate_rps,
        chip_count=1,
        request_count=100,
        finished_count=100,
        rejected_count=0,
        offered_rps=rate_rps,
        arrival_span_s=100 / rate_rps,
        request_throughput_rps=rate_rps,
        output_throughput_tok_s=rate_rps,
        request_goodput_rps=rate_rps,
        slo_attainment=met,
        latencies_ms={},
        ttft_queue_share=0.0,
        attainment={"ttft": met, "all": met},
        backlog_mid=0,
        backlog_end=0 if kept else 99,
        backlog_noise=5,
        capacity_rps=capacity,
    )


TESTS = [lambda found: found.keeps_up, lambda found: found.meets(0.99)]


def searched(machine: Callable[[float], LoadRow], own: float, precision: float = 0.05):
    rows: list[LoadRow] = []
    for rate in knee_rates(rows, own, TESTS, precision):
        assert rate not in [found.rate_rps for found in rows], "replayed once"
        assert len(rows) < replay_count(rows, TESTS, precision)
        insort(rows, machine(rate), key=lambda found: found.rate_rps)
        assert len(rows) < 100
    return rows


@given(
    saturation=st.floats(0.01, 1e5),
    slo_share=st.floats(0.05, 2),
    own_share=st.floats(0.01, 30),
    known=st.booleans(),
    precision=st.sampled_from([0.2, 0.05, 0.01]),
)
def test_both_knees_are_bracketed(saturation, slo_share, own_share, known, precision):
    """Wherever they lie: each true knee is between two replayed rates no further apart than asked.

    A capacity bound that lies above the knee, as a bound does, only helps to begin.
    """

    def machine(rate: float) -> LoadRow:
        return row(
            rate,
            kept=rate <= saturation,
            met=float(rate <= slo_share * saturation),
            capacity=1.2 * saturation if known else None,
        )

    rows = searched(machine, own_share * saturation, precision)
    for test, true in zip(TESTS, (saturation, saturation * min(1.0, slo_share)), strict=True):
        found = bracket(rows, test)
        assert found.met is not None
        assert found.failed is not None
        assert found.met.rate_rps <= true < found.failed.rate_rps
        assert found.width <= precision
    assert len(rows) <= 60


def test_what_never_meets_the_slo_is_told_after_few_replays():
    rows = searched(lambda rate: row(rate, kept=rate <= 10, met=0.5, capacity=11.0), 3.0)
    assert bracket(rows, TESTS[1]).met is None
    assert bracket(rows, TESTS[1]).failed is rows[0]
    assert len(rows) < 30


def test_of_outcomes_that_are_not_monotone_the_lowest_failure_counts():
    rows = [row(1), row(2, met=0.5), row(3), row(4, kept=False)]
    found = bracket(rows, TESTS[1])
    assert (found.met, found.failed) == (rows[0], rows[1])
    assert bracket(rows, TESTS[0]).met is rows[2]


def test_more_than_the_capacity_is_never_kept_up_with():
    assert row(10, capacity=10.0).keeps_up
    assert not row(10.1, capacity=10.0).keeps_up


@pytest.mark.parametrize(("stay", "growth"), [(1, 0), (30, 0), (10**9, 49)])
def test_backlog(stay, growth):
    """One arrival a tick, each staying so long: what stays for ever gathers, the rest does not."""
    arrivals = np.arange(100)
    mid, end, noise = backlog(arrivals, arrivals + stay)
    assert end - mid == growth
    assert noise == 7, "the root of 49 arrivals"
    assert end == min(stay, 100)
    assert backlog(arrivals[:0], arrivals[:0]) == (0, 0, 0)


def test_a_backlog_that_only_follows_its_arrivals_is_none():
    """Five a second, then thirty, each staying 1.5 s whatever comes: more are there, none waits."""
    second = 10**12
    slow = np.arange(50) * second // 5
    arrivals = np.concatenate([slow, 10 * second + np.arange(210) * second // 30])
    mid, end, noise = backlog(arrivals, arrivals + 3 * second // 2)
    assert 0 <= end - mid <= noise


def test_a_queue_grows_whatever_the_arrivals_do():
    """One server of 0.2 s before a ramp from 2 to 18 a second: half of those who come are left."""
    second = 10**12
    arrivals = (np.sqrt(1 + 4 * np.arange(1000) / 16) - 1) * 8 * second
    arrivals = np.sort(arrivals).astype(np.int64)
    leave, free = [], 0
    for at in arrivals.tolist():
        free = max(free, at) + second // 5
        leave.append(free)
    mid, end, noise = backlog(arrivals, np.array(leave))
    assert end - mid > noise
