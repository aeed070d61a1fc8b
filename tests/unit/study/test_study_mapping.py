"""Mapping study: held against the compiler, the partitioner's own choice, and the definitions."""

from itertools import product
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.foundation.units import PS_PER_MS, PS_PER_S
from rack_sim.pipeline import explain
from rack_sim.record.store import read, write
from rack_sim.record.table import Row
from rack_sim.report.kinds import story_of
from rack_sim.scenario import load_scenario, load_study
from rack_sim.study import mapping

UNIT = Path(__file__).parents[1] / "cli"
OBJECTIVES = ("fewest_chips", "lowest_latency", "most_tokens_per_chip")
DEGREES, STAGES = (1, 2, 4, 8), range(1, 9)


def mapped(tmp_path: Path, scenario: str, *overrides: str) -> list[Row]:
    path = tmp_path / "study.yaml"
    path.write_text(f"kind: mapping\nname: cuts\nscenario: {UNIT / scenario}.yaml\n")
    result = mapping.run(load_study(path, list(overrides)))
    return list(result.tables["mapping.csv"].records)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_cut_is_there_with_what_the_compiler_says_of_it(
    tmp_path: Path, objective: str
) -> None:
    rows = mapped(tmp_path, "slots", f"partition.objective={objective}")
    room = {(d, s) for d, s in product(DEGREES, STAGES) if d * s <= 8}
    assert {(row["tensor_parallel"], row["stage_count"]) for row in rows} == room
    for row in rows:
        cut = (
            f"partition.tensor_parallel={row['tensor_parallel']}",
            f"partition.stages={row['stage_count']}",
            f"partition.objective={objective}",
            "serving.replicas=1",
        )
        step = explain(load_scenario(str(UNIT / "slots.yaml"), cut)).step
        assert row["status"] == "ok"
        assert row["chip_count"] == step.plan.chip_count
        assert row["sequence_count"] == step.slot_count * step.rows
        assert row["token_gap_ms"] == pytest.approx(step.revolution_ps / PS_PER_MS)
        assert row["tok_s"] == pytest.approx(step.rows * PS_PER_S / step.interval_ps)
        capacity, used = step.plan.system.chip.capacity_bytes, step.plan.used_bytes_max
        assert row["memory_margin_share"] == pytest.approx(1 - used / capacity, abs=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_auto_takes_has_the_best_score(tmp_path: Path, objective: str) -> None:
    rows = mapped(tmp_path, "slots", f"partition.objective={objective}")
    worth = {
        "fewest_chips": [1 / float(row["chip_count"] or 0) for row in rows],
        "lowest_latency": [1 / float(row["token_gap_ms"] or 0) for row in rows],
        "most_tokens_per_chip": [float(row["tok_s_per_chip"] or 0) for row in rows],
    }[objective]
    for row, own in zip(rows, worth, strict=True):
        assert row["score"] == pytest.approx(own / max(worth), abs=1e-5)
    (chosen,) = [row for row in rows if row["is_chosen"]]
    assert chosen["score"] == 1
    free = load_scenario(
        str(UNIT / "slots.yaml"),
        [
            "partition.tensor_parallel=auto",
            "partition.stages=auto",
            f"partition.objective={objective}",
        ],
    )
    plan = explain(free).plan
    assert (chosen["tensor_parallel"], chosen["stage_count"]) == (
        plan.tensor_parallel,
        plan.stage_count,
    )


def test_nothing_beats_the_frontier_and_it_beats_everything_else(tmp_path: Path) -> None:
    rows = mapped(tmp_path, "slots")
    scores = [
        (
            -float(row["chip_count"] or 0),
            -float(row["token_gap_ms"] or 0),
            float(row["tok_s_per_chip"] or 0),
        )
        for row in rows
    ]
    for row, mine in zip(rows, scores, strict=True):
        beaten = [
            its
            for its in scores
            if its != mine and all(b >= a for a, b in zip(mine, its, strict=True))
        ]
        assert row["is_on_frontier"] == (not beaten)
    assert {row["is_on_frontier"] for row in rows} == {True, False}


def test_reactive_chips_are_told_by_their_iterations(tmp_path: Path) -> None:
    rows = mapped(tmp_path, "batches")
    assert {row["status"] for row in rows} == {"ok"}
    for row in rows:
        # 64 MiB of cache a chip at 8 KiB a token, of all layers, hold four sequences of 2,048.
        sequences = int(row["sequence_count"] or 0)
        if row["stage_count"] == 1:
            assert sequences == min(16, 4 * int(row["tensor_parallel"] or 0))
        seconds = float(row["token_gap_ms"] or 0) / 1000
        assert row["tok_s"] == pytest.approx(sequences / seconds, rel=1e-6)
        assert 0 < float(row["memory_margin_share"] or 0) < 1


def test_only_what_was_asked_for_is_looked_at(tmp_path: Path) -> None:
    rows = mapped(tmp_path, "slots", "tensor_parallel=[2]", "stages=[1,3]")
    assert [(row["tensor_parallel"], row["stage_count"]) for row in rows] == [(2, 1), (2, 3)]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        mapped(tmp_path, "slots", "tensor_parallel=[3]")
    with pytest.raises(InfeasibleError):
        mapped(tmp_path, "slots", "model.hidden_size=65536", "model.intermediate_size=524288")


def test_it_is_told_in_every_way_from_its_record(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"kind: mapping\nname: cuts\nscenario: {UNIT / 'slots'}.yaml\n")
    folder = tmp_path / "cuts"
    folder.mkdir()
    write(mapping.run(load_study(path)).record(1.0), folder)
    record = read(folder)
    story = story_of("mapping")
    first, second = story.answers(record)
    assert "auto takes" in first
    assert "15 cuts hold the model" in second
    (panels,) = story.charts(record)
    points = [one for chart in panels.charts for one in chart.series]
    assert sum(len(one.x) for one in points) == 2 * 15, "every cut, on both charts"
    (table,) = story.text(record)
    assert not isinstance(table, str)
    assert "auto" in table.rows[0][-1] or any("auto" in row[-1] for row in table.rows)
    assert len(story.page(record).sections) > 3
