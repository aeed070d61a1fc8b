"""A model alone: `rack-sim explain` of a config.json, a folder of one, or a preset's name."""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rack_sim
from rack_sim.compiler.batches import BatchMachine
from rack_sim.engine.policies.batch_policy import ContinuousBatchingPolicy
from rack_sim.model.architecture import Architecture
from rack_sim.model.blocks import blocks_of
from rack_sim.model.facts import flop_per_token, kept_elements, parameter_kinds
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.partition.fit import Fitter
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition, possible_degrees
from rack_sim.partition.plan import Plan
from rack_sim.scenario import load_system
from rack_sim.scenario.library import presets
from rack_sim.scenario.model_alone import load_model
from rack_sim.study.model_needs import BATCHES
from rack_sim.timing.precision import Precision
from rack_sim.timing.shape import StepShape

Cli = Callable[..., tuple[int, str, str]]

SMALL: dict[str, Any] = {
    "model_type": "gemma3_text",
    "num_hidden_layers": 6,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 256,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "sliding_window": 100,
    "tie_word_embeddings": True,
}


NEXT = {"model_type": "gemma9", "sliding_window_pattern": 6, "new_key": 1, "other_key": 2}


def said(cli: Cli, *arguments: str) -> dict[str, Any]:
    code, out, err = cli("explain", *arguments, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_file_a_folder_and_keys_say_the_same(cli: Cli, small: Path) -> None:
    folder = small.parent / "mine"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SMALL))
    (small.parent / "mine.json").write_text(json.dumps(SMALL))
    by_file = said(cli, "mine.json")
    assert by_file == said(cli, "mine") == said(cli, "mine/config.json")
    assert by_file["model"] == "mine"
    keys = rack_sim.explain_model(SMALL)
    assert keys.model.parameter_count == by_file["parameter_count"]


def test_what_is_said_of_a_model_is_counted_by_hand(cli: Cli, small: Path) -> None:
    Path("mine.json").write_text(json.dumps(SMALL))
    found = said(cli, "mine.json", "--set", "serving.max_context_tokens=200")
    kinds = {kind["kind"]: kind["count"] for kind in found["parameters"]}
    assert kinds == {
        "embedding and head": 1000 * 64,
        "norms": 6 * (4 * 64 + 2 * 16) + 64,
        "attention": 6 * 64 * 16 * (4 + 2 + 2 + 4),
        "feed forward": 6 * 3 * 64 * 256,
    }
    assert sum(kinds.values()) == found["parameter_count"] == found["active_parameter_count"]
    weights = found["weight_bytes"]
    assert weights["bf16"] == 2 * found["parameter_count"] == 2 * weights["fp8"]
    # Two heads of a key and a value; five of six layers keep the last 100 tokens of a sequence.
    token = 2 * 2 * 2 * 16
    assert found["kv_bytes_per_token"] == 6 * token
    kept = {row["context_tokens"]: row["kv_bytes_per_sequence"] for row in found["contexts"]}
    assert kept[200] == token * (5 * 100 + 200)
    assert kept[2048] == token * (5 * 100 + 2048)
    assert found["state_bytes_per_sequence"] == 0


def test_one_more_token_of_context_costs_what_attention_looks_at() -> None:
    """Two FLOP for each element of a key and of a value and 5 of the softmax, in every head."""
    model = architecture_from_config("any", SMALL)
    blocks, head = blocks_of(model), 4 * (2 * 16 + 2 * 16 + 5)
    assert flop_per_token(blocks, 51) - flop_per_token(blocks, 50) == 6 * head
    assert flop_per_token(blocks, 201) - flop_per_token(blocks, 200) == head
    first, later = (
        kept_elements(blocks, count + 1) - kept_elements(blocks, count) for count in (50, 150)
    )
    assert first == 6 * later == kept_elements(blocks, 1)


@pytest.mark.parametrize("name", presets("model"))
def test_kinds_of_parameters_add_up(name: str) -> None:
    model = load_model(name).architecture
    kinds = parameter_kinds(blocks_of(model))
    assert sum(kind.count for kind in kinds) == model.parameter_count
    assert sum(kind.active_count for kind in kinds) == model.active_parameter_count


