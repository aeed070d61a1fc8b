"""What is done with the rows of a trace: order, window, spread, scale, count."""

import hashlib
import pickle
import tracemalloc
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from math import ceil, sqrt
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rack_sim.foundation.errors import InputError
from rack_sim.workload import Request, TraceOptions, TraceWorkload
from rack_sim.workload.trace import TraceSource

HEADER = "arrival_ps,input_tokens,output_tokens\n"


def write(path: Path, times_ps: list[int]) -> Path:
    """A trace whose row number n (from 1) has n input tokens."""
    rows = (f"{time_ps},{number},7\n" for number, time_ps in enumerate(times_ps, start=1))
    path.write_text(HEADER + "".join(rows))
    return path


def read(path: Path, **options: object) -> list[Request]:
    workload = TraceWorkload(path, TraceOptions(**options))  # type: ignore[arg-type]
    return list(workload.open().arrivals())


def times(requests: list[Request]) -> list[int]:
    return [request.arrival_ps for request in requests]


def test_check_and_description(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [5, 9, 30])
    workload = TraceWorkload(str(path), TraceOptions(rate_scale=0.5, first_n=2))
    assert workload.request_count is None
    check = workload.validate()
    assert check.format_name == "rack-sim"
    assert (check.request_count, check.duration_ps, check.skipped_count) == (2, 8, 0)
    assert check.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert workload.request_count == 2
    assert workload.description == (
        "trace t.csv (rack-sim), 2 requests, first 2, 0.5 times the rate"
    )


def test_replays_are_equal_and_a_pickle_too(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [0, 0, 0, 50, 50])
    workload = TraceWorkload(path, TraceOptions(spread_bunch_ps=40, seed=3))
    first = list(workload.open().arrivals())
    source = workload.open()
    assert list(source.arrivals()) == first
    assert list(pickle.loads(pickle.dumps(workload)).open().arrivals()) == first
    assert source.follow_up(first[0], 100) is None


def test_late_rows_are_put_in_order_and_equal_times_keep_theirs(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [100, 130, 120, 125, 130, 120, 160])
    requests = read(path, sort_window_ps=10)
    assert times(requests) == [0, 20, 20, 25, 30, 30, 60]
    assert [request.input_tokens for request in requests] == [1, 3, 6, 4, 2, 5, 7]
    assert [request.request_id for request in requests] == list(range(7))


def test_a_first_row_that_is_late_does_not_make_times_negative(tmp_path: Path) -> None:
    assert times(read(write(tmp_path / "t.csv", [105, 100, 110]))) == [0, 5, 10]


@pytest.mark.parametrize("skip_bad_rows", [False, True])
def test_too_late_row_is_an_error(skip_bad_rows: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [100, 130, 120, 119, 140])
    with pytest.raises(InputError) as caught:
        read(path, sort_window_ps=10, skip_bad_rows=skip_bad_rows)
    (problem,) = caught.value.problems
    assert problem.line == 5
    assert "arrives 11 ps before line 3" in problem.message
    assert len(read(path, sort_window_ps=11)) == 5


def test_no_sort_window_wants_rows_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [1, 1, 2])
    assert times(read(path, sort_window_ps=0)) == [0, 0, 1]
    with pytest.raises(InputError, match="before line"):
        read(write(path, [1, 2, 1]), sort_window_ps=0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    window_ps=st.integers(0, 25),
    jitter_seed=st.integers(0, 10**6),
)
def test_sorting_gives_a_permutation_in_order_or_an_error(
    steps: list[int], window_ps: int, jitter_seed: int, tmp_path: Path
) -> None:
    # Times that rise on the whole, moved back by up to 20: some too late, some not.
    times_ps, now_ps = [], 100
    for index, step in enumerate(steps):
        now_ps += step
        times_ps.append(now_ps - (jitter_seed * (index + 1)) % 21)
    newest = [max(times_ps[: index + 1]) for index in range(len(times_ps))]
    latest = max(top - time_ps for top, time_ps in zip(newest, times_ps, strict=True))
    path = write(tmp_path / "t.csv", times_ps)
    if latest > window_ps:
        with pytest.raises(InputError, match="before line"):
            read(path, sort_window_ps=window_ps)
        return
    requests = read(path, sort_window_ps=window_ps)
    assert all(a.arrival_ps <= b.arrival_ps for a, b in pairwise(requests))
    assert requests[0].arrival_ps == 0
    earliest = min(times_ps)
    expected = Counter((time_ps - earliest, n) for n, time_ps in enumerate(times_ps, start=1))
    assert Counter((r.arrival_ps, r.input_tokens) for r in requests) == expected


