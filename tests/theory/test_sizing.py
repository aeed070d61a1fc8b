"""Sizing against brute force: on small spaces every candidate is replayed, the best is picked.

The brute force shares nothing with the search but the replay itself: no bound, no order, no
pruning, and its own words for what a candidate must do and what it costs.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InfeasibleError
from rack_sim.metrics.slo import parse_slo
from rack_sim.pipeline import explain, simulate
from rack_sim.scenario import Scenario, load_scenario
from rack_sim.study.load_row import row_of
from rack_sim.study.sizing import SizingRequest, size
from rack_sim.study.sizing.bounds import REPLICAS_MOST, Bounds, fewest
from rack_sim.study.sizing.traffic import traffic_of
from rack_sim.workload.offered import at_rate

SMALL = Path(__file__).parents[1] / "unit" / "cli"
REQUESTS = 200
SPACES = {
    # name -> tensor-parallel degrees, numbers of stages, most replicas
    "slots": ((2, 4), (1, 2, 3), 5),
    "batches": ((1, 2), (1, 2), 6),
}
# Where nearly all power is that of busy chips, and electricity is dear, goals pull apart.
PULLED = [
    "system.chip.idle_watts={value: 1, assumed: test}",
    "system.host_watts_per_node={value: 0, assumed: test}",
    "cost.electricity_usd_per_kwh={value: 300, assumed: test}",
]
SPACES["slots pulled"] = SPACES["slots"]


def scenario_of(name: str) -> Scenario:
    kind, _, pulled = name.partition(" ")
    changes = [
        "partition={objective: most_tokens_per_chip}",
        "serving.replicas=1",
        *(PULLED if pulled else []),
    ]
    return load_scenario(SMALL / f"{kind}.yaml", changes)


class Replayed:
    """Every candidate of a space at one rate, each replayed once."""

    def __init__(self, name: str, rate_rps: float) -> None:
        scenario = scenario_of(name)
        self.cost = scenario.cost
        self.rows = {}
        degrees, stages, most = SPACES[name]
        workload = at_rate(scenario.workload, rate_rps)
        for degree, stage_count in product(degrees, stages):
            if degree * stage_count > scenario.deployment.system.active_chip_count:
                continue
            deployment = replace(
                scenario.deployment, tensor_parallel=degree, stage_count=stage_count
            )
            found = None
            for count in range(1, most + 1):
                candidate = replace(
                    scenario,
                    deployment=deployment,
                    workload=workload,
                    serving=replace(scenario.serving, replica_count=count),
                )
                if found is None:
                    found = explain(candidate)
                result = simulate(candidate, explanation=replace(found, scenario=candidate))
                fits = sum(
                    r.input_tokens + r.output_tokens <= 2048 for r in workload.open().arrivals()
                )
                served = result.summary["finished_count"] == fits
                kept = row_of(result, rate_rps).keeps_up
                self.rows[degree, stage_count, count] = (result.summary, served and kept)

    def usd_per_year(self, summary) -> float:
        """All year round as in the run (the scenarios leave utilisation at 1)."""
        kwh = summary["mean_watts"] / 1000 * 365.25 * 24
        return (
            summary["capital_usd"] / self.cost.amortisation_years
            + kwh * self.cost.electricity_usd_per_kwh
        )

    def best(self, bounds_ms: dict[str, float]) -> dict[str, tuple[int, int, int]] | None:
        """The best candidate for each goal; None where nothing meets the bounds."""
        ranks: dict[str, list] = {"fewest_chips": [], "cheapest": [], "least_power": []}
        for key, (summary, good) in self.rows.items():
            if not good or any(summary[name] > bound for name, bound in bounds_ms.items()):
                continue
            used = summary["chip_count"]
            bought = used + summary["spare_chip_count"] + summary["idle_chip_count"]
            usd, watts = round(self.usd_per_year(summary)), round(summary["mean_watts"])
            ranks["fewest_chips"].append((bought, used, usd, key))
            ranks["cheapest"].append((usd, bought, used, key))
            ranks["least_power"].append((watts, bought, used, key))
        return (
            {goal: min(found)[-1] for goal, found in ranks.items()} if ranks["cheapest"] else None
        )


def check(name: str, known: Replayed, rate_rps: float, bounds_ms: dict[str, float]) -> str:
    """Search and brute force agree; returns what the search found, for the examples' sake."""
    degrees, stages, most = SPACES[name]
    asked = {column.replace("_ms_", "_"): f"{bound}ms" for column, bound in bounds_ms.items()}
    expected = known.best(bounds_ms)
    try:
        found = size(
            scenario_of(name),
            SizingRequest(
                asked,
                rate_rps,
                tensor_parallel=degrees,
                stages=stages,
                replicas_max=most,
                request_count=REQUESTS,
            ),
        )
    except InfeasibleError:
        assert expected is None
        return "unreachable"
    answers = {
        goal: (
            answer.candidate.shape.tensor_parallel,
            answer.candidate.shape.stage_count,
            answer.candidate.replica_count,
        )
        for goal, answer in found.answers.items()
    }
    assert answers == expected
    for candidate in found.candidates:
        key = (
            candidate.shape.tensor_parallel,
            candidate.shape.stage_count,
            candidate.replica_count,
        )
        summary, good = known.rows[key]
        meets = good and all(summary[column] <= bound for column, bound in bounds_ms.items())
        if candidate.verdict == "pruned":
            # Pruned by the clock of an objective, or by rows: it really fails.
            assert candidate.reason == "better_known" or not meets, candidate
            assert candidate.mean_watts <= summary["mean_watts"]
            assert candidate.usd_per_year <= known.usd_per_year(summary)
        else:
            assert (candidate.verdict == "meets") == meets, candidate
            assert candidate.mean_watts == summary["mean_watts"]
            # Cents are rounded off on both sides.
            assert candidate.usd_per_year == pytest.approx(known.usd_per_year(summary), abs=0.01)
        for reading in candidate.readings:
            value = summary[reading.objective.column]
            assert (
                reading.value <= value
                if candidate.verdict == "pruned"
                else (reading.value == value)
            )
    return "found"


