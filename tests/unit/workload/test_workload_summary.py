"""The summary of a stream of requests against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.workload import (
    ClosedLoopWorkload,
    Fixed,
    Lognormal,
    Poisson,
    Request,
    SyntheticWorkload,
    summarise,
)

S = 10**12


def requests(rows: list[tuple[int, int, int]]) -> list[Request]:
    return [Request(number, *row) for number, row in enumerate(rows)]


@given(
    st.lists(
        st.tuples(st.integers(0, 30 * S), st.integers(1, 9000), st.integers(1, 900)),
        min_size=1,
        max_size=60,
    )
)
def test_against_numpy(steps: list[tuple[int, int, int]]) -> None:
    arrivals = np.cumsum([step[0] for step in steps])
    rows = [(int(at), step[1], step[2]) for at, step in zip(arrivals, steps, strict=True)]
    summary = summarise(requests(rows))
    flat = summary.as_dict()
    columns = {
        "input_tokens": [row[1] for row in rows],
        "output_tokens": [row[2] for row in rows],
        "total_tokens": [row[1] + row[2] for row in rows],
    }
    for name, values in columns.items():
        assert flat[f"{name}_total"] == sum(values)
        assert flat[f"{name}_mean"] == pytest.approx(np.mean(values))
        assert (flat[f"{name}_min"], flat[f"{name}_max"]) == (min(values), max(values))
        for percent in (50, 90, 95, 99):
            expected = np.percentile(values, percent)
            assert flat[f"{name}_p{percent}"] == pytest.approx(expected)
    since = arrivals - arrivals[0]
    assert summary.request_count == len(rows)
    assert summary.duration_s == pytest.approx(since[-1] / S)
    for width_s, peak in ((1, summary.peak_1s_rate_rps), (60, summary.peak_60s_rate_rps)):
        if since[-1] < width_s * S:
            assert peak is None
        else:
            fullest = np.unique(since // (width_s * S), return_counts=True)[1].max()
            assert peak == pytest.approx(fullest / width_s)
    gaps = np.diff(arrivals) / S
    if len(gaps):
        assert summary.gap_mean_s == pytest.approx(gaps.mean())
        assert summary.zero_gap_share == pytest.approx((gaps == 0).mean())
        assert summary.longest_gap_s == pytest.approx(gaps.max())
    if since[-1]:
        assert summary.mean_rate_rps == pytest.approx(len(rows) / (since[-1] / S))
        assert summary.gap_cv == pytest.approx(gaps.std() / gaps.mean(), abs=1e-6)


def test_even_gaps_have_no_variation_at_all() -> None:
    summary = summarise(requests([(number * S // 3, 1, 1) for number in range(1000)][::3]))
    assert summary.gap_cv == 0.0


def test_values_without_a_meaning_are_none() -> None:
    alone = summarise(requests([(5 * S, 10, 2)]))
    assert (alone.duration_s, alone.mean_rate_rps, alone.gap_mean_s) == (0, None, None)
    assert (alone.gap_cv, alone.zero_gap_share, alone.longest_gap_s) == (None, None, None)
    assert ("mean rate", "-", "req/s") in alone.rows()
    together = summarise(requests([(5, 10, 2), (5, 10, 2)]))
    assert (together.zero_gap_share, together.gap_cv) == (1.0, None)


def test_of_a_workload_and_as_a_table() -> None:
    workload = SyntheticWorkload(Poisson(50.0), Lognormal(3000, 2000), Fixed(64), 1, 2000)
    summary = summarise(workload)
    assert summary == summarise(workload.open().arrivals())
    rows = {quantity: (value, unit) for quantity, value, unit in summary.rows()}
    assert len(rows) == len(summary.rows())
    assert rows["requests"] == ("2,000", "")
    assert rows["output total"] == ("128,000", "tokens")
    assert rows["input p99"] == (f"{summary.input_tokens.p99:,.1f}", "tokens")
    assert all(isinstance(part, str) for row in summary.rows() for part in row)
    assert summary.as_dict()["output_tokens_p50"] == 64


def test_nothing_to_summarise() -> None:
    with pytest.raises(InputError, match="no request"):
        summarise([])
    with pytest.raises(InputError, match="request 1 arrives before"):
        summarise(requests([(5, 1, 1), (4, 1, 1)]))
    closed = ClosedLoopWorkload(1, 0, Fixed(1), Fixed(1), 0, 5)
    with pytest.raises(InputError, match="closed loop"):
        summarise(closed)


def test_labels_are_shown_where_there_are_any() -> None:
    bare = summarise(requests([(0, 10, 2), (5, 10, 2)]))
    assert (bare.session_count, bare.block_tokens, bare.prefix_reuse_share) == (None, None, None)
    assert bare.priority_share == {}
    assert not any("session" in row[0] or "prior" in row[0] for row in bare.rows())
    labelled = summarise(
        [
            Request(0, 0, 40, 2, (1, 2, 3), 7, 0),
            Request(1, 1, 40, 2, (1, 2, 4), 8, 2),
            Request(2, 2, 10, 2, (), -1, -1),
            Request(3, 3, 17, 2, (1, 2), 7, 0),
        ]
    )
    # Blocks of 14 to 16 tokens fit; 16 is the power of two. Two blocks and a whole prompt of 17.
    assert labelled.block_tokens == 16
    assert labelled.prefix_reuse_share == (2 * 16 + 17) / 107
    assert labelled.session_count == 2
    assert labelled.priority_share == {-1: 0.25, 0: 0.5, 2: 0.25}
    flat = labelled.as_dict()
    assert (flat["session_count"], flat["priority_share_-1"], flat["priority_share_2"]) == (
        2,
        0.25,
        0.25,
    )
    rows = {quantity: (value, unit) for quantity, value, unit in labelled.rows()}
    assert rows["sessions"] == ("2", "")
    assert rows["input in prefixes seen before"] == ("45.8", "%")
    assert [name for name in rows if "priority" in name] == [
        "priority 2", "priority 0", "priority -1",
    ]  # fmt: skip


def test_many_priorities_are_not_listed() -> None:
    found = summarise([Request(n, n, 1, 1, priority=n) for n in range(11)])
    assert found.rows()[-1] == ("priorities", "11, 0 to 10", "")


@given(
    size=st.integers(1, 40),
    prompts=st.lists(
        st.tuples(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 40)),
        min_size=1,
        max_size=30,
    ),
)
def test_reuse_against_prefixes_written_out(
    size: int, prompts: list[tuple[list[int], int]]
) -> None:
    """Names that stand for all that is before them, as they must: the k-th of each prefix."""
    numbers: dict[tuple[int, ...], int] = {}
    seen: set[tuple[int, ...]] = set()
    stream, found, total = [], 0, 0
    for number, (blocks, last) in enumerate(prompts):
        prefixes = [tuple(blocks[: k + 1]) for k in range(len(blocks))]
        tokens = size * (len(blocks) - 1) + min(last, size)
        hashes = tuple(numbers.setdefault(prefix, len(numbers)) for prefix in prefixes)
        stream.append(Request(number, number, tokens, 1, hashes))
        hits = next((k for k, prefix in enumerate(prefixes) if prefix not in seen), len(blocks))
        found += tokens if hits == len(blocks) else size * hits
        total += tokens
        seen.update(prefixes)
    least = max(-(-r.input_tokens // len(r.block_hashes)) for r in stream)
    several = [r for r in stream if len(r.block_hashes) > 1]
    most = min(((r.input_tokens - 1) // (len(r.block_hashes) - 1) for r in several), default=0)
    summary = summarise(stream)
    assert summary.block_tokens is not None
    assert least <= summary.block_tokens
    if several:
        assert summary.block_tokens <= most
    if least == most:
        assert summary.block_tokens == size
        assert summary.prefix_reuse_share == found / total


def test_blocks_of_no_one_size_have_no_share() -> None:
    found = summarise([Request(0, 0, 512, 1, (1,)), Request(1, 1, 33, 1, (2, 3, 4))])
    assert (found.block_tokens, found.prefix_reuse_share) == (None, None)
