"""The summary row of requests written by hand: every number worked out beside it."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.compiler.buckets import bucket_slots
from rack_sim.compiler.limits import limits_of
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.foundation.errors import ConservationError
from rack_sim.metrics.checker import check_summary
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.cost import CostInputs, cost_of, footprint_of
from rack_sim.metrics.gaps import GapLog, mean_and_percentiles
from rack_sim.metrics.log import Collector
from rack_sim.metrics.slo import Slo
from rack_sim.metrics.summary import (
    PERCENTS,
    RunFacts,
    Window,
    _latency_columns,
    summarise_run,
    window_of,
)
from rack_sim.workload.request import Request

MS = 10**9
S = 10**12
COST = CostInputs(4.0, 1.5, 0.08, 1.3)


def facts(
    step: StepTiming | None,
    collector: Collector,
    *,
    end_ps: int,
    requests: int,
    slo: Slo | None = None,
    warmup: float = 0.1,
    bin_ps: int = S,
    replicas: int = 1,
) -> RunFacts:
    """A run in which every replica had 1000 busy steps and 3000 rows with a token."""
    busy_ps = 1000 * step.interval_ps if step else 0
    books = tuple(
        ReplicaBooks(number, busy_ps=busy_ps, rows_ps=3 * busy_ps) for number in range(replicas)
    )
    return RunFacts(
        head={"scenario": "s", "system": "h", "model": "m", "policy": "p"},
        tail={"scenario_hash": "x", "version": "0", "seed": 7},
        machine=step,
        fleet=step
        and FleetPlan(bucket_slots(step, ()), StaticSlotsPolicy(), replica_count=replicas),
        limits=step and limits_of(step),
        totals=ReplayTotals(end_ps, requests, 1000 * replicas, 3000 * replicas, books),
        collector=collector,
        slo=slo or Slo(),
        cost=COST,
        bin_ps=bin_ps,
        warmup_share=warmup,
    )


def finished(
    collector: Collector, number: int, arrival: int, *, wait: int, ttft: int, gap: int, outputs: int
) -> None:
    sequence = Sequence(
        request=Request(number, arrival, 10, outputs),
        reserved_tokens=10 + outputs,
        admitted_ps=arrival + wait,
        prefill_start_ps=arrival + wait,
        prefill_end_ps=arrival + wait,
        first_token_ps=arrival + ttft,
        finish_ps=arrival + ttft + gap * (outputs - 1),
        slot=0,
    )
    collector.finished(sequence)
    if outputs > 1:
        collector.gaps(gap, 0, outputs - 1, 1)


def rejected(collector: Collector, number: int, arrival: int) -> None:
    sequence = Sequence(Request(number, arrival, 99, 99), ended=True)
    collector.turned_away(sequence, Outcome.REJECTED_CONTEXT)


def seconds(*rows: dict[str, int]) -> list[tuple[int, ...]]:
    """Bins of the timeline; what is not named is 0."""
    return [tuple((dict.fromkeys(TIMELINE_COLUMNS, 0) | row).values()) for row in rows]


def arriving(last_ps: int) -> Collector:
    collector = Collector()
    finished(collector, 0, 0, wait=0, ttft=1, gap=1, outputs=2)
    finished(collector, 1, last_ps, wait=0, ttft=1, gap=1, outputs=2)
    return collector


@pytest.mark.parametrize(
    ("last_s", "warmup", "bins"),
    [
        (100, 0.1, (10, 100)),
        (100.5, 0.1, (11, 100)),  # 10.05 s of warm-up: the next whole bin
        (99.999, 0.0, (0, 99)),  # the last arrival's bin is not whole
        (100, 0.3, (30, 100)),  # 0.3 is read as the decimal, not its binary neighbour
        (20, 0.5, (10, 20)),  # ten bins are just enough
    ],
)
def test_the_steady_window_leaves_out_warm_up_and_drain(
    last_s: float, warmup: float, bins: tuple[int, int]
) -> None:
    run = facts(None, arriving(round(last_s * S)), end_ps=500 * S, requests=2, warmup=warmup)
    first, end = bins
    assert window_of(run) == Window("steady", first, end, (end - first) * S)


@pytest.mark.parametrize(("last_s", "warmup"), [(19, 0.5), (9, 0.0), (0, 0.1)])
def test_a_short_run_is_its_own_window(last_s: int, warmup: float) -> None:
    collector = arriving(last_s * S)
    collector.timeline(0, seconds({}, {}, {}))
    run = facts(None, collector, end_ps=123, requests=2, warmup=warmup)
    assert window_of(run) == Window("whole_run", 0, 3, 123)


@pytest.fixture
def row(step: StepTiming) -> dict[str, object]:
    """Four finished requests and one rejected, two bins, 2.5 seconds."""
    collector = Collector()
    finished(collector, 0, 0, wait=1 * MS, ttft=10 * MS, gap=2 * MS, outputs=11)
    finished(collector, 1, S, wait=2 * MS, ttft=20 * MS, gap=4 * MS, outputs=6)
    finished(collector, 2, S, wait=3 * MS, ttft=30 * MS, gap=7 * MS, outputs=1)
    rejected(collector, 3, S)
    finished(collector, 4, 2 * S, wait=4 * MS, ttft=60 * MS, gap=3 * MS, outputs=2)
    first = {"arrived": 1, "finished": 1, "prompt_tokens": 10, "output_tokens": 11}
    second = {"arrived": 4, "rejected": 1, "finished": 3, "prompt_tokens": 30, "output_tokens": 9}
    first |= {"running_ps": S, "kv_token_ps": 21 * S}
    collector.timeline(0, seconds(first, second | {"kv_token_ps": 11 * S}))
    slo = Slo(ttft_ps=30 * MS, tpot_ps=4 * MS)
    return summarise_run(facts(step, collector, end_ps=5 * S // 2, requests=6, slo=slo))


def test_every_column_is_there_in_order(row: dict[str, object]) -> None:
    assert list(row) == [column.name for column in SUMMARY]


def test_counts(row: dict[str, object]) -> None:
    assert row["request_count"] == 6
    assert (row["finished_count"], row["rejected_count"], row["unserved_count"]) == (4, 1, 1)
    assert row["timed_out_count"] == 0
    assert (row["input_token_count"], row["output_token_count"]) == (40, 20)
    assert row["simulated_s"] == 2.5
    assert (row["window_kind"], row["window_s"]) == ("whole_run", 2.5)


def test_latencies(row: dict[str, object]) -> None:
    expected = {
        "ttft": [10, 20, 30, 60],
        "tpot": [2, 4, 3],
        "e2el": [30, 40, 30, 63],
        "scheduling_delay": [1, 2, 3, 4],
        "ntpot": [30 / 11, 40 / 6, 30, 63 / 2],
        "itl": [2] * 10 + [4] * 5 + [3],
    }
    for metric, values in expected.items():
        # Columns are rounded to six decimals (a femtosecond of a millisecond is 1e-9).
        assert row[f"{metric}_ms_mean"] == pytest.approx(np.mean(values), abs=1e-6)
        for percent in (50, 90, 95, 99):
            assert row[f"{metric}_ms_p{percent}"] == pytest.approx(
                np.percentile(values, percent), abs=1e-6
            )


def test_throughputs(row: dict[str, object]) -> None:
    for prefix in ("", "run_"):
        assert row[f"{prefix}request_throughput_rps"] == 4 / 2.5
        assert row[f"{prefix}input_throughput_tok_s"] == 40 / 2.5
        assert row[f"{prefix}output_throughput_tok_s"] == 20 / 2.5
        assert row[f"{prefix}total_throughput_tok_s"] == 60 / 2.5
        assert row[f"{prefix}output_tok_s_per_chip"] == 20 / 2.5 / 4
    assert row["output_tok_s_per_user_p50"] == pytest.approx(1000 / 3, abs=1e-6)


def test_objectives_are_met_at_the_bound_and_not_by_the_rejected(row: dict[str, object]) -> None:
    """Met: 0, 1 (tpot at its bound), 2 (ttft at its bound, no tpot). Not: 3 (rejected), 4 (ttft).

    Six requests were issued, so attainment is a half.
    """
    assert row["slo_attainment"] == 3 / 6
    assert row["request_goodput_rps"] == 3 / 2.5


def test_machine(row: dict[str, object], step: StepTiming) -> None:
    end = 5 * S // 2
    cost = cost_of(
        step.plan,
        footprint_of(step.plan),
        COST,
        duration_ps=end,
        busy_chip_ps=1000 * step.plan.tensor_parallel * sum(s.service_ps for s in step.stages),
    )
    limit = limits_of(step).token_limit_ps / MS
    assert row["slot_row_utilisation"] == pytest.approx(
        3000 * step.interval_ps / (end * step.rows), abs=1e-9
    )
    assert row["step_utilisation"] == pytest.approx(1000 * step.interval_ps / end, abs=1e-9)
    assert row["replica_utilisation"] == row["step_utilisation"]
    assert row["kv_reserved_share_mean"] == pytest.approx(32 / (2 * 64 * 2.5), abs=1e-9)
    assert row["tok_latency_limit_ms"] == pytest.approx(limit, abs=1e-6)
    # Rounded to six decimals.
    assert row["tpot_to_limit_ratio"] == pytest.approx(3 / limit, abs=1e-6)
    assert row["joules_per_output_token"] == pytest.approx(cost.joules / 20, abs=1e-6)
    assert row["usd_per_million_output_tokens"] == pytest.approx(
        cost.usd / 20 * 10**6, rel=1e-9, abs=1e-6
    )
    assert (row["chip_count"], row["spare_chip_count"], row["rack_count"]) == (4, 2, 1)
    assert (row["slot_count"], row["slot_rows"]) == (step.slot_count, 5)


def test_of_a_fleet_what_is_offered_grows_and_shares_do_not(
    row: dict[str, object], step: StepTiming
) -> None:
    """Three replicas that did as much each: three times the limits, the same utilisations."""
    collector = arriving(S)
    one, three = (
        summarise_run(facts(step, collector, end_ps=5 * S // 2, requests=2, replicas=count))
        for count in (1, 3)
    )
    assert three["compiled_limit_tok_s"] == 3 * one["compiled_limit_tok_s"]
    assert three["physical_limit_tok_s"] == 3 * one["physical_limit_tok_s"]
    assert (three["replica_count"], three["chip_count"]) == (3, 12)
    for name in ("slot_row_utilisation", "step_utilisation", "replica_utilisation"):
        assert three[name] == one[name] == row[name]
    # Three racks draw three times as much (rounded to milliwatts), over the same time.
    assert three["mean_watts"] == pytest.approx(3 * one["mean_watts"], abs=0.002)


def test_nobody_came(step: StepTiming) -> None:
    """No request at all: no rates, no latencies, and no objective was missed or met."""
    row = summarise_run(facts(step, Collector(), end_ps=0, requests=0, slo=Slo(ttft_ps=1)))
    assert list(row) == [column.name for column in SUMMARY]
    assert (row["request_count"], row["unserved_count"]) == (0, 0)
    assert row["slo_attainment"] is None
    assert row["request_throughput_rps"] is None
    assert row["mean_watts"] == 0


def test_nothing_finished_leaves_latencies_empty(step: StepTiming) -> None:
    collector = Collector()
    rejected(collector, 0, 0)
    row = summarise_run(facts(step, collector, end_ps=0, requests=1, slo=Slo(ttft_ps=1)))
    assert row["rejected_count"] == 1
    for metric in ("ttft", "tpot", "e2el", "scheduling_delay", "ntpot", "itl"):
        assert row[f"{metric}_ms_mean"] is None
        assert row[f"{metric}_ms_p99"] is None
    assert row["output_tok_s_per_user_p50"] is None
    assert row["joules_per_output_token"] is None
    assert row["slo_attainment"] == 0


def test_a_steady_window_counts_its_own_bins(step: StepTiming) -> None:
    """One request a second for 20 s: the window is seconds 2 to 19, 17 bins of one each."""
    collector = Collector()
    for number in range(20):
        finished(collector, number, number * S, wait=0, ttft=MS, gap=MS, outputs=2)
    each = {"arrived": 1, "finished": 1, "output_tokens": 2}
    collector.timeline(0, seconds(*(each | {"prompt_tokens": 100 + n} for n in range(20))))
    run = facts(step, collector, end_ps=20 * S, requests=20, slo=Slo(ttft_ps=MS))
    row = summarise_run(run)
    assert (row["window_kind"], row["window_start_s"], row["window_s"]) == ("steady", 2, 17)
    assert row["request_throughput_rps"] == 1
    assert row["input_throughput_tok_s"] == sum(100 + n for n in range(2, 19)) / 17
    assert row["run_input_throughput_tok_s"] == sum(100 + n for n in range(20)) / 20
    assert row["request_goodput_rps"] == 1
    assert row["slo_attainment"] == 1


@given(st.dictionaries(st.integers(1, 10**9), st.integers(1, 30), min_size=1, max_size=6))
def test_pooled_gaps_are_percentiles_of_all_of_them(gaps: dict[int, int]) -> None:
    log = GapLog()
    for gap, times in gaps.items():
        log.add(gap * 1000, 0, times, 1)
    row = _latency_columns("itl", mean_and_percentiles(log, PERCENTS))
    pooled = [gap / 10**6 for gap, times in gaps.items() for _ in range(times)]
    # Columns are rounded to six decimals.
    assert row["itl_ms_mean"] == pytest.approx(np.mean(pooled), abs=1e-6)
    for percent in (50, 90, 95, 99):
        assert row[f"itl_ms_p{percent}"] == pytest.approx(np.percentile(pooled, percent), abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step_utilisation": 1.031}, "step_utilisation is 1.031"),
        ({"slo_attainment": -0.1}, "slo_attainment is -0.1"),
        ({"busy_link_share": nan}, "busy_link_share is nan"),
        (
            {"replica_utilisation": 2, "cached_token_share": "much"},
            "replica_utilisation is 2, cached_token_share is much",
        ),
    ],
)
def test_a_share_that_is_none_is_our_bug(
    row: dict[str, object], changes: dict[str, object], said: str
) -> None:
    """Every column whose unit is a share is looked at, and ratios may be what they are."""
    check_summary(row)
    check_summary(row | {"tpot_to_limit_ratio": 7.0, "cached_token_share": None})
    with pytest.raises(ConservationError, match=f"between 0 and 1: {said}$"):
        check_summary(row | changes)


def test_the_last_interval_may_reach_beyond_the_end(step: StepTiming) -> None:
    """A thousand intervals, all rows in use, in a run that ends half an interval sooner."""
    end_ps = 1000 * step.interval_ps - step.interval_ps // 2
    run = facts(step, arriving(0), end_ps=end_ps, requests=1)
    books = ReplicaBooks(
        0, busy_ps=1000 * step.interval_ps, rows_ps=1000 * step.rows * step.interval_ps
    )
    found = summarise_run(replace(run, totals=replace(run.totals, replicas=(books,))))
    for name in ("slot_row_utilisation", "step_utilisation", "replica_utilisation"):
        assert found[name] == 1