RATES = {"slots": (60, 150, 300), "batches": (50, 1500), "slots pulled": (60, 150)}
CASES = [(name, rate) for name, rates in RATES.items() for rate in rates]
SHARES = st.sampled_from([0.3, 0.6, 0.9, 1.0, 1.1, 1.6, 4.0])


@pytest.fixture(scope="module")
def everything() -> dict[tuple[str, float], Replayed]:
    return {case: Replayed(*case) for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    columns=st.sets(
        st.sampled_from(
            ["ttft_ms_p99", "ttft_ms_mean", "tpot_ms_p99", "e2el_ms_p90", "itl_ms_p95"]
        ),
        min_size=1,
        max_size=2,
    ),
    shares=st.tuples(SHARES, SHARES),
    middle=st.integers(0, 10**6),
)
def test_the_answers_are_those_of_brute_force(everything, case, columns, shares, middle):
    """Bounds are drawn around what some candidate measures, so that some meet and some do not."""
    name, rate = case
    known = everything[case]
    values = list(known.rows.values())
    summary, _ = values[middle % len(values)]
    bounds = {
        column: max(round(summary[column] * share, 6), 0.001)
        for column, share in zip(sorted(columns), shares, strict=False)
    }
    check(name, known, rate, bounds)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_just_meets_is_found_and_what_just_does_not_is_not(everything, case):
    """A bound that the smallest candidate that keeps up just meets, and a nanosecond less."""
    name, rate = case
    known = everything[case]
    best = known.best({})
    assert best is not None, "at these rates something keeps up"
    value = known.rows[best["fewest_chips"]][0]["ttft_ms_p99"]
    assert check(name, known, rate, {"ttft_ms_p99": value}) == "found"
    check(name, known, rate, {"ttft_ms_p99": round(value - 1e-6, 6)})
    least = min(summary["ttft_ms_p99"] for summary, _ in known.rows.values())
    assert check(name, known, rate, {"ttft_ms_p99": round(least - 1e-6, 6)}) == "unreachable"


def test_three_goals_can_have_different_answers(everything):
    """Bounds at which brute force has two answers or three; the search has the same."""
    case = name, rate = ("slots pulled", 150)
    known = everything[case]
    apart = []
    for summary, _ in known.rows.values():
        bounds = {"ttft_ms_p99": summary["ttft_ms_p99"]}
        best = known.best(bounds)
        if best and len(set(best.values())) > 1:
            apart.append(bounds)
    assert apart
    for bounds in apart:
        assert check(name, known, rate, bounds) == "found"


def test_the_scenarios_own_slo_is_a_share_of_requests(everything):
    name, rate = case = ("slots", 150)
    known = everything[case]
    some = [s["ttft_ms_p50"] for s, _ in known.rows.values()]
    scenario = scenario_of(name)
    bound_ms = sorted(some)[len(some) // 2]
    judged = replace(scenario, slo=replace(scenario.slo, ttft_ps=round(bound_ms * 10**9)))
    asked = SizingRequest(
        rate_rps=rate, attainment=0.4, tensor_parallel=(2, 4), stages=(1, 2, 3),
        replicas_max=5, request_count=REQUESTS,
    )  # fmt: skip
    found = size(judged, asked)
    # At a share of 0.4 the median may be above the bound, at one of 0.6 it is not.
    best = found.answers["fewest_chips"].candidate
    reading = best.readings[0]
    assert reading.value >= 0.4
    assert best.verdict == "meets"
    stricter = size(judged, replace(asked, attainment=0.6)).answers["fewest_chips"].candidate
    key = (stricter.shape.tensor_parallel, stricter.shape.stage_count, stricter.replica_count)
    assert known.rows[key][0]["ttft_ms_p50"] <= bound_ms
    assert stricter.rank("fewest_chips") >= best.rank("fewest_chips")


@given(threshold=st.integers(1, 5000))
def test_gallop_and_bisection_are_a_linear_search(threshold):
    assert fewest(lambda count: count >= threshold) == next(
        count for count in range(1, 6000) if count >= threshold
    )


def test_what_never_is_enough_ends():
    assert fewest(lambda count: False) == REPLICAS_MOST


@pytest.mark.parametrize("rate", [2000, 9000, 30_000])
@pytest.mark.parametrize("name", list(SPACES))
def test_the_bounds_that_are_bisected_are_monotone(name, rate):
    """What bisection finds is what a linear search finds, since the bound never turns back."""
    scenario = scenario_of(name)
    scenario = replace(scenario, workload=at_rate(scenario.workload, rate))
    found, traffic = explain(scenario), traffic_of(scenario, rate)
    for text in ("ttft_p50=20ms", "ttft_p99=1ms", "e2el_p90=60ms"):
        bounds = Bounds(found, traffic, parse_slo(text))
        in_time = bounds._in_time(bounds.objectives[0])
        answers = [in_time(count) for count in range(1, 65)]
        assert answers == sorted(answers)
        linear = next((n for n, good in enumerate(answers, 1) if good), None)
        least = bounds.fewest_in_time()
        assert least == linear or (linear is None and least > 64)
