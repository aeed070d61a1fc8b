"""Whatever a file says in words, resolved.yaml says the same, byte for byte, however often."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.scenario import load_scenario, resolved_yaml, scenario_of_keys

# What readers and writers of YAML treat each in a way of their own, and any other character.
ODD = (
    "\x00\x07\t\n\r\x1b\x7f\x85\x9f\xa0\u2028\u2029\ufeff\ufffe\U0001f600 '\"\\#:-?{}[]&*!|>%@`,=~"
)
CHARACTER = st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARACTER, max_size=40) | st.sampled_from(
    ["1e5", "yes", "null", "~", "<<", "=", "2024-01-01", "0x1F", " ", "- a", "a: b", "? a", "#"]
)
# A name is printed in a line and names columns: no commands to a terminal in it.
NAME = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\u2028"), min_size=1, max_size=40
)


SMALL = Path(__file__).parents[1] / "unit" / "scenario" / "small.yaml"


@cache
def resolved() -> dict[str, Any]:
    """A small scenario with its presets put in."""
    return dict(load_scenario(SMALL).resolved)


def keys_of(texts: list[str], names: list[str]) -> dict[str, Any]:
    """That scenario with other text wherever a file may have any."""
    said, source, assumed, note, of_model, of_grade, of_system, of_chip = texts
    keys = deepcopy(resolved())
    system, model = keys["system"], keys["model"]
    keys["description"] = said
    system |= {"name": names[0], "description": of_system}
    system["chip"] |= {
        "name": names[1],
        "description": of_chip,
        "idle_watts": {"value": 5, "source": source, "grade": "A", "note": note},
        "peak_watts": {"value": 300, "assumed": assumed},
    }
    model |= {"name": names[2], "description": of_model, "source": source, "grade": of_grade}
    model["architectures"] = [said]
    return keys


@settings(max_examples=60)
@given(texts=st.lists(TEXT, min_size=8, max_size=8), names=st.lists(NAME, min_size=3, max_size=3))
def test_resolved_text_is_what_was_given(
    tmp_path_factory: Any, texts: list[str], names: list[str]
) -> None:
    path: Path = tmp_path_factory.mktemp("words") / "resolved.yaml"
    scenario = scenario_of_keys(keys_of(texts, names))
    written = resolved_yaml(scenario)
    path.write_bytes(written.encode())
    again = load_scenario(path)
    assert dict(again.resolved) == dict(scenario.resolved)
    assert resolved_yaml(again) == written
    assert again.scenario_hash == scenario.scenario_hash
    assert again.description == texts[0]