@pytest.mark.parametrize("system", ["groq-node-8", "groq-rack-72", "nvidia-h100-x8"])
def test_fewest_chips_are_those_of_the_partitioner(system: str) -> None:
    """Half a billion parameters in 16 bits: five LPUs' worth of bytes, and one GPU's."""
    model = Architecture.dense("half", 8, 2048, 16, 8, 128, 8192, 8000, True, 2048)
    shape = StepShape(1, 2048, Precision("fp16", "fp16", "fp16", "fp16"))
    asked = Deployment(model, load_system(system), shape, 1, None, None, "fewest_chips")
    fit, plan = Fitter().fewest_chips(asked), partition(asked)
    assert isinstance(plan, Plan)
    assert plan.chip_count == fit.chip_count
    again = replace(asked, tensor_parallel=fit.tensor_parallel, stage_count=fit.stage_count)
    assert isinstance(partition(again), Plan)


@pytest.mark.parametrize(
    ("name", "system"),
    [("deepseek-v3", "nvidia-b200-x8"), ("llama-3.3-70b", "tenstorrent-p150-x4")],
)
def test_batches_find_the_room_that_is_kept_for_them(name: str, system: str) -> None:
    """On the chips that are said there is a machine for batches; on fewer, however cut, none."""
    alone = load_model(name, ["precision.weights=fp8", "serving.max_context_tokens=4096"])
    shape = StepShape(1, alone.context_tokens, alone.precisions[0])
    asked = Deployment(
        alone.architecture, load_system(system), shape, 1, None, None, "fewest_chips"
    )
    fit, policy = Fitter(BATCHES).fewest_chips(asked), ContinuousBatchingPolicy()

    def machine(degree: int, stages: int) -> BatchMachine | Infeasible:
        plan = policy.planned(replace(asked, tensor_parallel=degree, stage_count=stages))
        return plan if isinstance(plan, Infeasible) else policy.machine(plan, None)

    assert isinstance(machine(fit.tensor_parallel, fit.stage_count), BatchMachine)
    for degree in possible_degrees(asked):
        for stages in range(1, -(-fit.chip_count // degree)):
            assert isinstance(machine(degree, stages), Infeasible), (degree, stages)


def test_what_does_not_fit_says_why(cli: Cli, small: Path) -> None:
    found = said(cli, "llama-3.1-405b", "--set", "precision.weights=bf16")
    fits = {need["system"]: need["fits"]["bf16"] for need in found["systems"]}
    assert list(fits) == list(presets("system"))
    why = fits["nvidia-h100-x1"]["why_not"].split()
    assert (why[0], why[2]) == ("needs", "chips")
    # 811.7 GB in 0.9 x 80 GB, less 3.5 GB of program text and 1 GB of an iteration's activations.
    assert -(-found["weight_bytes"]["bf16"] // (72 * 10**9)) <= int(why[1]) <= 13
    assert "on each, with room for 230.69 MB" in fits["groq-node-8"]["why_not"]
    assert fits["amd-mi300x-x8"]["chip_count"] <= 8


def test_in_words(cli: Cli, small: Path) -> None:
    code, out, err = cli("explain", "gemma-7b")
    assert (code, err) == (0, "")
    for words in ("parameters by kind", "embedding and head", "weights in fp4", "groq-576"):
        assert words in out


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("serving.max_context_tokens=9000", "9000 is longer than gemma-7b can read"),
        ("workload.rate_rps=3", "unknown key 'workload'"),
        ("model.num_hidden_layer=3", "did you mean 'num_hidden_layers'?"),
        ("precision.weights=fp7", "fp7"),
    ],
)
def test_what_a_model_alone_cannot_be(cli: Cli, small: Path, setting: str, message: str) -> None:
    code, out, err = cli("explain", "gemma-7b", "--set", setting)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_keys_of_the_model_can_be_changed(cli: Cli, small: Path) -> None:
    half = said(cli, "gemma-7b", "--set", "model.num_hidden_layers=14")
    assert half["kv_bytes_per_token"] * 2 == said(cli, "gemma-7b")["kv_bytes_per_token"]


def test_models_are_listed_by_family(cli: Cli, small: Path) -> None:
    code, out, err = cli("list", "models")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.split()[:1] != ["models"]]
    listed = [row for row in rows if row and row[0] in presets("model")]
    families = [row[1] for row in listed]
    assert families == sorted(families)
    row = next(row for row in listed if row[0] == "deepseek-v3")
    # 61 layers keep a latent of 512 and a rotary key of 64 in 16 bits.
    assert row[1:] == [
        "deepseek_v3", "671,026,419,200", "37,552,297,472", f"{61 * 576 * 2:,}", "0", "163,840"
    ]  # fmt: skip
    found = json.loads(cli("list", "models", "--json")[1])
    assert found["deepseek-v3"]["kv_bytes_per_token"] == 61 * 576 * 2
    assert found["deepseek-v3"]["family"] == "deepseek_v3"
    assert found["deepseek-v3"]["description"]


