"""Load studies: each row is a run at that rate, and rows together say where the knee is."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.pipeline import explain, simulate
from rack_sim.scenario import LoadStudy, load_scenario, load_study
from rack_sim.study import load
from rack_sim.study.knee import bracket
from rack_sim.study.load import LoadPoint, with_plan
from rack_sim.study.load_row import SATURATION, replay_rate
from rack_sim.study.options import StudyOptions

SMALL = Path(__file__).parents[1] / "scenario" / "small.yaml"
# The plan that would be found: looking for it takes longer than a replay.
PLAN = ["partition.tensor_parallel=8", "partition.stages=6"]


def study_of(tmp_path: Path, *lines: str, slo: str = "{ttft_ms: 60}", **keys: str) -> LoadStudy:
    text = (
        SMALL.read_text(encoding="utf-8")
        + f"slo: {slo}\npartition: {{tensor_parallel: 8, stages: 6}}\n"
    )
    (tmp_path / "base.yaml").write_text(text, encoding="utf-8")
    content = {"kind": "load", "name": "mine", "scenario": "base.yaml", **keys}
    path = tmp_path / "study.yaml"
    path.write_text("\n".join([*(f"{key}: {value}" for key, value in content.items()), *lines]))
    study = load_study(path)
    assert isinstance(study, LoadStudy)
    return study


def lone(study: LoadStudy) -> LoadPoint:
    (point,) = load.run(study).points
    return point


def test_a_row_is_what_a_run_at_that_rate_says() -> None:
    own = load_scenario(SMALL, ["slo.ttft_ms=60", *PLAN])
    row = replay_rate(own, 35.0)
    run = simulate(load_scenario(SMALL, [*PLAN, "slo.ttft_ms=60", "workload.arrivals.rate_rps=35"]))
    for name, value in row.latencies_ms.items():
        assert value == run.summary[name]
    assert row.slo_attainment == run.summary["slo_attainment"]
    assert row.finished_count == run.summary["finished_count"]
    met = sum(
        int((chunk["first_token_ps"] - chunk["arrival_ps"] <= 60 * 10**9).sum())
        for chunk in run.collector.requests.chunks()
    )
    assert row.attainment == {"ttft": met / 50, "all": met / 50}


def test_what_is_too_long_does_not_count() -> None:
    """Of 50 requests a part is beyond the context: no load changes that."""
    changes = [
        "workload.input_tokens={kind: lognormal, mean_tokens: 500, p50_tokens: 300}",
        "slo.ttft_ms=60000",
        *PLAN,
    ]
    row = replay_rate(load_scenario(SMALL, changes), 5.0)
    assert 0 < row.rejected_count < 50
    assert row.attainment["all"] == 1
    assert row.slo_attainment == pytest.approx(1 - row.rejected_share)
    assert row.meets(1)


def test_replays_are_independent_and_can_be_sent_away() -> None:
    scenario = load_scenario(SMALL, PLAN)
    function, arguments = pickle.loads(pickle.dumps((replay_rate, (scenario, 30.0))))
    assert function(*arguments) == replay_rate(scenario, 30.0)
    assert pickle.loads(pickle.dumps(replay_rate(scenario, 30.0))) == replay_rate(scenario, 30.0)


def test_the_plan_that_is_asked_for_is_the_one_that_is_found() -> None:
    scenario = load_scenario(SMALL)
    found, asked = explain(scenario), explain(with_plan(scenario))
    assert asked.plan.stages == found.plan.stages
    assert asked.step.slots == found.step.slots
    assert asked.limits == found.limits
    assert (found.plan.tensor_parallel, found.plan.stage_count) == (8, 6), "PLAN"


def telling(seen: list[float]) -> StudyOptions:
    """Options that note every share of the work that is told."""
    return StudyOptions(on_progress=lambda _text, share: seen.append(share))


def test_rates_that_are_given_are_replayed_and_no_others(tmp_path: Path) -> None:
    seen: list[float] = []
    study = study_of(tmp_path, rates_rps="[5, 30, 200]", attainment="0.5", request_count="100")
    result = load.run(study, telling(seen))
    (point,) = result.points
    assert [row.rate_rps for row in point.rows] == [5, 30, 200]
    assert all(row.request_count == 100 for row in point.rows)
    assert (point.knee.met, point.knee.failed) == (point.rows[1], point.rows[2])
    assert point.limited_by == SATURATION
    assert seen == sorted(seen)
    assert 0 <= seen[0] < seen[-1] <= 1


def test_both_knees_are_found(tmp_path: Path) -> None:
    seen: list[float] = []
    study = study_of(tmp_path, knee_precision="0.1")
    (point,) = load.run(study, telling(seen)).points
    assert seen == sorted(seen)
    assert 0 <= seen[0] < seen[-1] <= 1
    assert point.knee.width <= 0.1
    assert point.saturation.width <= 0.1
    assert point.limited_by == "ttft"
    rates = [row.rate_rps for row in point.rows]
    assert rates == sorted(set(rates))
    assert 20 in rates, "the scenario's own"
    assert point.knee == bracket(point.rows, lambda row: row.meets(0.99))
    kept = point.saturation.met
    assert kept is not None
    assert point.capacity_rps is not None
    assert 0.85 < kept.offered_rps / point.capacity_rps <= 1


def test_without_objectives_the_knee_is_saturation(tmp_path: Path) -> None:
    point = lone(study_of(tmp_path, slo="{}", rates_rps="[5, 200]"))
    assert point.knee == point.saturation
    assert point.limited_by == SATURATION
    assert point.rows[0].attainment == {}


def test_an_objective_that_no_rate_meets(tmp_path: Path) -> None:
    point = lone(study_of(tmp_path, slo="{tpot_ms: 0.5, ttft_ms: 60}", knee_precision="0.2"))
    assert point.knee.met is None
    assert point.limited_by == "tpot"
    assert point.saturation.met is not None


def test_a_duration_gives_each_rate_as_many_requests_as_arrive(tmp_path: Path) -> None:
    rows = lone(study_of(tmp_path, rates_rps="[10, 20]", duration_s="10")).rows
    for row in rows:
        assert row.request_count == pytest.approx(10 * row.rate_rps, rel=0.3)
        assert row.arrival_span_s < 10


def test_a_run_that_is_over_too_soon_is_told(tmp_path: Path) -> None:
    """Five requests cannot show what a machine keeps up with."""
    short = lone(study_of(tmp_path, rates_rps="[1, 400]", request_count="9"))
    assert short.is_short
    assert not lone(study_of(tmp_path, rates_rps="[1, 400]", request_count="200")).is_short


def test_nothing_served_is_refused(tmp_path: Path) -> None:
    study = study_of(tmp_path, rates_rps="[0.01]", duration_s="0.001")
    with pytest.raises(InputError, match="nothing is served"):
        load.run(study)
    too_long = "{workload.input_tokens: {kind: fixed, tokens: 5000}}"
    points = ["points:", "  - {name: all too long, overrides: " + too_long + "}"]
    with pytest.raises(InputError, match="all too long: at 1 requests/s nothing is served"):
        load.run(study_of(tmp_path, *points, rates_rps="[1]"))


def test_the_same_study_gives_the_same_rows(tmp_path: Path) -> None:
    study = study_of(tmp_path, rates_rps="[5, 30, 60]")
    assert load.run(study).points == load.run(study).points
    other = replace(study, rates_rps=(30.0,))
    assert lone(other).rows == load.run(study).points[0].rows[1:2], "each rate on its own"
