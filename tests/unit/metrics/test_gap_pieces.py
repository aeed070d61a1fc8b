"""How gaps are kept: equal ones counted, runs in pieces, all found again whatever their range."""

from fractions import Fraction

import numpy as np
import pytest

from rack_sim.metrics import gaps, quantiles
from rack_sim.metrics.gaps import GapLog, mean_and_percentiles

COUNTED = 64
AT_ONCE = 2**18
TOP = 2**63 - 1


def pieces(log: GapLog) -> list[list[tuple[int, int]]]:
    """Every piece: gaps, and how often each occurred."""
    return [
        list(zip(values.tolist(), counts.tolist(), strict=True)) for values, counts in log.chunks()
    ]


def test_64_different_gaps_are_counted_and_others_are_rows() -> None:
    log = GapLog()
    for gap_ps in range(COUNTED + 2):
        log.add(1000 - gap_ps, 0, 3, 2)
    log.add(1000, 0, 1, 1)
    counted, rest = pieces(log)
    assert counted == [(1000 - gap_ps, 6) for gap_ps in range(COUNTED - 1, 0, -1)] + [(1000, 7)]
    assert rest == [(1000 - COUNTED, 6), (1000 - COUNTED - 1, 6)]
    assert log.gap_count == 6 * (COUNTED + 2) + 1
    (chunk,) = log.as_runs().chunks()
    assert set(chunk["step_ps"].tolist()) == {0}, "a single gap has no step"
    assert set(chunk["count"].tolist()) == {1}


def test_a_run_of_one_gap_is_counted_whatever_its_step() -> None:
    log = GapLog()
    log.add(7, 5, 1, 3)
    log.add(7, 0, 4, 1)
    assert pieces(log) == [[(7, 3 + 4)]]
    assert log.gap_count == 7


def test_a_run_of_two_gaps_is_not() -> None:
    log = GapLog()
    log.add(7, 5, 2, 3)
    assert pieces(log) == [[(7, 3), (12, 3)]]
    log.add(20, -5, 2, 1)
    assert pieces(log) == [[(7, 3), (12, 3), (20, 1), (15, 1)]]


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE, 2 * AT_ONCE + 1])
def test_long_runs_come_in_pieces_of_a_quarter_million(count: int) -> None:
    log = GapLog()
    log.add(11, 2, count, 5)
    sizes = []
    place = 0
    for values, counts in log.chunks():
        assert (counts == 5).all()
        assert values[0] == 11 + 2 * place
        assert values[-1] == 11 + 2 * (place + len(values) - 1)
        place += len(values)
        sizes.append(len(values))
    whole, rest = divmod(count, AT_ONCE)
    assert sizes == [AT_ONCE] * whole + [rest] * bool(rest)
    assert log.gap_count == 5 * count
    assert log.as_runs().row_count == len(sizes), "and no row of nothing"


def test_short_runs_are_put_together_up_to_the_size_of_a_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gaps, "_GAPS_AT_ONCE", 10)
    log = GapLog()
    for count in (4, 6, 3, 8, 2, 10, 9, 2):
        log.add(count, 1, count, 1)
    assert [len(piece) for piece in pieces(log)] == [4 + 6, 3, 8 + 2, 10, 9, 2]


def test_as_runs_has_everything_that_was_counted() -> None:
    log = GapLog()
    log.add(9, 0, 4, 2)
    log.add(5, 0, 1, 1)
    log.add(1, 1, 2, 3)
    runs = log.as_runs()
    rows = [
        row
        for chunk in runs.chunks()
        for row in zip(*(chunk[name].tolist() for name in runs.columns), strict=True)
    ]
    assert runs.columns == ("first_ps", "step_ps", "count", "weight")
    assert rows == [(1, 1, 2, 3), (5, 0, 1, 1), (9, 0, 1, 8)]
    assert pieces(log) == [[(1, 3), (2, 3), (5, 1), (9, 8)]], "once, not twice"