@pytest.mark.parametrize("rate_scale", [2.0, 0.1, 1.1, 3, 1e-6, 7.77])
def test_scale_is_exact(rate_scale: float, tmp_path: Path) -> None:
    times_ps = [7, 8, 10**18 + 7, 3 * 10**18 + 8]
    path = write(tmp_path / "t.csv", times_ps)
    exact = [ceil((t - 7) / Fraction(str(rate_scale))) for t in times_ps]
    assert times(read(path, rate_scale=rate_scale)) == exact


def test_scale_of_a_tenth_is_times_ten(tmp_path: Path) -> None:
    # 0.1 as a binary float would give 10**19 - 555 or so.
    path = write(tmp_path / "t.csv", [0, 10**18])
    assert times(read(path, rate_scale=0.1)) == [0, 10**19]


def test_window_counts_from_the_first_arrival_and_moves_to_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [100, 110, 120, 130, 140])
    requests = read(path, window_start_ps=15, window_end_ps=40)
    assert [request.input_tokens for request in requests] == [3, 4]
    assert times(requests) == [0, 10]
    assert [request.request_id for request in requests] == [0, 1]
    assert [r.input_tokens for r in read(path, window_start_ps=10)] == [2, 3, 4, 5]
    assert [r.input_tokens for r in read(path, window_end_ps=10)] == [1]


def test_window_is_in_the_time_of_the_trace_not_of_the_replay(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [100, 110, 120, 130])
    requests = read(path, window_start_ps=10, window_end_ps=30, rate_scale=2.0, first_n=1)
    assert [request.input_tokens for request in requests] == [2]
    assert times(read(path, window_start_ps=10, window_end_ps=30, rate_scale=2.0)) == [0, 5]


def test_first_n_is_the_beginning_of_the_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [0] * 50 + [1000] * 50)
    options = {"spread_bunch_ps": 800, "rate_scale": 0.3}
    assert read(path, first_n=30, **options) == read(path, **options)[:30]
    assert len(read(path, first_n=1000)) == 100


def test_spread_stays_in_its_bunch_and_keeps_the_order(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [0] * 20 + [500] + [600] * 20 + [650] * 20)
    requests = read(path, spread_bunch_ps=200)
    offset_ps = 0  # the first request moves to 0, all others by as much
    assert [request.input_tokens for request in requests] == list(range(1, 62))
    assert all(a.arrival_ps <= b.arrival_ps for a, b in pairwise(requests))
    offset_ps = 500 - requests[20].arrival_ps  # alone at its time: not spread
    assert 0 <= offset_ps < 200
    found = [time_ps + offset_ps for time_ps in times(requests)]
    assert all(0 <= time_ps < 200 for time_ps in found[:20])
    assert all(600 <= time_ps < 650 for time_ps in found[21:41])  # up to the next time only
    assert all(650 <= time_ps < 850 for time_ps in found[41:])
    assert max(found[41:]) - min(found[41:]) > 100
    assert read(path, spread_bunch_ps=200, seed=1) != requests
    assert "synthetic" in TraceWorkload(path, TraceOptions(spread_bunch_ps=200)).description


def test_spread_is_uniform(tmp_path: Path) -> None:
    count, span_ps = 4000, 3 * 10**12
    path = write(tmp_path / "t.csv", [0] * count + [10 * span_ps])
    drawn = times(read(path, spread_bunch_ps=span_ps))
    # The last request was not spread, so it tells how far all were moved.
    moved_ps = 10 * span_ps - drawn.pop()
    shares = [(time_ps + moved_ps) / span_ps for time_ps in drawn]
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is exceeded once in a thousand samples.
    distance = max(abs(share - (i + 0.5) / count) for i, share in enumerate(shares))
    assert distance < 1.95 / sqrt(count)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        # A row a second, and a sort window of 10 s: eleven rows are held.
        path = write(tmp_path / "t.csv", [second * 10**12 for second in range(count)])
        workload = TraceWorkload(path)
        tracemalloc.start()
        workload.validate()
        for _ in workload.open().arrivals():
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # Holding 20,000 rows more would take 2 MB at the very least. (Of a trace of up to 16,384
    # requests these are kept.)
    assert peak_bytes(41_000) < peak_bytes(21_000) + 500_000


def test_the_requests_of_a_short_trace_are_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [second * 10**12 for second in range(100)])
    read_once = TraceWorkload(path)
    read_once.validate()
    wanted = list(TraceSource(TraceWorkload(path)).arrivals())
    path.unlink()
    assert list(read_once.open().arrivals()) == list(read_once.open().arrivals()) == wanted
