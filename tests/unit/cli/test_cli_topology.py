"""`rack-sim topology`: a table for people, JSON for programs, errors in place."""

import json
from pathlib import Path

import pytest


def test_a_table_of_a_preset(cli) -> None:
    found = cli("topology", "groq-node-8")
    assert found.code == 0
    for words in ("1 hops", "200.0 GB/s", "56 used of 88", "533.00 ns", "all 28 pairs"):
        assert words in found.out, words


def test_json_of_a_preset(cli) -> None:
    values = json.loads(cli("topology", "lpx-rack-256", "--json").out)
    assert values["system"] == "lpx-rack-256"
    assert values["chip_count"] == 256
    assert values["worst_latency_ps"] == 1_150_000
    assert sum(values["pairs_by_hops"]) == 256 * 255
    assert values["bisection_is_exact"] is True


def test_a_bound_is_called_one(cli) -> None:
    assert "at most 600.0 GB/s" in cli("topology", "groq-rack-72").out


def test_a_file_in_the_directory(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = """name: own
chip: groq-lpu-v1
topology: {kind: ring, chips: 10}
links:
  local: {rate_gbytes_per_s: 10, latency_ns: 500, payload_bytes: 320, wire_bytes: 328}
host_watts_per_node: 0
"""
    Path("own.yaml").write_text(text)
    assert json.loads(cli("topology", "own.yaml", "--json").out)["diameter_hops"] == 5
    Path("own.yaml").write_text(text.replace("ring", "rang"))
    found = cli("topology", "own.yaml")
    assert found.code == 2
    assert "own.yaml:3:" in found.err
    assert "did you mean 'ring'" in found.err


def test_a_system_that_is_not_there(cli) -> None:
    found = cli("topology", "groq-rack")
    assert (found.code, found.out) == (2, "")
    assert "did you mean 'groq-rack-72'" in found.err


def test_explain_shows_the_network(cli, small: Path) -> None:
    found = cli("explain", small)
    assert "topology of groq-rack-72" in found.out
    assert "bisection" in found.out
    values = json.loads(cli("explain", small, "--json").out)["topology"]
    assert values["diameter_hops"] == 3
