"""Files of replicas that were replayed apart, put together: nothing lost, added or out of order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.foundation.errors import ConservationError
from rack_sim.metrics import column_log, parts
from rack_sim.metrics.column_log import ColumnLog
from rack_sim.metrics.log import REQUEST_COLUMNS, Collector
from rack_sim.metrics.parts import collect

WIDTH = len(TIMELINE_COLUMNS)


def outcome(number: int) -> tuple[int, ...]:
    """A row that tells its number in every column, and ends with a number that falls."""
    inner = range(1, len(REQUEST_COLUMNS) - 1)
    return (number, *(1000 * number + place for place in inner), -number)


def bins_of(*arrived: int) -> list[tuple[int, ...]]:
    return [tuple(count * (place + 1) for place in range(WIDTH)) for count in arrived]


def saved(
    folder: Path,
    requests: Iterable[int] = (),
    bins: Iterable[tuple[int, ...]] = (),
    gaps: Iterable[tuple[int, int, int, int]] = (),
) -> Path:
    """A folder as a part leaves it."""
    folder.mkdir()
    collector = Collector()
    for number in requests:
        collector.requests.append(outcome(number))
    for row in bins:
        collector.bins.append(row)
    for run in gaps:
        collector.gaps(*run)
    collector.requests.save(folder / "requests")
    collector.bins.save(folder / "bins")
    collector.gap_runs.as_runs().save(folder / "gaps")
    return folder


def rows_of(log: ColumnLog) -> list[tuple[int, ...]]:
    return [
        row
        for chunk in log.chunks()
        for row in zip(*(chunk[name].tolist() for name in log.columns), strict=True)
    ]


@contextmanager
def few_at_once(merged: int, stored: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_REQUESTS_AT_ONCE", merged)
        patch.setattr(column_log, "_ROWS_AT_ONCE", stored)
        yield


Folders = Callable[[], Path]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return lambda: tmp_path_factory.mktemp("parts") / "part"


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 3), max_size=40),
    st.sampled_from([1, 3, 4, 2**14]),
    st.sampled_from([1, 2, 5, 2**14]),
)
def test_requests_of_all_parts_come_by_number(
    place: Folders, owners: list[int], merged: int, stored: int
) -> None:
    """However they were dealt, also where a part has none."""
    with few_at_once(merged, stored):
        folders = [
            saved(place(), [number for number, owner in enumerate(owners) if owner == part])
            for part in range(4)
        ]
        whole = collect(folders)
        assert rows_of(whole.requests) == [outcome(number) for number in range(len(owners))]
        assert whole.requests.row_count == len(owners)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 9), max_size=20), min_size=1, max_size=4),
    st.sampled_from([1, 3, 4, 2**14]),
    st.sampled_from([1, 2, 5, 2**14]),
)
def test_bins_are_added_from_the_start(
    place: Folders, arrived: list[list[int]], merged: int, stored: int
) -> None:
    """A part that ended sooner has nothing in the later ones."""
    with few_at_once(merged, stored):
        whole = collect([saved(place(), bins=bins_of(*counts)) for counts in arrived])
        length = max(map(len, arrived))
        sums = [
            sum(counts[number] for counts in arrived if number < len(counts))
            for number in range(length)
        ]
        assert rows_of(whole.bins) == bins_of(*sums)
        assert whole.bins.row_count == length


def test_gaps_of_all_parts_are_pooled(place: Folders) -> None:
    whole = collect(
        [
            saved(place(), gaps=[(100, 0, 5, 1), (7, 2, 3, 2)]),
            saved(place(), gaps=[(100, 0, 1, 1), (11, 0, 4, 1)]),
        ]
    )
    pooled: dict[int, int] = {}
    for values, counts in whole.gap_runs.chunks():
        for gap_ps, times in zip(values.tolist(), counts.tolist(), strict=True):
            pooled[gap_ps] = pooled.get(gap_ps, 0) + times
    assert pooled == {100: 6, 7: 2, 9: 2, 11: 2 + 4}
    assert whole.gap_runs.gap_count == 6 + 6 + 4


def test_no_parts_are_an_empty_whole() -> None:
    whole = collect([])
    assert (whole.requests.row_count, whole.bins.row_count) == (0, 0)
    assert whole.gap_runs.gap_count == 0


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ([0, 1, 2], [2, 3], "requests 0 to 2 are"),
        ([0, 1], [3], "requests 0 to 2 are"),
        ([1, 2], [3], "requests 0 to 2 are"),
        ([0, 1, 2, 3], [5], "requests 3 to 4 are"),
        ([0, 0], [1], "requests 0 to 2 are"),
    ],
)
def test_a_request_in_two_parts_or_in_none_is_our_bug(
    place: Folders, one: list[int], other: list[int], said: str
) -> None:
    """The message names those that are looked at together, three at a time here."""
    with few_at_once(3, 2), pytest.raises(ConservationError, match=f"{said} not each in one part"):
        collect([saved(place(), one), saved(place(), other)])
