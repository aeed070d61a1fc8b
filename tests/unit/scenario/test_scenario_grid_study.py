"""Grid studies: what a file may say, where it is wrong, and what its points are."""

import json
from itertools import product
from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import (
    GridStudy,
    load_scenario,
    load_study,
    resolved_yaml,
    scenario_of_point_keys,
)

STUDY = """kind: grid
name: mine
scenario: base.yaml
overrides: {partition.tensor_parallel: 8}
points:
  - name: one row
  - name: two rows
    overrides: {serving.slot_rows: 2}
grid:
  partition.stages: [1, 2, 4]
  precision.kv: [fp16, fp8]
collect: [chip_count, ttft_ms_p99]
"""


@pytest.fixture(autouse=True)
def base(small: str) -> None:
    Path("base.yaml").write_text(small, encoding="utf-8")


def load(text: str = STUDY, *overrides: str) -> GridStudy:
    Path("study.yaml").write_text(text, encoding="utf-8")
    study = load_study("study.yaml", overrides)
    assert isinstance(study, GridStudy)
    return study


def said(text: str = STUDY, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(text, *overrides)
    return [str(problem) for problem in caught.value.problems]


def test_the_points_are_every_combination_in_order() -> None:
    study = load()
    points = list(study.combinations())
    assert study.point_count == len(points) == 12
    wanted = product((1, 2), (1, 2, 4), ("fp16", "fp8"))
    for number, (point, (rows, stages, kv)) in enumerate(zip(points, wanted, strict=True)):
        changes = [
            "partition.tensor_parallel=8",
            f"serving.slot_rows={rows}",
            f"partition.stages={stages}",
            f"precision.kv={kv}",
        ]
        found = scenario_of_point_keys(point.base.keys, point.base.folder, point.changes)
        assert found.resolved == load_scenario("base.yaml", changes).resolved
        assert point.number == number
    assert points[0].name == "one row, stages=1, kv=fp16"
    assert len({point.digest for point in points}) == 12
    assert len({point.name for point in points}) == 12


def test_a_point_is_plain_data() -> None:
    """Another machine gets it as it is; nothing of this process is in it."""
    for point in load().combinations():
        assert json.loads(json.dumps(point.base.keys)) == point.base.keys


def test_several_keys_may_get_one_value() -> None:
    links = [f"system.links.{kind}.latency_ns" for kind in ("local", "global")]
    text = STUDY.replace(
        "  partition.stages: [1, 2, 4]\n",
        f"  hop_ns: {{keys: [{', '.join(links)}], values: [100, 200]}}\n",
    )
    point = list(load(text).combinations())[-1]
    found = scenario_of_point_keys(point.base.keys, point.base.folder, point.changes)
    for kind in ("local", "global"):
        assert found.resolved["system"]["links"][kind]["latency_ps"]["value"] == 200_000
    assert load(text, "grid.hop_ns=[7, 8, 9]").axes[0].choices == (7, 8, 9)
    twice = text.replace("  hop_ns", f"  {links[0]}: [1]\n  hop_ns")
    assert any(f"{links[0]} clashes with {links[0]}" in item for item in said(twice))


def test_the_resolved_study_is_the_study() -> None:
    """Whatever the base scenario says by then: its content is in the file."""
    study = load()
    Path("base.yaml").unlink()
    Path("elsewhere").mkdir()
    Path("elsewhere/resolved.yaml").write_text(resolved_yaml(study), encoding="utf-8")
    again = load_study("elsewhere/resolved.yaml")
    assert isinstance(again, GridStudy)
    assert again.study_hash == study.study_hash
    assert again.resolved == study.resolved
    digests = [[point.digest for point in one.combinations()] for one in (study, again)]
    assert digests[0] == digests[1]


def test_the_hash_tells_studies_apart() -> None:
    changes = (
        (),
        ("mode=explain", "collect=[chip_count]"),
        ("grid.partition.stages=[1, 2]",),
        ("seed=5",),
        ("grid.partition.stages=[2, 1, 4]",),
    )
    assert len({load(STUDY, *change).study_hash for change in changes}) == len(changes)
    first = load().study_hash
    Path("base.yaml").write_text(Path("base.yaml").read_text().replace("seed: 1", "seed: 2"))
    assert load().study_hash != first


def test_a_preset_that_changes_changes_the_point(small: str) -> None:
    """A value that names a file stands for what is in it."""
    text = STUDY.replace("  precision.kv: [fp16, fp8]", "  system: [groq-rack-72, mine.yaml]")
    preset = load_scenario("base.yaml").resolved["system"]
    Path("mine.yaml").write_text(json.dumps({**preset, "name": "mine"}), encoding="utf-8")
    before = [point.digest for point in load(text).combinations()]
    Path("mine.yaml").write_text(json.dumps({**preset, "name": "other"}), encoding="utf-8")
    after = [point.digest for point in load(text).combinations()]
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same == [True, False] * 6
    assert load(text).axes[1].labels == ("groq-rack-72", "mine.yaml")


def test_a_change_goes_to_the_study_the_grid_or_every_point() -> None:
    study = load(STUDY, "serving.max_context_tokens=512", "grid.precision.kv=[fp8]", "name=other")
    assert study.name == "other"
    assert study.axes[1].choices == ("fp8",)
    for point in study.combinations():
        found = scenario_of_point_keys(point.base.keys, point.base.folder, point.changes)
        assert found.resolved["serving"]["max_context_tokens"] == 512


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("grid:\n", "grid: {}\nx:\n", "study.yaml:9:1: grid: needs at least 1 entries"),
        ("[1, 2, 4]", "[]", "study.yaml:10:3: grid.partition.stages: needs at least 1 entries"),
        ("[1, 2, 4]", "4", "study.yaml:10:3: grid.partition.stages: 4 is not a list"),
        ("[1, 2, 4]", "{keys: [seed]}", "study.yaml:10:3: grid.partition.stages: key 'values' is"),
        ("[1, 2, 4]", "[1, 2, 1]", "study.yaml:10:28: grid: partition.stages: 1 is in the list"),
        ("[1, 2, 4]", "[1, .nan]", "study.yaml:10:25: partition.stages: must be 'auto' or"),
        ("[1, 2, 4]", "[1, x]", "study.yaml:10:25: partition.stages: must be 'auto' or"),
        ("partition.stages: [", "partition.stage: [", "study.yaml:10:21: unknown key 'stage' (did"),
        ("precision.kv: [fp16, fp8]", "bins: [1]", "study.yaml:11:10: unknown key 'bins'"),
        (
            "precision.kv: [fp16, fp8]",
            "metrics.timeline_bin_gb: [1]",
            "study.yaml:11:29: 'timeline_bin_gb' is in no unit of time",
        ),
        (
            "precision.kv: [fp16, fp8]",
            "slo.ttft_ms: [5, .inf]",
            "study.yaml:11:20: slo.ttft_ms: inf is not",
        ),
        (
            "precision.kv: [fp16, fp8]",
            "system: [groq-rack-27]",
            "study.yaml:11:12: no system is called 'groq-rack-27' (did you mean",
        ),
        (
            "precision.kv: [fp16, fp8]",
            "slo: [{ttft_ms: 1000}, {ttft_s: 1}]",
            "study.yaml:11:26: grid: slo: {'ttft_s': 1} gives the same scenario as",
        ),
        ("ttft_ms_p99", "ttft_ms_p98", "study.yaml:12:23: 'ttft_ms_p98' is no column"),
        ("ttft_ms_p99", "chip_count", "study.yaml:12:23: 'chip_count' is there already"),
        ("collect:", "mode: explain\ncollect:", "study.yaml:13:23: 'ttft_ms_p99' is known after a"),
        ("collect:", "mode: explian\ncollect:", "study.yaml:12:1: mode: 'explian' is not known"),
        ("collect:", "titles: {x: y}\ncollect:", "study.yaml:12:10: 'x' is no key of the grid"),
        ("name: two rows", "name: one row", "study.yaml:7:5: two machines are called 'one row'"),
        ("scenario: base.yaml", "scenario: bse", "study.yaml:3:1: no scenario is called 'bse'"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(old: str, new: str, message: str) -> None:
    assert old in STUDY
    found = said(STUDY.replace(old, new, 1))
    assert any(item.startswith(message) for item in found), found


@pytest.mark.parametrize(
    ("change", "place", "other"),
    [
        ("  serving.slot_rows: [1, 4]\n", "study.yaml:12:3", "study.yaml:8:17"),
        ("  partition.tensor_parallel: [4]\n", "study.yaml:12:3", "study.yaml:4:13"),
        ("  partition: [{stages: 8}]\n", "study.yaml:12:3", "study.yaml:4:13"),
        ("  system.chip.memory: [[]]\n  system.chip: [{}]\n", "study.yaml:13:3", ""),
    ],
)
def test_a_key_is_set_once(change: str, place: str, other: str) -> None:
    """Also where one key holds the other; both places are named."""
    found = said(STUDY.replace("collect", f"{change}collect"))
    if not other:  # a chip may be chosen and changed: what is wrong is something else
        assert not any("clashes" in item for item in found)
        return
    assert any(
        item.startswith(place) and "clashes with" in item and other in item for item in found
    ), found


def test_the_command_line_clashes_too() -> None:
    found = said(STUDY, "partition.stages=3")
    assert len(found) == 1
    assert "clashes with" in found[0]
    assert "--set partition.stages=3" in found[0]
    assert found[0].startswith("study.yaml:10:3")
    assert "clashes" in said(STUDY, "serving.slot_rows=3")[0]
    assert "clashes" in said(STUDY, "seed=3", "seed=4")[0]
    assert "clashes" in said(STUDY, "grid.seed=[3]", "grid.seed=[4]")[0]
    study = load(STUDY, "partition.tensor_parallel=4")  # instead of the file's own
    assert all("partition.tensor_parallel=4" in point.changes for point in study.combinations())


def test_a_study_of_nothing() -> None:
    text = "kind: grid\nname: mine\nscenario: base.yaml\ncollect: [chip_count]\n"
    assert said(text) == ["study.yaml:1:1: has neither a grid nor points: nothing changes"]
    assert any("has no scenario" in item for item in said(STUDY.replace("scenario: base.yaml", "")))


def test_all_at_once() -> None:
    text = STUDY.replace("[1, 2, 4]", "[1, x]").replace("fp8]", "fp7]")
    found = [item.split(": ")[0] for item in said(text)]
    assert found == ["study.yaml:10:25", "study.yaml:11:24"]


def test_values_that_do_not_go_together_are_for_the_rows() -> None:
    """Whether 100,000 tokens can be read depends on the model, which another key may choose."""
    grid = "  serving.max_context_tokens: [512, 100000]\n"
    study = load(STUDY.replace("  partition.stages: [1, 2, 4]\n", grid))
    assert study.point_count == 8
    alone = STUDY.replace("{serving.slot_rows: 2}", "{serving.max_context_tokens: 100000}")
    assert [point.name for point in load(alone).points] == ["one row"]
    none = alone.replace("tensor_parallel: 8}", "tensor_parallel: 8, seed: 3}").replace(
        "  - name: one row\n", ""
    )
    assert "longer than llama-2-7b can read" in said(none)[0]
