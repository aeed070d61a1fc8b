"""Models that keep states on the command line: explained apart, refused where they cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

import yaml

Cli = Callable[..., tuple[int, str, str]]
HERE = Path(__file__).parent
# As Nemotron-H, small: states of 8 heads of 16 x 32 in two layers, 3 rows of 8 x 16 + 2 x 2 x 32.
HYBRID = {
    "model_type": "nemotron_h",
    "name": "tiny",
    "hybrid_override_pattern": "M*M-",
    "num_hidden_layers": 4,
    "hidden_size": 512,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "intermediate_size": 1024,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "n_groups": 2,
    "ssm_state_size": 32,
}
BYTES = 2 * (4 * 8 * 16 * 32 + 2 * 3 * (8 * 16 + 2 * 2 * 32))


def written(folder: Path, name: str, **serving: object) -> str:
    """One of the scenarios beside this file with the hybrid as its model."""
    keys = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    keys["model"] = HYBRID
    keys["serving"] |= serving
    (folder / "hybrid.yaml").write_text(yaml.safe_dump(keys), encoding="utf-8")
    return "hybrid.yaml"


def test_a_reactive_chip_says_what_states_take(cli: Cli, small: Path) -> None:
    path = written(small.parent, "batches")
    found = json.loads(cli("explain", path, "--json")[1])
    assert found["state_bytes_per_sequence"] == BYTES
    assert found["chip_bytes"]["states"] == 16 * BYTES
    assert found["concurrent_sequences_max"] <= 16
    code, out, _ = cli("explain", path)
    assert code == 0
    assert "states of sequences" in out
    assert f"{BYTES:,} bytes over all chips of the replica" in out


def test_a_static_chip_says_what_states_take(cli: Cli, small: Path) -> None:
    code, out, _ = cli("explain", written(small.parent, "slots"))
    assert code == 0
    title = next(line for line in out.splitlines() if "weights" in line and "full" in line)
    assert "states" in title
    plain = cli("explain", HERE / "slots.yaml")[1]
    title = next(line for line in plain.splitlines() if "weights" in line and "full" in line)
    assert "states" not in title


def test_a_prefix_cache_is_refused_where_it_stands(cli: Cli, small: Path) -> None:
    path = written(
        small.parent, "batches", prefix_cache={"capacity_bytes": 10**8, "block_tokens": 16}
    )
    code, _, err = cli("run", path, "--out", "x")
    assert code == 2
    assert "hybrid.yaml:" in err
    assert "serving.prefix_cache: tiny keeps states of sequences" in err


def test_too_many_states_are_answered_with_how_many_fit(cli: Cli, small: Path) -> None:
    path = written(small.parent, "batches")
    many = ("serving.policy.max_sequences=4096", "serving.policy.token_budget=4096")
    large = ("model.ssm_state_size=65536", *many)
    code, _, err = cli("explain", path, *(word for one in large for word in ("--set", one)))
    assert code == 3
    assert "states" in err
    assert "serving.policy.max_sequences: " in err
