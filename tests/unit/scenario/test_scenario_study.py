"""Studies: what a file may say, and where it is wrong."""

from pathlib import Path

import pytest

from rack_sim.foundation.errors import InputError
from rack_sim.scenario import load_scenario, load_study, resolved_yaml
from rack_sim.scenario.library import presets

STUDY = """kind: jitter
name: mine
scenario: base.yaml
points:
  - name: one stage
    overrides: {partition.stages: 1}
  - name: two stages
    overrides: {partition.stages: 2, serving.slot_rows: 2}
operator_jitter_us: [0, 0.5]
step_count: 20
warmup_step_count: 8
"""


@pytest.fixture(autouse=True)
def base(small: str) -> None:
    Path("base.yaml").write_text(small, encoding="utf-8")


def load(text: str = STUDY, *overrides: str):
    Path("study.yaml").write_text(text, encoding="utf-8")
    return load_study("study.yaml", overrides)


def said(text: str = STUDY, *overrides: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(text, *overrides)
    return [str(problem) for problem in caught.value.problems]


def test_a_study_is_its_scenarios_with_changes() -> None:
    study = load()
    assert [point.name for point in study.points] == ["one stage", "two stages"]
    changes = ["partition.stages=2", "serving.slot_rows=2"]
    assert study.points[1].scenario.resolved == load_scenario("base.yaml", changes).resolved
    assert study.operator_jitter_ps == (0, 500_000)
    assert (study.step_count, study.warmup_step_count, study.repeat_count) == (20, 8, 1)


def test_the_resolved_study_is_the_study(tmp_path: Path) -> None:
    """It stands alone: neither the base scenario nor a preset is looked up again."""
    study = load()
    Path("base.yaml").unlink()
    Path("resolved.yaml").write_text(resolved_yaml(study), encoding="utf-8")
    again = load_study("resolved.yaml")
    assert again.resolved == study.resolved
    assert again.study_hash == study.study_hash


def test_the_hash_tells_studies_apart() -> None:
    hashes = {
        load(STUDY, *change).study_hash
        for change in ((), ("seed=1",), ("step_count=21",), ("precision.kv=fp8",))
    }
    assert len(hashes) == 4
    assert (
        load(
            STUDY.replace("operator_jitter_us: [0, 0.5]", "operator_jitter_ns: [0, 500]")
        ).study_hash
        in hashes
    )


def test_a_change_goes_to_the_study_or_to_every_scenario() -> None:
    study = load(
        STUDY, "operator_jitter_ns=[7]", "seed=9", "precision.kv=fp8", "partition.stages=4"
    )
    assert study.operator_jitter_ps == (7000,)
    assert study.seed == 9
    for point in study.points:
        assert point.scenario.seed == 1, "that of the scenario"
        assert point.scenario.resolved["precision"]["kv"] == "fp8"
        assert point.scenario.resolved["partition"]["stages"] == 4, "instead of the point's own"


def test_a_scenario_may_stand_in_the_study(small: str) -> None:
    """At the top or at a point; two points that build on one do not get into each other's way."""
    inside = "".join(f"  {line}\n" for line in small.splitlines())
    text = STUDY.replace("scenario: base.yaml", "scenario:\n" + inside.rstrip())
    study = load(text)
    assert study.study_hash == load().study_hash
    text = STUDY.replace("scenario: base.yaml\n", "").replace(
        "- name: one stage", "- name: one stage\n    scenario: base.yaml"
    )
    assert said(text) == ["study.yaml:7:5: has no scenario, and the study has none either"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: mine", "nam: mine", "study.yaml:2:1: unknown key 'nam' (did you mean 'name'?)"),
        ("_us: [0, 0.5]", ": [0]", "study.yaml:9:1: 'operator_jitter' is in no unit of time"),
        ("[0, 0.5]", "[0, -1]", "study.yaml:9:25: operator_jitter_us.1: -1 is out of range"),
        ("[0, 0.5]", "[]", "study.yaml:9:1: operator_jitter_us: needs at least 1 entries"),
        ("[0, 0.5]", "[1, 1]", "study.yaml:9:1: operator_jitter_us: must rise from value to value"),
        ("step_count: 20", "step_count: 1", "study.yaml:10:1: step_count: 1 is out of range"),
        ("warmup_step_count: 8", "warmup_step_count: 19", "study.yaml:11:1: warmup_step_count: 19"),
        ("name: two", "name: one", "study.yaml:7:5: two machines are called 'one stages'"),
        ("overrides: {partition.stages: 1}", "over: 1", "study.yaml:6:5: unknown key 'over'"),
        ("stages: 1}", "stages: no}", "study.yaml:6:17: partition.stages: must be 'auto' or"),
        ("{partition.stages: 1}", "{partition.stage: 1}", "study.yaml:6:17: unknown key 'stage'"),
        ("{partition.stages: 1}", "{model: nope}", "study.yaml:6:17: no model is called 'nope'"),
        ("base.yaml", "bse", "study.yaml:3:1: no scenario is called 'bse'"),
        ("kind: jitter", "kind: jiter", "study.yaml:1:1: 'jiter' is no kind of study (did you"),
        ("kind: jitter\n", "", "study.yaml:1:1: key 'kind' is missing: is this a study?"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(old: str, new: str, message: str) -> None:
    if old == "name: two":
        new, old = "name: one stages", "name: two stages"
        text = STUDY.replace("name: one stage\n", "name: one stages\n").replace(old, new)
    else:
        assert old in STUDY
        text = STUDY.replace(old, new, 1)
    found = said(text)
    assert any(item.startswith(message) for item in found), found


def test_all_at_once() -> None:
    """Problems of two points and of an override, each at its place; the base's name the point."""
    text = STUDY.replace("stages: 1}", "stages: x}").replace("slot_rows: 2", "slot_rows: -2")
    found = said(text)
    assert [item.split(": ")[0] for item in found] == ["study.yaml:6:17", "study.yaml:8:38"]
    found = said(STUDY, "precision.kv=fp7")
    assert len(found) == 1
    assert found[0].startswith("--set precision.kv=fp7")
    Path("base.yaml").write_text(Path("base.yaml").read_text().replace("int8", "int7"))
    assert [item.count("[one stage]") + item.count("[two stages]") for item in said()] == [1, 1]


def test_every_preset_of_a_study_loads() -> None:
    for name in presets("study"):
        study = load_study(name)
        assert study.name == name
        assert study.description


def test_a_static_chip_has_no_jitter() -> None:
    """A reactive one may carry it (it is not served yet), a static one only zero."""
    load_scenario("base.yaml", ["system.chip.operator_jitter_ns=0"])
    with pytest.raises(InputError, match="a static chip has no jitter; groq-lpu-v1 is given 5000"):
        load_scenario("base.yaml", ["system.chip.operator_jitter_ns=5"])
    Path("base.yaml").write_text(
        Path("base.yaml")
        .read_text()
        .replace(
            "system: groq-rack-72",
            "system:\n  preset: groq-rack-72\n  chip:\n    preset: groq-lpu-v1\n"
            "    operator_jitter_us: {value: 1, assumed: test}",
        )
    )
    with pytest.raises(InputError) as caught:
        load_scenario("base.yaml")
    assert str(caught.value).startswith("base.yaml:6:5: system.chip.operator_jitter_us: a static")
