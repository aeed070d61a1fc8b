"""What ships: every preset loads, and every number in it says where it comes from."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

import rack_sim
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.sourced import GRADES
from rack_sim.hardware.chip import KINDS, PRECISION_BITS
from rack_sim.scenario import Scenario, load_scenario, load_system
from rack_sim.scenario.fields import UNSOURCED
from rack_sim.scenario.library import describe, find, presets

Load = Callable[..., Scenario]

NEEDS_TRACE = "llama70b-azure"
GPUS = ("a100-80", "h100", "h200", "b200")


@pytest.mark.parametrize("name", sorted(presets("scenario")))
def test_scenarios_load_from_any_directory(name: str) -> None:
    options = {}
    if "trace" in presets("scenario")[name].read_text(encoding="utf-8").split("workload:")[1]:
        Path("t.csv").write_text("arrival_s,input_tokens,output_tokens\n0,5,5\n")
        options = {"trace": "t.csv"}
    scenario = load_scenario(name, **options)
    assert scenario.name == name
    assert scenario.description


def test_the_recorded_trace_is_asked_for_by_name() -> None:
    with pytest.raises(InputError) as caught:
        load_scenario(NEEDS_TRACE)
    assert "AzureLLMInferenceTrace_conv.csv: no such file" in str(caught.value)
    assert "--trace FILE" in str(caught.value)


def _static_systems() -> list[str]:
    """Systems that the serving policy of the small scenario can run."""
    return [name for name in presets("system") if load_system(name).chip.execution == "static"]


@pytest.mark.parametrize("name", _static_systems())
def test_systems_load(load: Load, name: str) -> None:
    precision = "precision={weights: fp8, activations: fp8}" if "lpx" in name else "seed=1"
    scenario = load("", f"system={name}", precision)
    assert scenario.deployment.system.name == name
    _check_provenance(scenario)


REACTIVE = sorted(set(presets("system")) - set(_static_systems()))
FOR_SLOTS = "  concurrent_sequences: 4\n"


@pytest.mark.parametrize("name", REACTIVE)
def test_reactive_systems_load_and_hold_a_model(load: Load, name: str) -> None:
    """Llama-2 7B in 16 bits (one n150 holds it in 8.5), and at least the longest context served."""
    peaks = load_system(name).chip.matrix.peak_flop_per_s
    half = "fp16" if "fp16" in peaks else "bf16"
    weights = "bfp8" if name == "tenstorrent-n150-x1" else half
    precision = f"precision={{weights: {weights}, kv: {half}, activations: {half}}}"
    scenario = load((FOR_SLOTS, ""), f"system={name}", precision)
    assert scenario.policy_kind == "continuous_batching"
    _check_provenance(scenario)
    explanation = rack_sim.explain(scenario)
    batch = explanation.batch
    assert batch is not None
    assert explanation.fleet.timing.kv_tokens >= 1024, "the longest context"
    assert batch.used_bytes_max <= batch.plan.system.chip.capacity_bytes


@pytest.mark.parametrize("name", REACTIVE)
def test_reactive_systems_are_refused_by_a_static_policy(load: Load, name: str) -> None:
    chip = load_system(name).chip
    with pytest.raises(InputError) as caught:
        load("", f"system={name}", "serving.policy={kind: static_slots}", "precision.compute=fp16")
    assert (
        "--set serving.policy={kind: static_slots}: serving.policy: static_slots needs a static "
        f"chip; {chip.name} is reactive (kind: continuous_batching)"
    ) in str(caught.value)


@pytest.mark.parametrize("name", _static_systems())
def test_static_systems_are_refused_by_a_reactive_policy(load: Load, name: str) -> None:
    chip = load_system(name).chip
    policy = ("serving:", "serving:\n  policy: {kind: continuous_batching}")
    with pytest.raises(InputError) as caught:
        load(policy, f"system={name}")
    assert (
        "p.yaml:6:3: serving.policy: continuous_batching needs a reactive chip; "
        f"{chip.name} is static (kind: static_slots)"
    ) in str(caught.value)


@pytest.mark.parametrize("name", sorted(presets("chip")))
def test_chips_load(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pair.yaml"
    path.write_text(
        f"name: pair\nchip: {name}\ntopology: {{kind: fully_connected, chips: 2}}\n"
        "links: {local: {rate_gbytes_per_s: 1, latency_ns: 1, payload_bytes: 1, wire_bytes: 1}}\n"
        "host_watts_per_node: 0\n"
    )
    chip = load_system(str(path)).chip
    assert chip.name == name
    assert set(chip.matrix.peak_flop_per_s) <= set(PRECISION_BITS)


WANTED = {
    **{f"nvidia-{chip}-x{n}": n for chip in GPUS for n in (1, 2, 4, 8)},
    **{f"amd-mi300x-x{n}": n for n in (1, 4, 8)},
    **{f"cerebras-wse-3-x{n}": n for n in (1, 4)},
    **{f"sambanova-sn40l-x{n}": n for n in (8, 16)},
    **{f"tenstorrent-p150-x{n}": n for n in (1, 4)},
    "tenstorrent-n150-x1": 1,
    "tenstorrent-galaxy-32": 32,
    "groq-node-8": 8,
    "groq-rack-72": 64,
    "groq-576": 576,
    "groq-640": 640,
    "lpx-rack-256": 256,
}


@pytest.mark.parametrize("name", WANTED)
def test_systems_have_as_many_active_chips_as_they_say(name: str) -> None:
    assert load_system(name).active_chip_count == WANTED[name]


@pytest.mark.parametrize("name", sorted(presets("chip")))
def test_memory_tiers_are_fastest_first_and_every_kind_has_one(tmp_path: Path, name: str) -> None:
    tiers = load_system(_pair(tmp_path, name, "description: as it is")).chip.memory
    rates = [tier.bandwidth_bytes_per_s for tier in tiers]
    assert rates == sorted(rates, reverse=True)
    sizes = [tier.capacity_bytes for tier in tiers]
    assert sizes == sorted(sizes)
    assert {kind for tier in tiers for kind in tier.holds} == set(KINDS)


@pytest.mark.parametrize("name", sorted(presets("chip")))
def test_what_is_known_from_memory_alone_is_assumed(name: str) -> None:
    """Of rivals; the buffer of the LPU v1 has a source for its size."""
    text = presets("chip")[name].read_text(encoding="utf-8")
    if name != "groq-lpu-v1":
        assert "grade: M" not in text


def test_kinds_that_no_tier_may_hold_are_refused(tmp_path: Path) -> None:
    more = "memory: [{name: hbm, capacity_gb: 1, bandwidth_gbytes_per_s: 1, holds: [weights]}]"
    with pytest.raises(InputError, match="may hold activations or kv"):
        load_system(_pair(tmp_path, "nvidia-h100", more))


def _pair(tmp_path: Path, chip: str, more: str) -> str:
    path = tmp_path / "pair.yaml"
    path.write_text(
        f"name: pair\nchip: {{preset: {chip}, {more}}}\n"
        "topology: {kind: fully_connected, chips: 2}\n"
        "links: {local: {rate_gbytes_per_s: 1, latency_ns: 1, payload_bytes: 1, wire_bytes: 1}}\n"
        "host_watts_per_node: 0\n"
    )
    return str(path)


def test_what_a_chip_reaches_of_its_rates_is_read_as_written(tmp_path: Path) -> None:
    more = (
        "memory_efficiency: 0.8, matrix_efficiency: 0.7, "
        "iteration_host_ms: 1, sequence_host_us: 2, collective_latency_us: 6"
    )
    chip = load_system(_pair(tmp_path, "nvidia-h100", more)).chip
    assert (chip.memory_efficiency, chip.matrix_efficiency) == (Fraction(4, 5), Fraction(7, 10))
    assert chip.reached_bytes_per_s(chip.fast_memory) * 5 == 3_350 * 10**9 * 4
    assert chip.fast_memory.bandwidth_bytes_per_s == 3_350 * 10**9
    assert (chip.iteration_host_ps, chip.sequence_host_ps) == (10**9, 2 * 10**6)
    assert chip.collective_fixed_ps == 6 * 10**6


def test_a_static_chip_has_no_host_and_launches_nothing(tmp_path: Path) -> None:
    more = "iteration_host_ms: 1, sequence_host_us: 2, collective_latency_us: 6"
    with pytest.raises(InputError) as caught:
        load_system(_pair(tmp_path, "groq-lpu-v1", more))
    fields = {"chip.iteration_host_ms", "chip.sequence_host_us", "chip.collective_latency_us"}
    assert {problem.field for problem in caught.value.problems} == fields


@pytest.mark.parametrize("share", [0, 1.01, -0.5])
def test_a_share_that_cannot_be_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(InputError, match="memory_efficiency"):
        load_system(_pair(tmp_path, "nvidia-h100", f"memory_efficiency: {share}"))


@pytest.mark.parametrize("name", sorted(presets("model")))
def test_models_load(load: Load, name: str) -> None:
    model = load("", f"model={name}").deployment.model
    assert model.name == name
    assert model.parameter_count > 10**9


def _check_provenance(scenario: Scenario) -> None:
    assert len(scenario.provenance) > 20
    for item in scenario.provenance:
        assert item.assumed != UNSOURCED, item
        assert bool(item.assumed) != bool(item.source), item
        assert item.is_assumed or item.grade in GRADES, item
        assert float(item.value) >= 0


def test_every_number_of_the_shipped_scenario_has_an_origin() -> None:
    _check_provenance(load_scenario("llama70b"))


def test_bare_numbers_in_presets_are_none() -> None:
    """Provenance lists every number of a chip and a system: none can hide from the walk."""
    import yaml

    def bare(value: object, inside: str = "") -> list[str]:
        if isinstance(value, dict):
            if "value" in value:
                return [] if "source" in value or "assumed" in value else [inside]
            return [x for key, item in value.items() for x in bare(item, f"{inside}.{key}")]
        if isinstance(value, list):
            return [
                x for number, item in enumerate(value) for x in bare(item, f"{inside}.{number}")
            ]
        return [inside] if isinstance(value, int | float) else []

    for kind in ("chip", "system"):
        for name, path in presets(kind).items():
            assert bare(yaml.safe_load(path.read_text(encoding="utf-8"))) == [], name


def test_each_preset_says_what_it_is() -> None:
    for kind in ("chip", "system", "model", "scenario"):
        for name, path in presets(kind).items():
            assert describe(path), (kind, name)
            assert find(kind, name, Path()) == path


def test_a_model_in_a_directory_like_one_from_the_hub(load: Load, small: str) -> None:
    import json

    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "intermediate_size": 1024,
        "vocab_size": 1000,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-05,
    }
    Path("tiny").mkdir()
    Path("tiny/config.json").write_text(json.dumps(config))
    for reference in ("./tiny", "tiny/config.json"):
        model = load(("model: llama-2-7b", f"model: {reference}")).deployment.model
        assert (model.name, model.layer_count) == ("tiny", 4)


def test_a_config_json_beside_the_scenario_is_named_after_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``model: config.json`` from within the folder: the file itself says no name."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    monkeypatch.chdir(folder)
    preset = yaml.safe_load(presets("model")["llama-2-7b"].read_text(encoding="utf-8"))
    Path("config.json").write_text(json.dumps({k: v for k, v in preset.items() if k != "name"}))
    text = presets("scenario")["llama70b"].read_text(encoding="utf-8")
    Path("mine.yaml").write_text(text.replace("model: llama-2-70b", "model: config.json"))
    assert rack_sim.load("mine.yaml", ["partition.stages=8"]).deployment.model.name == "my-model"


def test_a_key_given_twice_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    """Form, unknown keys and values that do not go together: all told at once."""
    text = presets("scenario")["llama70b"].read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(
        text.replace("seed: 7", "seed: 7\nseed: 8\nsed: 9").replace(
            "max_context_tokens: 4096", "max_context_tokens: 9999"
        )
    )
    with pytest.raises(rack_sim.InputError) as error:
        rack_sim.load(path)
    text = str(error.value)
    assert "key 'seed' is given twice" in text
    assert "unknown key 'sed'" in text
    assert "9999 is longer than llama-2-70b can read" in text
