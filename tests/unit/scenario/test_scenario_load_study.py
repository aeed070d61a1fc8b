"""Load studies: what a file may say, and where it is wrong."""

from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import LoadStudy, load_scenario, load_study, resolved_yaml

STUDY = """kind: load
name: mine
scenario: base.yaml
rates_rps: [1, 2.5]
attainment: 0.9
request_count: 20
"""
POINTS = """points:
  - name: as it is
  - name: two rows
    overrides: {serving.slot_rows: 2}
"""


@pytest.fixture(autouse=True)
def base(small: str) -> None:
    Path("base.yaml").write_text(small, encoding="utf-8")


def load(text: str = STUDY, *overrides: str) -> LoadStudy:
    Path("study.yaml").write_text(text, encoding="utf-8")
    study = load_study("study.yaml", overrides)
    assert isinstance(study, LoadStudy)
    return study


def said(text: str = STUDY, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(text, *overrides)
    return [str(problem) for problem in caught.value.problems]


def test_without_points_the_scenario_is_the_machine() -> None:
    study = load()
    assert [point.name for point in study.points] == ["small"]
    assert study.points[0].scenario.resolved == load_scenario("base.yaml").resolved
    assert (study.rates_rps, study.attainment, study.request_count) == ((1, 2.5), 0.9, 20)
    assert load(STUDY.replace("rates_rps: [1, 2.5]\n", "")).rates_rps is None
    assert load(STUDY.replace("[1, 2.5]", "auto")).rates_rps is None


def test_points_and_changes() -> None:
    study = load(STUDY + POINTS, "attainment=0.5", "precision.kv=fp8", "seed=4")
    assert [point.name for point in study.points] == ["as it is", "two rows"]
    assert study.attainment == 0.5
    for point, rows in zip(study.points, (1, 2), strict=True):
        assert point.scenario.resolved["precision"]["kv"] == "fp8"
        assert point.scenario.resolved["serving"]["slot_rows"] == rows
        assert point.scenario.seed == 4, "a load study draws nothing of its own"


@pytest.mark.parametrize("text", [STUDY, STUDY + POINTS, STUDY.replace("[1, 2.5]", "auto")])
def test_the_resolved_study_is_the_study(text: str) -> None:
    study = load(text)
    Path("base.yaml").unlink()
    Path("resolved.yaml").write_text(resolved_yaml(study), encoding="utf-8")
    again = load_study("resolved.yaml")
    assert again.resolved == study.resolved
    assert again.study_hash == study.study_hash


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("attainment", "atainment", "study.yaml:5:1: unknown key 'atainment' (did you mean 'att"),
        ("[1, 2.5]", "[2.5, 1]", "study.yaml:4:1: rates_rps: must rise from value to value; given"),
        ("[1, 2.5]", "[1, 1]", "study.yaml:4:1: rates_rps: must rise from value to value"),
        ("[1, 2.5]", "[1, 0]", "study.yaml:4:16: rates_rps.1: 0 is out of range"),
        ("[1, 2.5]", "[1, x]", "study.yaml:4:16: rates_rps.1: 'x' is not a number"),
        ("[1, 2.5]", "[]", "study.yaml:4:1: rates_rps: needs at least 1 entries"),
        ("[1, 2.5]", "atuo", "study.yaml:4:1: rates_rps: 'atuo' is not known (did you mean 'auto'"),
        ("[1, 2.5]", "7", "study.yaml:4:1: rates_rps: 7 is not a list"),
        ("rates_rps", "rates_khz", "study.yaml:4:1: unknown key 'rates_khz'"),
        ("0.9", "0", "study.yaml:5:1: attainment: 0 is out of range: it must be above 0"),
        ("0.9", "99", "study.yaml:5:1: attainment: 99 is out of range: it must be at most 1"),
        ("count: 20", "count: 0", "study.yaml:6:1: request_count: 0 is out of range"),
        ("count: 20", "count: 20\nduration_s: 5", "study.yaml:6:1: request_count: there is a dur"),
        ("scenario: base.yaml\n", "", "study.yaml:1:1: has neither a scenario nor points"),
        ("base.yaml", "bse", "study.yaml:3:1: no scenario is called 'bse'"),
        ("kind: load", "kind: lod", "study.yaml:1:1: 'lod' is no kind of study (did you mean 'lo"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(old: str, new: str, message: str) -> None:
    assert STUDY.count(old) == 1
    found = said(STUDY.replace(old, new))
    assert any(item.startswith(message) for item in found), found
    assert len(found) == 1, found


def closed_loop(text: str) -> str:
    text = text.replace("kind: synthetic", "kind: closed_loop\n  users: 3")
    return text.replace("  arrivals: {kind: poisson, rate_rps: 20}\n", "")


def test_a_closed_loop_is_refused_where_it_says_so(small: str) -> None:
    """In the scenario's file; where the change that makes it one stands; or in the study."""
    Path("base.yaml").write_text(closed_loop(small), encoding="utf-8")
    (found,) = said()
    place = "base.yaml:9:3: workload.kind: a closed loop has no rate that could be raised"
    assert found == f"{place}: its load is its users (synthetic or trace)"
    Path("base.yaml").write_text(small, encoding="utf-8")
    loop = (
        "{kind: closed_loop, users: 2, request_count: 9, "
        "input_tokens: {kind: fixed, tokens: 5}, output_tokens: {kind: fixed, tokens: 5}}"
    )
    points = f"points:\n  - name: users\n    overrides: {{workload: {loop}}}\n"
    (found,) = said(STUDY + points)
    assert found.startswith("study.yaml:9:17: workload")
    assert "closed loop has no rate" in found
    (found,) = said(STUDY, f"workload={loop}")
    assert found.startswith("--set workload=")


def test_what_has_no_rate_or_no_duration_is_refused(small: str) -> None:
    at_once = small.replace("{kind: poisson, rate_rps: 20}", "{kind: constant, gap_ms: 0}")
    Path("base.yaml").write_text(at_once, encoding="utf-8")
    (found,) = said()
    assert found.startswith("base.yaml:10:3: workload.arrivals: all requests arrive at once")
    Path("own.csv").write_text("arrival_s,input_tokens,output_tokens\n0,5,5\n1,5,5\n")
    Path("base.yaml").write_text(small, encoding="utf-8")
    trace = "workload={kind: trace, path: own.csv}"
    assert load(STUDY, trace).rates_rps == (1, 2.5)
    (found,) = said(STUDY.replace("request_count: 20", "duration_s: 9"), trace)
    assert "cannot be given a duration" in found