@pytest.mark.parametrize(
    ("pairs", "percents", "wanted"),
    [
        # Gaps and how often; a percentile lies at percent x (count - 1) / 100.
        ([(10, 1), (20, 1)], (0, 25, 99, 100), [15, 10, Fraction(25, 2), Fraction(199, 10), 20]),
        ([(10, 3), (20, 1)], (0, 66, 67, 100), [Fraction(25, 2), 10, 10, Fraction(101, 10), 20]),
        ([(10, 1), (20, 3)], (0, 33, 34, 100), [Fraction(35, 2), 10, Fraction(199, 10), 20, 20]),
        ([(0, 5)], (0, 50, 100), [0, 0, 0, 0]),
        ([(0, 1), (TOP, 1)], (0, 50, 100), [Fraction(TOP, 2), 0, Fraction(TOP, 2), TOP]),
        ([(TOP, 2)], (50,), [TOP, TOP]),
        ([(TOP - 1, 1), (TOP, 1)], (0, 100), [TOP - Fraction(1, 2), TOP - 1, TOP]),
        ([(7, 2**31 - 1)], (50,), [7, 7]),
        ([(7, 2**31)], (50,), [7, 7]),
        ([(2**32 - 1, 1), (2**32, 1)], (0, 100), [2**32 - Fraction(1, 2), 2**32 - 1, 2**32]),
        ([(2**32 - 1, 2**31 + 1)], (50,), [2**32 - 1, 2**32 - 1]),
        ([(2**62 + 5, 2**40 + 3)], (50,), [2**62 + 5, 2**62 + 5]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sorted_at_once", [1, 2**20], ids=["narrowed", "sorted"])
def test_means_and_percentiles_at_their_bounds(
    monkeypatch: pytest.MonkeyPatch,
    sorted_at_once: int,
    pairs: list[tuple[int, int]],
    percents: tuple[int, ...],
    wanted: list[Fraction],
) -> None:
    monkeypatch.setattr(quantiles, "SORTED_AT_ONCE", sorted_at_once)
    log = GapLog()
    for gap_ps, times in pairs:
        log.add(gap_ps, 0, times, 1)
    assert mean_and_percentiles(log, percents) == wanted


@pytest.mark.parametrize("spread", [1, 4, 5, 6, 24, 25, 26, 1000, 10**15])
def test_every_rank_is_found_by_narrowing(monkeypatch: pytest.MonkeyPatch, spread: int) -> None:
    """A hundred and one gaps, of which some are equal; percent p is the p-th smallest."""
    monkeypatch.setattr(quantiles, "SORTED_AT_ONCE", 1)
    monkeypatch.setattr(quantiles, "_HISTOGRAM_BINS", 5)
    monkeypatch.setattr(gaps, "_COUNTED_MAX", 10)
    values = [3 + number * number * 7919 % (spread + 1) for number in range(101)]
    log = GapLog()
    for value in values:
        log.add(value, 0, 1, 1)
    found = mean_and_percentiles(log, range(101))
    assert found == [Fraction(sum(values), 101), *sorted(values)]


def test_no_gaps_have_no_mean() -> None:
    assert mean_and_percentiles(GapLog(), (50,)) == []
    merged = GapLog()
    merged.add_all(GapLog())
    assert (merged.gap_count, pieces(merged)) == (0, [])


@pytest.fixture
def sorted_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many gaps were sorted each time."""
    sizes: list[int] = []
    argsort = np.argsort

    def watched(values: np.ndarray, **options: str) -> np.ndarray:
        sizes.append(len(values))
        return argsort(values, **options)

    monkeypatch.setattr(gaps.np, "argsort", watched)
    return sizes


def test_as_many_gaps_as_may_be_are_sorted_and_no_more(
    monkeypatch: pytest.MonkeyPatch, sorted_sizes: list[int]
) -> None:
    """Ten different gaps; one more, and each has a bin of its own."""
    monkeypatch.setattr(quantiles, "SORTED_AT_ONCE", 10)
    log = GapLog()
    for gap_ps in range(10):
        log.add(gap_ps, 0, 5, 1)
    assert mean_and_percentiles(log, (0, 100)) == [Fraction(9, 2), 0, 9]
    assert sorted_sizes == [10]
    log.add(10, 0, 5, 1)
    assert mean_and_percentiles(log, (0, 100)) == [5, 0, 10]
    assert sorted_sizes == [10]


@pytest.mark.parametrize("gap_ps", [0, 1, 2**62, TOP])
def test_equal_gaps_are_never_sorted(gap_ps: int, sorted_sizes: list[int]) -> None:
    log = GapLog()
    log.add(gap_ps, 0, 5, 1)
    assert mean_and_percentiles(log, (0, 50)) == [gap_ps] * 3
    assert sorted_sizes == []
