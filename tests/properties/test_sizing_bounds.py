"""Bounds of sizing are never above what a replay measures, whatever serves and whatever comes."""

from dataclasses import replace
from pathlib import Path

import pytest

from rack_sim.metrics.slo import (
    METRICS,
    STATISTICS,
    AttainmentObjective,
    LatencyObjective,
    reading_of,
)
from rack_sim.pipeline import explain, simulate
from rack_sim.scenario import load_scenario
from rack_sim.study.load_row import row_of
from rack_sim.study.sizing.bounds import Bounds
from rack_sim.study.sizing.traffic import offered, traffic_of

SMALL = Path(__file__).parents[1] / "unit" / "cli"
OBJECTIVES = tuple(LatencyObjective(m, s, 10**10) for m in METRICS for s in STATISTICS)

SLOTS = {
    "plain": [],
    "request": ["serving.policy.kv_reservation=request"],
    "one_row": ["serving.slot_rows=1"],
    "stages": ["partition.stages=3"],
    "random": ["serving.router=random"],
    "shortest": ["serving.router=join_shortest_queue"],
    "sessions": ["serving.router=session_affinity"],
    "prefill": ["serving.policy.priority=prefill"],
    "buckets": ["serving.policy.context_buckets=[256, 2048]", "partition.stages=2"],
    "both": [
        "serving.policy.priority=prefill",
        "serving.policy.context_buckets=[256, 2048]",
    ],
    "draft": ["serving.speculation={draft_tokens: 1, acceptance: 0.9}"],
    "cache": ["serving.prefix_cache={capacity_mib: 64, block_tokens: 16}"],
    "priority": ["serving.queue=priority"],
    "same_lengths": [
        "workload.input_tokens={kind: fixed, tokens: 120}",
        "workload.output_tokens={kind: fixed, tokens: 30}",
        "workload.shared_prefix={tokens: 64, variants: 2, block_tokens: 16}",
    ],
    "single_tokens": ["workload.output_tokens={kind: fixed, tokens: 1}"],
}
BATCHES = {
    "plain": [],
    "chunks": ["serving.policy.chunk_tokens=48"],
    "two_stages": ["partition.stages=2"],
    "tensor": ["partition.tensor_parallel=4"],
    "draft": ["serving.speculation={draft_tokens: 3, acceptance: 0.8}"],
    "cache": ["serving.prefix_cache={capacity_mib: 64, block_tokens: 16}"],
    "short_of_blocks": ["serving.policy.kv_capacity_mib=18"],
    "shortest": ["serving.router=join_shortest_queue"],
    "hosts": ["system.chip.iteration_host_us=300"],
}
CASES = [("slots", name, changes) for name, changes in SLOTS.items()]
CASES += [("batches", name, changes) for name, changes in BATCHES.items()]


@pytest.mark.parametrize("rate", [5.0, 300.0])
@pytest.mark.parametrize(("kind", "name", "changes"), CASES, ids=[f"{a}-{b}" for a, b, _ in CASES])
def test_no_bound_is_above_what_is_measured(kind, name, changes, rate):
    """Every metric and statistic, from an empty machine to one that drowns."""
    scenario, _ = offered(load_scenario(SMALL / f"{kind}.yaml", changes), rate)
    found = explain(scenario)
    traffic = traffic_of(scenario, rate)
    slo = replace(scenario.slo, ttft_ps=20 * 10**9, tpot_ps=2 * 10**9)
    scenario = replace(scenario, slo=slo)
    objectives = (*OBJECTIVES, AttainmentObjective(slo, 0.5))
    bounds = Bounds(found, traffic, objectives)
    for count in (1, 4):
        served = replace(scenario, serving=replace(scenario.serving, replica_count=count))
        result = simulate(served, explanation=replace(found, scenario=served))
        row = row_of(result, rate)
        assert row.finished_count == traffic.fit_count, "nothing that fits is turned away"
        assert row.offered_rps == traffic.offered_rps
        measured = [
            reading_of(objective, result.summary, row.attainment["all"]) for objective in objectives
        ]
        for least, reading in zip(bounds.with_replicas(count), measured, strict=True):
            if isinstance(least.objective, AttainmentObjective):
                assert least.value >= reading.value
            else:
                assert (least.value is None) == (reading.value is None)
                assert least.value is None or least.value <= reading.value, least.objective.name
        if "prefix_cache" not in "".join(changes):
            assert (count >= bounds.fewest_by_rows()) == (
                row.capacity_rps is None or row.offered_rps <= row.capacity_rps
            )
        # What is measured can be met, so the rows must be there in time.
        for reading in measured:
            if isinstance(reading.objective, LatencyObjective) and reading.value is not None:
                bound_ps = round(reading.value * 10**9)
                met = replace(reading.objective, bound_ps=bound_ps)
                assert Bounds(found, traffic, [met]).fewest_in_time() <= count, met.name


def test_a_request_alone_is_bounded_closely():
    """On static slots the bound is what happens, but for the wait for the next entry."""
    scenario, _ = offered(load_scenario(SMALL / "slots.yaml"), 0.5)
    found = explain(scenario)
    traffic = traffic_of(scenario, 0.5)
    bounds = Bounds(found, traffic, OBJECTIVES)
    summary = simulate(scenario, explanation=found).summary
    interval_ms = found.step.interval_ps / 10**9
    for reading in bounds.with_replicas(scenario.serving.replica_count):
        if reading.objective.metric in ("ttft", "e2el", "tpot"):
            value = summary[reading.objective.column]
            assert reading.value <= value <= reading.value + interval_ms
