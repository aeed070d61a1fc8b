"""The JSON schemas say of a file what the loader says, as far as a schema can."""

import copy
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import ValidationError

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import split_unit, suffixes_of
from rack_sim.hardware.chip import PRECISION_BITS
from rack_sim.scenario import STUDIES, load_scenario, load_study
from rack_sim.scenario.chip_file import chip_text
from rack_sim.scenario.document import Marks, parse_document, read_document
from rack_sim.scenario.fields import Validation
from rack_sim.scenario.json_schema import json_schema, schema_line
from rack_sim.scenario.library import FOLDERS, SCHEMA_FILES, SCHEMA_MARK, data_root, presets
from rack_sim.scenario.loader import complete_tree
from rack_sim.scenario.reference import models_of, reference_markdown, title_of
from rack_sim.scenario.schema import ScenarioSchema

VALIDATORS = {kind: Draft7Validator(json_schema(kind)) for kind in SCHEMA_FILES}
SHIPPED = [
    (kind, path)
    for kind, folder in FOLDERS.items()
    for path in sorted(
        [*(data_root() / folder).glob("*.yaml"), *(data_root() / folder).glob("article/*.yaml")]
    )
]
# A scenario that presets are changed in, and every part that llama70b and the like do without.
CHANGED = """
name: changed
system:
  preset: groq-576
  chip:
    preset: groq-lpu-v1
    memory: [{name: sram, capacity_mib: 500, bandwidth_tbytes_per_s: 80}]
  topology: {racks: 3}
  links: {local: {latency_ns: 300}}
model: {preset: llama-2-70b, num_hidden_layers: 40}
precision: {weights: int8}
serving:
  policy: {kind: continuous_batching, kv_capacity_gb: 10}
  max_context_tokens: 4096
  timeout_s: 30
  prefix_cache: {capacity_gb: 3}
  speculation: {draft_tokens: 3, acceptance: [0.5, 0.4, 0.3], draft_latency_us: 3}
  disaggregation: {prefill_replicas: 1, kv_link: {rate_gbytes_per_s: 50, latency_us: 3}}
workload:
  kind: synthetic
  arrivals: {kind: piecewise, pieces: [{duration_s: 3, rate_rps: 2}]}
  input_tokens: {kind: empirical, quantiles: [[0, 1], [1, 3.5]]}
  output_tokens: {kind: lognormal, mean_tokens: 30, p50_tokens: 20}
  priorities: {1: 0.5}
  request_count: 3
  shared_prefix: {tokens: 600}
cost: {utilisation: 0.5, api_price: groq-gemma-7b}
metrics: {timeline_bin_ms: 1000}
partition: {stages: auto, tensor_parallel: 8, expert_skew: 1}
seed: 3
"""
# What may stand in the place of any value.
JUNK = (
    None,
    True,
    "word",
    "auto",
    -1,
    -0.25,
    0,
    0.5,
    1,
    10**19,
    [],
    {},
    [1],
    [[0, 1]],
    {"kind": "word"},
    {"value": 1},
    {"value": -1, "assumed": "x"},
    {"value": 1, "assumed": "x"},
    {"value": 1, "assumed": None},
    {"value": 1, "source": "x"},
    {"value": 1, "source": "x", "grade": "B"},
    {"value": 1, "source": "x", "grade": "Z"},
    {"value": 1, "source": "x", "grade": "B", "assumed": "x"},
)


def loader_takes(tree):
    """Whether keys, types and ranges are right; whether values suit each other comes later."""
    reading = Validation()
    try:
        whole = complete_tree(copy.deepcopy(tree), Path(), (), reading)
        scenario = ScenarioSchema.model_validate(whole, context=reading)
    except (InputError, ValidationError):
        return False
    # Precisions are the one kind of keys that the models leave open.
    return not reading.problems and scenario.system.chip.matrix.peak_flop_per_s.keys() <= set(
        PRECISION_BITS
    )


def schema_takes(tree, kind="scenario"):
    return VALIDATORS[kind].is_valid(tree)


def written_out(name):
    """A shipped scenario with its system and chip in it, not their names."""
    tree = read_document(presets("scenario")[name], Marks())
    tree["system"] = read_document(presets("system")[tree["system"]], Marks())
    tree["system"]["chip"] = read_document(presets("chip")[tree["system"]["chip"]], Marks())
    return tree


def places(tree, way=()):
    """The way to every value but those of the model, whose keys are Hugging Face's."""
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            if (*way, key) != ("model",):
                yield (*way, key)
                yield from places(value, (*way, key))


WRITTEN_OUT = [written_out("llama70b"), written_out("llama70b-a100")]
PLACES = [list(places(tree)) for tree in WRITTEN_OUT]


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=[path.stem for _, path in SHIPPED])
def test_every_shipped_file_is_valid_and_names_its_schema(kind, path):
    """Its first line leads from where it stands to the schema of its kind."""
    errors = list(VALIDATORS[kind].iter_errors(read_document(path, Marks())))
    assert not errors
    folder = path.parent.relative_to(data_root()).as_posix()
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == schema_line(kind, folder)
    target = (path.parent / first.removeprefix(SCHEMA_MARK)).resolve()
    assert target == data_root() / SCHEMA_FILES[kind]
    assert target.is_file()


