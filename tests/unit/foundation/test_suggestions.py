"""A suggestion is what may be meant by a slip of the pen, never another size or generation."""

import pytest

from rack_sim.foundation.errors import suggest
from rack_sim.scenario.library import presets


@pytest.mark.parametrize(
    ("given", "allowed", "meant"),
    [
        ("slot_row", ["slot_rows"], "slot_rows"),
        ("num_kv_heads", ["num_key_value_heads", "num_hidden_layers"], "num_key_value_heads"),
        ("llama70bb", ["llama70b"], "llama70b"),
        ("lama-3.1-8b", ["llama-3.1-8b", "llama-3-8b"], "llama-3.1-8b"),
        ("groq-641", ["groq-640"], "groq-640"),
        ("groq-246", ["groq-264"], "groq-264"),
        ("groq-rack-27", ["groq-rack-72"], "groq-rack-72"),
        ("llama-2-80b", ["llama-2-70b"], None),
        ("nvidia-h10-x8", ["nvidia-h100-x8"], None),
        ("llama-3.3", ["llama70b"], None),
        ("llama-3.3-70b", ["llama-3.1-70b", "llama-3-70b", "llama-3.3-8b"], None),
        ("groq-lpu-v2", ["groq-lpu-v1"], None),
        ("qwen2-8b", ["qwen3-8b"], None),
        ("int9", ["int8"], None),
    ],
)
def test_what_may_be_meant(given: str, allowed: list[str], meant: str | None) -> None:
    hint = suggest(given, allowed)
    assert hint == (
        f"did you mean {meant!r}?" if meant else f"allowed: {', '.join(sorted(allowed))}"
    )


def test_no_model_is_offered_for_another_of_its_series() -> None:
    """Without one of the models, its name leads to none of the others."""
    known = set(presets("model"))
    for name in known:
        assert suggest(name, known - {name}).startswith("allowed: "), name
