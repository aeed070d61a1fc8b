"""Overrides: --set lays one value on the scenario or says why not."""

from collections.abc import Callable

import pytest

from rack_sim.scenario import Scenario

Said = Callable[..., list[str]]
Load = Callable[..., Scenario]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "is not of the form key.subkey=value (--set seed=7)"),
        ("=5", "is not of the form key.subkey=value (--set seed=7)"),
        ("a..b=3", "is not of the form key.subkey=value (--set seed=7)"),
        ("seed=", "has no value (--set seed=…)"),
        ("seed= ", "has no value (--set seed=…)"),
        ("sede=5", "unknown key 'sede' (did you mean 'seed'?)"),
        ("serving.slot_row=2", "unknown key 'slot_row' (did you mean 'slot_rows'?)"),
        ("system.chip.memory.3.capacity_mib=5", "'3' is no place in a list of 1 (0 is the first)"),
        ("system.chip.memory.x.capacity_mib=5", "'x' is no place in a list of 1 (0 is the first)"),
        ("system.chip.memory.-1.capacity_mib=5", "'-1' is no place in a list of 1 (0 is the"),
        ("seed.a=3", "'a' is inside a value that has no keys"),
        ("seed='3'", "seed: '3' is not a whole number"),
        ("seed=yes", "seed: 'yes' is not a whole number"),
        ("seed=-1", "seed: -1 is out of range: it must be at least 0"),
        ("system=groq-641", "no system is called 'groq-641' (did you mean 'groq-640'?)"),
        ("system.chip=groq-lpu-v9", "no chip is called 'groq-lpu-v9' (there are: groq-lp"),
        ("slo.ttft_gb=5", "'ttft_gb' is in no unit of time"),
        ("workload.arrivals={kind: burst}", "workload.arrivals: kind 'burst' is not known"),
    ],
)
def test_bad_overrides_name_themselves(said: Said, override: str, message: str) -> None:
    (problem,) = said("", override)
    assert problem.startswith(f"--set {override}: {message}")


def test_text_that_is_no_yaml(said: Said) -> None:
    (problem,) = said("", "seed=[1")
    assert problem.startswith("--set seed=[1:1:3: expected ',' or ']'")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("seed=1", "seed=2"),
        ("seed=1", "seed=1"),
        ("slo.ttft_ms=5", "slo.ttft_s=1"),
        ("serving.slot_rows=2", "serving={slot_rows: 1}"),
        ("system.chip.memory.0.capacity_mib=5", "system.chip.memory.0.capacity_bytes=9"),
    ],
)
def test_clashes(said: Said, first: str, second: str) -> None:
    for given in ((first, second), (second, first)):
        (problem,) = said("", *given)
        assert "clashes with --set" in problem
        assert first in problem
        assert second in problem


def test_nested_keys_are_made(load: Load) -> None:
    scenario = load("", "slo.ttft_ms=5", "metrics.warmup_share=0.25")
    assert dict(scenario.slo.bounds_ps) == {"ttft": 5 * 10**9}
    assert scenario.warmup_share == 0.25


def test_a_quantity_replaces_the_same_in_another_unit(load: Load) -> None:
    slo = load("slo: {ttft_ms: 5, tpot_ms: 7}\n", "slo.ttft_us=1").slo
    assert dict(slo.bounds_ps) == {"ttft": 10**6, "tpot": 7 * 10**9}


def test_a_number_without_a_source_is_recorded_as_assumed(load: Load) -> None:
    scenario = load("", "system.chip.memory.0.capacity_mib=500")
    assert scenario.deployment.system.chip.fast_memory.capacity_bytes == 500 * 2**20
    (found,) = [
        item for item in scenario.provenance if item.name == "system.chip.memory.0.capacity_bytes"
    ]
    assert (found.value, found.assumed) == (str(500 * 2**20), "given without a source")
    assert found.is_assumed
    before = load().provenance
    assert sum(item.is_assumed for item in scenario.provenance) == 1 + sum(
        item.is_assumed for item in before
    )


def test_a_number_with_a_source_keeps_it(load: Load) -> None:
    scenario = load("", "system.chip.memory.0.capacity_mib={value: 500, source: a book, grade: B}")
    (found,) = [item for item in scenario.provenance if item.source == "a book"]
    assert (found.grade, found.is_assumed) == ("B", False)


def test_presets_are_exchanged_before_their_parts(load: Load) -> None:
    system = load("", "system.chip.port_count=12", "system=groq-640").deployment.system
    assert (system.name, system.chip.port_count) == ("groq-640", 12)
    assert system.topology.chip_count == 720
    same = load("", "system={preset: groq-640, chip: {port_count: 12}}").deployment.system
    assert (same.name, same.chip.port_count) == ("groq-640", 12)
    assert load("", "model=llama-3.1-8b").deployment.model.name == "llama-3.1-8b"
    assert load("", "model.num_hidden_layers=2").deployment.model.layer_count == 2


def test_values_may_hold_anything(load: Load) -> None:
    assert load("", "description=a=b, c").description == "a=b, c"
    assert load("", "description='=1+1'").description == "=1+1"
    assert load("", "partition={stages: 6, tensor_parallel: 8}").deployment.stage_count == 6


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("model=llama-3-8b", "model"),
        ("system.chip.memory.0.capacity_mib=500", "system.chip.memory.0.capacity_mib"),
        ("serving.slot_rows=2", "serving.slot_rows"),
    ],
)
def test_a_description_says_what_was_changed(load: Load, override: str, changed: str) -> None:
    """What the file says of itself may be true no longer."""
    told = ("name: small", "name: small\ndescription: Llama-2 7B on a GroqRack")
    scenario = load(told, override)
    model, system = scenario.deployment.model.name, scenario.deployment.system.name
    assert scenario.description == f"{model} on {system}: as small, but for {changed}"
    assert scenario.resolved["description"] == scenario.description
    assert load(told, override, "description=mine").description == "mine"
    assert load(told, "seed=7").description == "Llama-2 7B on a GroqRack"
    assert load("", override).description == ""
