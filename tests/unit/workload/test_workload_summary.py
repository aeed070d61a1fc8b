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
