"""Objectives of sizing as a text gives them: what is read, and what is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.slo import METRICS, STATISTICS, LatencyObjective, Reading, parse_slo


def problems(text) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_slo(text)
    return [str(problem) for problem in caught.value.problems]


def test_units_are_those_of_files():
    found = parse_slo("ttft_p99=0.5s, tpot_p90=10ms,itl_mean=250us,e2el_p50<=2 s,ntpot_p95=1e3µs")
    assert [(o.name, o.bound_ps) for o in found] == [
        ("ttft_p99", 500 * 10**9),
        ("tpot_p90", 10 * 10**9),
        ("itl_mean", 250 * 10**6),
        ("e2el_p50", 2 * 10**12),
        ("ntpot_p95", 10**9),
    ]
    assert parse_slo({"ttft_p99": "0.5s"}) == (LatencyObjective("ttft", "p99", 500 * 10**9),)


def test_every_objective_is_a_column_of_the_summary():
    columns = {column.name: column.unit for column in SUMMARY}
    for metric in METRICS:
        for statistic in STATISTICS:
            objective = LatencyObjective(metric, statistic, 10**9)
            assert columns[objective.column] == objective.unit
            assert parse_slo(f"{objective.name}=1ms") == (objective,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tftt_p99=1s", "--slo: 'tftt_p99' is no objective (did you mean 'ttft_p99'?)"),
        ("ttft_ms_p99=1s", "--slo: 'ttft_ms_p99' is no objective (did you mean 'ttft_p99'?)"),
        ("speed=1s", "with one of mean, p50, p90, p95, p99: such as ttft_p99=0.5s)"),
        ("ttft_p99=1min", "--slo ttft_p99: 'min' is no unit of time (allowed: ms, ns, ps, s, us)"),
        ("ttft_p99=500", "--slo ttft_p99: '500' has no unit (500ms or 500s)"),
        ("ttft_p99=", "--slo ttft_p99: has no bound (ttft_p99=0.5s)"),
        ("ttft_p99", "--slo ttft_p99: has no bound (ttft_p99=0.5s)"),
        ("ttft_p99=nans", "--slo ttft_p99: 'nans' is no bound (a time above 0)"),
        ("ttft_p99=infs", "is no bound"),
        ("ttft_p99=-1s", "'-1s' is no bound (a time above 0)"),
        ("ttft_p99=0ms", "is no bound"),
        ("ttft_p99=1e9s", "longer than any run (at most 92 days)"),
        ("ttft_p99=1e99999999s", "longer than any run"),
        ("ttft_p99=1.2.3s", "'1.2.3' is not a number"),
        ("ttft_p99=fast", "'fast' is not a time (a number and its unit: 0.5s, 500ms)"),
        ("ttft_p99=1s,ttft_p99=2s", "--slo: ttft_p99 is given twice"),
        ("", "--slo: has no objective (such as ttft_p99=0.5s)"),
        (" , ", "has no objective"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    assert any(said in line for line in problems(text)), problems(text)


def test_all_problems_at_once():
    found = problems("tftt_p99=1,tpot_p99=nanms,tpot_p90=1ms,tpot_p90=2ms")
    assert len(found) == 4


@given(st.text(max_size=40))
def test_nothing_else_is_raised(text):
    with suppress(InputError):
        parse_slo(text)


def test_a_bound_is_met_to_the_nanosecond():
    """Values of summary.csv are rounded to a nanosecond; the bound itself is still met."""
    objective = LatencyObjective("ttft", "p99", 500_000_001_000)
    assert Reading(objective, 500.000001).holds
    assert not Reading(objective, 500.000002).holds
    reading = Reading(LatencyObjective("ttft", "p99", 500 * 10**9), 400.0)
    assert (reading.margin, reading.margin_share, reading.load) == (100.0, 0.2, 0.8)
    assert Reading(objective, None).holds, "a metric that no request has"
