"""A load study on the static pipeline against what must come out: rates are computed by hand here.

Requests of i input and o output tokens take i + o - 1 rows; the pipeline has `rows` of them every
interval. Below that rate everything offered is served, above it exactly as many requests as rows
allow, whatever is offered.
"""

from itertools import pairwise
from pathlib import Path

import pytest

from rack_sim.pipeline import explain
from rack_sim.scenario import Scenario, load_scenario
from rack_sim.study.load import with_plan
from rack_sim.study.load_row import replay_rate

SMALL = Path(__file__).parents[1] / "unit" / "scenario" / "small.yaml"
INPUTS, OUTPUTS, COUNT = 100, 20, 1000


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Requests of one length like clockwork, and cache for more than what the rows can carry."""
    changes = [
        "serving.policy={kind: static_slots, kv_reservation: request}",
        "serving.concurrent_sequences=12",
        "workload.arrivals={kind: constant, gap_ms: 50}",
        f"workload.request_count={COUNT}",
        "slo.ttft_ms=500",
    ]
    return with_plan(load_scenario(SMALL, changes))


@pytest.fixture(scope="module")
def capacity_rps(scenario: Scenario) -> float:
    """Rows per second over rows of a request."""
    step = explain(scenario).step
    return step.rows * 10**12 / step.interval_ps / (INPUTS + OUTPUTS - 1)


def window_tolerance(row_count: int) -> float:
    """One request more or less at each end of the steady window, which has 90 % of them."""
    return 2 / (0.9 * row_count)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_below_capacity_everything_offered_is_served(scenario, capacity_rps, share):
    row = replay_rate(scenario, share * capacity_rps)
    assert row.offered_rps == pytest.approx(share * capacity_rps, rel=1e-9)
    assert row.request_throughput_rps == pytest.approx(row.offered_rps, rel=window_tolerance(COUNT))
    assert row.request_goodput_rps == row.request_throughput_rps
    assert row.attainment == {"ttft": 1, "all": 1}
    assert row.keeps_up
    assert row.meets(1)


@pytest.mark.parametrize("share", [1.2, 1.5, 3])
def test_above_capacity_rows_are_the_limit(scenario, capacity_rps, share):
    """The window ends with the last arrival, so at `share` it has 1 / share of the requests."""
    row = replay_rate(scenario, share * capacity_rps)
    # compiled_limit_tok_s is rounded down to a whole row per second.
    assert 0 <= capacity_rps - row.capacity_rps < 1 / (INPUTS + OUTPUTS - 1)
    rel = window_tolerance(round(COUNT / share))
    assert row.request_throughput_rps == pytest.approx(capacity_rps, rel=rel)
    assert not row.keeps_up


@pytest.mark.parametrize("share", [1.2, 1.5, 3])
def test_the_backlog_above_capacity_is_what_fluids_leave(scenario, capacity_rps, share):
    """Of m arrivals in the second half, m / share leave; two more or less at its ends."""
    row = replay_rate(scenario, share * capacity_rps)
    second_half = COUNT - 1 - COUNT // 2
    grown = row.backlog_end - row.backlog_mid
    assert grown == pytest.approx(second_half * (1 - 1 / share), abs=2)


def test_more_load_is_never_better(scenario, capacity_rps):
    """The same requests closer together: no latency shrinks, no more of them meet the SLO.

    A request's latency may change by the wait for the next step, an interval, with its phase.
    """
    rows = [replay_rate(scenario, share * capacity_rps) for share in (0.2, 0.6, 1, 1.1, 1.4, 2)]
    interval_ms = explain(scenario).step.interval_ps / 1e9
    for slower, faster in pairwise(rows):
        for name in ("ttft_ms_p50", "ttft_ms_p99", "e2el_ms_p99"):
            assert faster.latencies_ms[name] >= slower.latencies_ms[name] - interval_ms
        assert faster.attainment["all"] <= slower.attainment["all"]
        assert faster.backlog_end >= slower.backlog_end - 1