def test_a_scenario_of_many_parts_is_taken_by_both():
    tree = parse_document(CHANGED, "changed.yaml", Marks())
    assert loader_takes(tree)
    assert schema_takes(tree)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_the_loader_refuses_the_schema_refuses(data):
    """Of a scenario that is written out, with a slip anywhere in it; and what is taken is taken."""
    number = data.draw(st.integers(0, len(WRITTEN_OUT) - 1))
    tree = copy.deepcopy(WRITTEN_OUT[number])
    way = data.draw(st.sampled_from(PLACES[number]))
    holder = tree
    for key in way[:-1]:
        holder = holder[key]
    slips = ["another value"] * 3 + ["left out"]
    unit = None
    if isinstance(holder, dict):
        unit = split_unit(way[-1])
        slips += ["unknown key"] + ["another unit", "two units", "no such unit"] * bool(unit)
    slip = data.draw(st.sampled_from(slips))
    if slip == "another value":
        assume(way[-1] not in ("low", "high"))  # a schema cannot say that one is below the other
        holder[way[-1]] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    elif slip == "left out":
        del holder[way[-1]]
    elif slip == "unknown key":
        holder["unknown"] = 1
    elif unit:
        value = holder[way[-1]] if slip == "two units" else holder.pop(way[-1])
        suffix = data.draw(st.sampled_from(suffixes_of(unit[1].dimension)))
        holder[f"{unit[0]}_{'parsecs' if slip == 'no such unit' else suffix}"] = value
    assert schema_takes(tree) == loader_takes(tree), (way, slip, holder)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_the_loader_takes_the_schema_takes(data):
    """Of presets that are changed, too, where the schema does not know what is underneath."""
    tree = parse_document(CHANGED, "changed.yaml", Marks())
    way = data.draw(st.sampled_from(list(places(tree))))
    holder = tree
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    assert schema_takes(tree) or not loader_takes(tree), (way, holder)


@pytest.mark.parametrize(
    ("override", "right"),
    [
        (("slo", {"ttft_ms": 500}), True),
        (("slo", {"ttft_s": 0.5}), True),
        (("slo", {"ttft_us": 5e5, "tpot_ms": 10}), True),
        (("slo", {"ttft": 500}), False),
        (("slo", {"ttft_ms": 500, "ttft_s": 1}), False),
        (("slo", {"ttft_ms": 0}), False),
        (("slo", {"ttft_ms": 1e9}), True),
        (("slo", {"ttft_ms": 1.1e9}), False),
        (("slo", {"ttft_s": 1.1e6}), False),
        (("slo", {"ttft_ms": "500"}), False),
        (("system", "groq-577"), False),
        (("system", "mine/groq.yaml"), True),
        (("model", "mine/config.json"), True),
        (("model", {"hidden_size": 5}), False),
        (("serving", {"max_context_tokens": 4096, "router": "robin"}), False),
        (("serving", {"max_context_tokens": 4096, "router": "random"}), True),
    ],
)
def test_what_editors_say(override, right):
    """Every unit of a key is known, its range is in that unit, and paths are not refused."""
    tree = read_document(presets("scenario")["llama70b"], Marks())
    tree[override[0]] = override[1]
    assert schema_takes(tree) is right


@pytest.mark.parametrize(
    ("old", "new", "right"),
    [
        ("", "", True),
        ("kind: load", "kind: lode", False),
        ("rates_rps: auto", "rates_rps: [1, 2]", True),
        ("rates_rps: auto", "rates_rps: often", False),
        ("rates_rps: auto", "rates_rps: []", False),
        ("rates_rps: auto", "duration_s: 60", True),
        ("rates_rps: auto", "duration: 60", False),
        ("scenario: llama70b", "scenario: {name: mine}", True),  # overrides may say the rest
        ("scenario: llama70b", "scenario: {nam: mine}", False),
        ("scenario: llama70b", "scenario: llama", False),
        ("scenario: llama70b", "points: [{name: a, overrides: {partition.stages: 1}}]", True),
        ("scenario: llama70b", "points: [{name: a, overrides: {partitions.stages: 1}}]", False),
        ("scenario: llama70b", "points: [{nam: a}]", False),
    ],
)
def test_studies(old, new, right):
    text = presets("study")["load"].read_text(encoding="utf-8").replace(old, new)
    assert schema_takes(parse_document(text, "study.yaml", Marks()), "study") is right


def test_schemas_are_no_presets():
    """Their folder stands beside scenarios and topologies; no kind of preset finds them."""
    for kind in FOLDERS:
        assert not any("schema" in name for name in presets(kind))
    with pytest.raises(InputError):
        load_scenario("schema/scenario.schema")
    with pytest.raises(InputError):
        load_study("scenario.schema")


def test_the_reference_has_every_key_with_words():
    """Also those of parts that only studies have; none stands there without saying what it is."""
    text = reference_markdown()
    for root in (ScenarioSchema, *(study.schema for study in STUDIES.values())):
        for model in models_of(root):
            section = text.split(f"\n## {title_of(model)}\n")[1].split("\n## ")[0]
            for name in model.model_fields:
                (row,) = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
                _, takes, default, what = row.strip("| ").split(" | ")
                assert takes and default and what.endswith((".", ")")), row


def test_a_chip_written_elsewhere_does_not_name_a_schema_that_is_not_there():
    """A fitted chip is a copy of a preset, in a folder of the user's."""
    text = chip_text("nvidia-h100", Path(), {})
    assert SCHEMA_MARK not in text
    assert text.startswith("name: nvidia-h100\n")


def test_schemas_stand_alone():
    """Valid draft 7, and every reference leads to a definition of the same file."""
    for kind, validator in VALIDATORS.items():
        Draft7Validator.check_schema(validator.schema)
        refs = set(re.findall(r"'\$ref': '([^']+)'", str(validator.schema)))
        found = {f"#/definitions/{name}" for name in validator.schema["definitions"]}
        assert refs <= found, kind
