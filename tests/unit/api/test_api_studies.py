"""`size` and `sweep` of `import rack_sim`: what they take, and that they are those below."""

import pandas as pd
import pytest

import rack_sim
from rack_sim.scenario import load_study
from rack_sim.study.kinds import run_study
from rack_sim.study.sizing import SizingRequest, size

GRID = """
kind: grid
name: small
scenario: llama70b
mode: explain
grid:
  partition.objective: [fewest_chips, lowest_latency]
  precision.weights: [int8, fp16]
collect: [chip_count]
"""
SEARCH = {"tensor_parallel": [8], "stages": [72], "replicas_max": 1, "request_count": 300}
SLO = {"ttft_p99": "2s", "tpot_p99": "10ms"}


def test_a_sweep_is_that_of_the_study(tmp_path):
    """By file and loaded; with changes as words and as a mapping."""
    file = tmp_path / "small.yaml"
    file.write_text(GRID, encoding="utf-8")
    whole = rack_sim.sweep(file)
    assert isinstance(whole, rack_sim.GridResult)
    frame = whole.frame()
    pd.testing.assert_frame_equal(frame, run_study(load_study(file)).frame())
    # fp16 weights need more chips than the scenario's 576.
    assert frame["status"].tolist() == ["ok", "infeasible"] * 2
    changes = {"serving.max_context_tokens": 2048}
    by_words = rack_sim.sweep(str(file), ["serving.max_context_tokens=2048"])
    by_keys = rack_sim.sweep(str(file), changes)
    loaded = rack_sim.sweep(load_study(file, ["serving.max_context_tokens=2048"]))
    assert by_words == by_keys == loaded
    assert by_words != whole
    with pytest.raises(rack_sim.InputError, match="takes no overrides"):
        rack_sim.sweep(load_study(file), changes)


def test_a_sweep_says_how_far_it_is(tmp_path):
    """And keeps finished rows in its journal."""
    file = tmp_path / "small.yaml"
    file.write_text(GRID, encoding="utf-8")
    shares, notes = [], []
    rack_sim.sweep(
        file,
        journal=tmp_path / "small.journal",
        on_progress=lambda _text, share: shares.append(share),
        on_note=notes.append,
    )
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    assert notes == []
    again = rack_sim.sweep(file, journal=str(tmp_path / "small.journal"), on_note=notes.append)
    assert isinstance(again, rack_sim.GridResult)
    assert again.resumed_count == 4
    assert notes


def test_too_many_points_are_refused(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(GRID, encoding="utf-8")
    with pytest.raises(rack_sim.InputError, match="4 points"):
        rack_sim.sweep(file, point_count_max=3)


def test_sizing_is_that_of_the_scenario():
    """By name with changes, and loaded."""
    changes = {"workload.arrivals.rate_rps": 1}
    scenario = rack_sim.load("llama70b", changes)
    by_name = rack_sim.size("llama70b", changes, slo=SLO, **SEARCH)
    loaded = rack_sim.size(scenario, slo="ttft_p99=2s,tpot_p99=10ms", **SEARCH)
    below = size(scenario, SizingRequest(SLO, **SEARCH))
    assert isinstance(by_name, rack_sim.Sizing)
    assert by_name.sizing_hash == loaded.sizing_hash == below.sizing_hash
    for other in (loaded, below):
        pd.testing.assert_frame_equal(by_name.frame(), other.frame())
    with pytest.raises(rack_sim.InputError, match="takes no overrides"):
        rack_sim.size(scenario, changes, slo=SLO)


def test_the_tables_of_other_studies_are_frames(tmp_path):
    """With the values and the columns of the CSV files, flags as flags."""
    file = tmp_path / "load.yaml"
    file.write_text(
        "{kind: load, name: small, scenario: llama70b, rates_rps: [2, 4], request_count: 100}",
        encoding="utf-8",
    )
    found = rack_sim.sweep(file)
    frames = rack_sim.study_frames(found)
    assert list(frames) == ["load.csv", "knee.csv"]
    load = frames["load.csv"]
    assert load["rate_rps"].tolist() == [2, 4]
    assert load["keeps_up"].tolist() == [row.keeps_up for row in found.points[0].rows]
    assert load["ttft_ms_p99"].tolist() == pytest.approx(
        [row.latencies_ms["ttft_ms_p99"] for row in found.points[0].rows]
    )
    jitter = {
        "step_count": 60,
        "warmup_step_count": 1,
        "operator_jitter_ns": [0],
        "points": [{"name": "rack", "overrides": {"partition.stages": 72}}],
    }
    slip = rack_sim.study_frames(rack_sim.sweep("jitter", jitter))["slip.csv"]
    assert slip["stage"].tolist() == list(range(72))
