"""Whatever is done to a config.json: it is a model still, or what is wrong is said in words.

The files are small models with the keys of published ones (small_models.json), and the published
ones themselves where they are: in $RACK_SIM_MODELS, or in ../shared/models beside the repository.
"""

import json
import os
from copy import deepcopy
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.model.blocks import blocks_of
from rack_sim.model.facts import flop_per_token, kept_elements, parameter_kinds
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.scenario.model_alone import load_model

SMALL: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("small_models.json").read_text(encoding="utf-8")
)
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "models"
PUBLISHED = Path(os.environ.get("RACK_SIM_MODELS") or BESIDE)
# A model of more layers is as good, but its blocks are not looked at.
LAYERS_LOOKED_AT = 200

VALUES = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 2, 3, 7, 8, 96, 4096, 10**7, 10**30, 1.5, 0.0, -0.5, nan, inf,
        "", "x", "yarn", "linear", "full_attention", "llama", "M*-", [], [1], [0, 1], ["x"], [[]],
        {}, {"x": 1}, {"type": "yarn"}, {"rope_type": "linear", "factor": nan},
        {"full_attention": {"rope_type": "yarn", "factor": 2}}, ["sliding_attention"] * 6,
    ]
)  # fmt: skip
Path_ = tuple[str, ...]


def paths(config: dict[str, Any], above: Path_ = ()) -> list[Path_]:
    """The paths of all keys."""
    found = []
    for key, value in config.items():
        found.append((*above, key))
        if isinstance(value, dict):
            found += paths(value, (*above, key))
    return found


def holder(config: dict[str, Any], path: Path_) -> dict[str, Any] | None:
    """The mapping in which a key stands; None where damage has taken it away."""
    part: Any = config
    for key in path[:-1]:
        part = part.get(key) if isinstance(part, dict) else None
    return part if isinstance(part, dict) and path[-1] in part else None


@st.composite
def damaged(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """A config of whose keys some are removed, renamed or replaced."""
    config = deepcopy(whole)
    names = sorted({path[-1] for each in SMALL.values() for path in paths(each)})
    for path in draw(st.lists(st.sampled_from(paths(whole)), min_size=1, max_size=4)):
        part = holder(config, path)
        if part is None:
            continue
        how = draw(st.sampled_from(["remove", "rename", "replace", "exchange"]))
        value = part.pop(path[-1])
        if how == "rename":
            part[draw(st.sampled_from([path[-1][:-1] or "x", *names]))] = value
        elif how == "replace":
            part[path[-1]] = draw(VALUES)
        elif how == "exchange":
            other = draw(st.sampled_from(paths(whole)))
            there = holder(config, other)
            part[path[-1]] = value if there is None else there[other[-1]]
    return config


def is_a_model_or_said(config: dict[str, Any]) -> None:
    try:
        model = load_model(config).architecture
    except InputError as error:
        for problem in error.problems:
            assert problem.message, error
        return
    if model.layer_count > LAYERS_LOOKED_AT:
        return
    blocks = blocks_of(model)
    kinds = parameter_kinds(blocks)
    assert sum(kind.count for kind in kinds) == model.parameter_count
    assert 0 < model.active_parameter_count <= model.parameter_count
    assert flop_per_token(blocks, 100) > 0
    assert kept_elements(blocks, 100) >= 0
    assert model.max_context_tokens >= 1


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=25)
@given(data=st.data())
def test_a_damaged_file_is_a_model_or_an_input_error(name: str, data: st.DataObject) -> None:
    is_a_model_or_said(data.draw(damaged(SMALL[name])))


@pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="published models are neither in $RACK_SIM_MODELS nor beside"
)
@pytest.mark.parametrize("path", sorted(PUBLISHED.glob("*.json")), ids=lambda path: path.stem)
@settings(max_examples=5)
@given(data=st.data())
def test_a_published_file_is_too(path: Path, data: st.DataObject) -> None:
    is_a_model_or_said(data.draw(damaged(json.loads(path.read_text(encoding="utf-8")))))


@pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="published models are neither in $RACK_SIM_MODELS nor beside"
)
def test_published_models_have_as_many_parameters_as_is_said_of_them() -> None:
    """The table beside the files: counts of an independent library, and of router biases."""
    said = {}
    for line in (PUBLISHED / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].endswith(".json"):
            said[cells[0]] = sum(int(cell.replace(",", "")) for cell in cells[1:])
    assert said
    for name, count in said.items():
        config = json.loads((PUBLISHED / name).read_text(encoding="utf-8"))
        try:
            model = architecture_from_config(name, config)
        except InputError:
            continue  # of a family that is not read
        assert model.parameter_count == count, name