def test_what_is_missing_says_in_which_file(cli: Cli, small: Path) -> None:
    Path("mine.json").write_text(json.dumps({k: v for k, v in SMALL.items() if k != "vocab_size"}))
    code, out, err = cli("explain", "mine.json")
    assert (code, out) == (2, "")
    assert err == "error: mine.json: model: key 'vocab_size' is missing\n"


def test_a_misspelt_model_is_recognised(cli: Cli, small: Path) -> None:
    code, _, err = cli("explain", "deepsek-v3")
    assert code == 2
    assert "no scenario and no model is called 'deepsek-v3' (did you mean 'deepseek-v3'?)" in err
    assert "no scenario is called 'nothing'" in cli("explain", "nothing")[2]


def test_a_file_of_no_model_says_what_a_model_has(cli: Cli, small: Path) -> None:
    Path("other").mkdir()
    Path("other/config.json").write_text('{"port": 80}')
    code, _, err = cli("explain", "other")
    assert code == 2
    assert "key 'hidden_size' is missing" in err


def test_the_setting_that_an_unknown_type_is_offered_reads_it(cli: Cli, small: Path) -> None:
    """As it stands in the message, for `explain` and, of a draft model, for a scenario."""
    strange = json.dumps(SMALL | NEXT)
    Path("mine.json").write_text(strange)
    code, out, err = cli("explain", "mine.json")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "its keys look like 'gemma3'" in err
    offered = err[err.index("(--set") + 1 : err.rindex(")")]
    assert offered == "--set model.model_type=gemma3 --set 'model.ignore=[new_key, other_key]'"
    assert said(cli, "mine.json", *shlex.split(offered))["parameter_count"] > 0

    drafting = "serving.speculation={draft_tokens: 1, acceptance: 0.5, draft_model: mine.json}"
    code, out, err = cli("validate", "llama70b-a100", "--set", drafting)
    assert code == 2
    offered = err[err.index("(--set") + 1 : err.rindex(")")]
    assert offered.startswith("--set serving.speculation.draft_model.model_type=gemma3")
    settings = ["serving.speculation.draft_tokens=1", "serving.speculation.acceptance=0.5"]
    settings += ["serving.speculation.draft_model=mine.json"]
    words = [word for setting in settings for word in ("--set", setting)]
    assert cli("validate", "llama70b-a100", *words, *shlex.split(offered))[0] == 0


def test_what_is_not_counted_is_said(cli: Cli, small: Path) -> None:
    seeing = {"model_type": "gemma3", "text_config": SMALL, "vision_config": {"hidden_size": 8}}
    Path("seeing.json").write_text(json.dumps(seeing))
    assert said(cli, "seeing.json")["not_served"] == ["vision_config"]
    assert said(cli, "deepseek-r1")["prediction_modules"] == {
        "module_count": 1,
        "parameter_count_each": 11_610_068_224,
    }
    words = cli("explain", "deepseek-r1")[1]
    assert "1 module for further tokens, 11,610,068,224 parameters each" in words
