"""Named random streams: reproducible, apart from each other, whatever else is drawn."""

import subprocess
import sys

import numpy as np
import pytest

from rack_sim.foundation.streams import stream

COUNT = 64


def draw(seed: int, name: str) -> list[int]:
    return stream(seed, name).integers(0, 2**62, COUNT).tolist()


def test_same_seed_and_name_give_the_same_numbers() -> None:
    assert draw(7, "workload/arrivals") == draw(7, "workload/arrivals")


@pytest.mark.parametrize(
    ("seed", "name"),
    [(8, "workload/arrivals"), (7, "workload/lengths"), (7, "workload/arrivals "), (7, "")],
)
def test_another_seed_or_name_gives_other_numbers(seed: int, name: str) -> None:
    # 64 draws of 62 bits: one common number by chance has probability below 1e-15.
    assert not set(draw(7, "workload/arrivals")) & set(draw(seed, name))


def test_streams_are_not_correlated() -> None:
    count = 20_000
    one, other = stream(7, "a").random(count), stream(7, "b").random(count)
    # The correlation of independent draws has standard error 1 / sqrt(n); six of them.
    assert abs(np.corrcoef(one, other)[0, 1]) < 6 / count**0.5


def test_the_order_of_use_is_irrelevant() -> None:
    alone = draw(7, "a"), draw(7, "b")
    first, second = stream(7, "b"), stream(7, "a")
    mixed_b, mixed_a = [], []
    for _ in range(COUNT):
        mixed_b.append(int(first.integers(0, 2**62)))
        mixed_a.append(int(second.integers(0, 2**62)))
    assert (mixed_a, mixed_b) == alone


def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    """Nothing depends on Python's own hashing of text, which differs from process to process."""
    code = (
        "from rack_sim.foundation.streams import stream;"
        "print(stream(7, 'a').integers(0, 2**62, 4).tolist())"
    )
    drawn = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert drawn == f"{draw(7, 'a')[:4]}\n"
