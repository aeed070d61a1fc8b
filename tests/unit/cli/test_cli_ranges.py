"""Ranges of fitted and assumed numbers: read, written out again, and said where a verdict rests."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rack_sim.scenario import load_scenario

Cli = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[3]
LATENCY = "system.chip.operator_fixed_latency_us"


def test_every_fitted_constant_of_a_shipped_chip_has_the_range_of_its_fit() -> None:
    """The ranges are those of docs/validation.json, from which docs/validation.md is written."""
    record = json.loads((ROOT / "docs" / "validation.json").read_text(encoding="utf-8"))
    text = json.dumps(record)
    found = 0
    for path in (ROOT / "topologies" / "chips").glob("*.yaml"):
        chip = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, entry in chip.items():
            if not isinstance(entry, dict) or not str(entry.get("note", "")).startswith("95 %"):
                continue
            found += 1
            assert f"{entry['low']:.3g} to {entry['high']:.3g};" in entry["note"], (path.name, key)
            assert entry["low"] * 0.999 <= entry["value"] <= entry["high"] * 1.001
            assert key in text
    assert found == 14


def test_a_range_is_in_the_unit_of_its_number(small: Path) -> None:
    given = f"{LATENCY}={{value: 3, assumed: a guess, low: 1, high: 5.5}}"
    scenario = load_scenario("small.yaml", [given])
    (item,) = [p for p in scenario.provenance if p.name.endswith("operator_fixed_latency_ps")]
    assert (item.value, item.low, item.high) == ("3000000", 1_000_000, 5_500_000)
    again = scenario.resolved["system"]["chip"]["operator_fixed_latency_ps"]
    assert (again["value"], again["low"], again["high"]) == (3_000_000, 1_000_000, 5_500_000)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{value: 3, assumed: a, low: 1}", "low and high go together"),
        ("{value: 3, assumed: a, low: 5, high: 4}", "low is above high"),
        ("{value: 3, assumed: a, low: -1, high: 4}", "greater than or equal to 0"),
    ],
)
def test_a_range_that_is_none(cli: Cli, small: Path, given: str, said: str) -> None:
    code, out, err = cli("validate", "small.yaml", "--set", f"{LATENCY}={given}")
    assert code == 2
    assert said in (out + err) or "low" in (out + err)


def test_what_does_not_fit_for_an_assumed_number_alone(cli: Cli, small: Path) -> None:
    """A chip whose program text fills it: nobody has published its size."""
    given = "system.chip.program_text_mib={value: 219, assumed: a guess}"
    code, out, err = cli("explain", "small.yaml", "--set", given)
    assert (code, out) == (3, ""), err
    assert "rests on system.chip.program_text_bytes = 229,638,144 (assumed: a guess)" in err
    assert "no range is known; without any of it, it would fit" in err
