"""Whatever number a scenario holds: it is refused in words, or gives finite results soon."""

import json
import math
from pathlib import Path

import pytest

import rack_sim
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.scenario import load_scenario

SMALL = (
    "model={vocab_size: 500, hidden_size: 128, num_hidden_layers: 2, num_attention_heads: 4,"
    " num_key_value_heads: 4, intermediate_size: 256, max_position_embeddings: 4096,"
    " model_type: llama}",
    "workload={kind: synthetic, arrivals: {kind: poisson, rate_rps: 100}, request_count: 5,"
    " input_tokens: {kind: fixed, tokens: 16}, output_tokens: {kind: fixed, tokens: 4}}",
    "serving.max_context_tokens=64",
    "partition.stages=auto",
    "partition.tensor_parallel=auto",
)
MACHINES = {
    "slots": ("llama70b", ("system=groq-node-8", "serving.concurrent_sequences=4", *SMALL)),
    "batches": ("llama70b-a100", ("system=nvidia-a100-80-x2", *SMALL)),
}
NUMBERS = (0, -1, 1, 10**15, 1e-9, 1e300)


def leaves(value: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The paths of all numbers below `value`."""
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [path]
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    return [leaf for key, item in items for leaf in leaves(item, (*path, str(key)))]


def with_number(tree: object, path: tuple[str, ...], number: float) -> object:
    """The tree with another number at a path."""
    if not path:
        return number
    first, *rest = path
    if isinstance(tree, list):
        return [
            with_number(item, tuple(rest), number) if str(at) == first else item
            for at, item in enumerate(tree)
        ]
    assert isinstance(tree, dict)
    return {
        key: with_number(item, tuple(rest), number) if key == first else item
        for key, item in tree.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("machine", MACHINES)
def test_any_number_is_refused_or_gives_finite_results(
    tmp_path: Path, machine: str, number: float
) -> None:
    """Every number of the resolved scenario in turn; what may not be is an InputError."""
    name, changes = MACHINES[machine]
    tree = load_scenario(name, list(changes)).resolved
    for path in leaves(tree):
        file = tmp_path / "scenario.json"
        file.write_text(json.dumps(with_number(tree, path, number)), encoding="utf-8")
        try:
            result = rack_sim.simulate(rack_sim.load(str(file)))
        except (InputError, InfeasibleError):
            continue
        for key, value in result.summary.items():
            assert not isinstance(value, float) or math.isfinite(value), (path, key, value)
