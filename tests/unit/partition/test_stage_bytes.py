"""Bytes and durations of every stage that a line of three blocks can be cut into, by hand."""

from dataclasses import replace

import pytest

from rack_sim.partition.stages import StageCutter

LINE = StageCutter(
    durations_ps=[1, 20, 300],
    resident_bytes=[10, 20, 40],
    live_bytes=[5, 1, 7],
    overhead_bytes=100,
    capacity_bytes=150,
)
# A stage's residents, the largest of its live bytes, and the overhead.
BYTES = {
    (0, 1): 10 + 5 + 100,
    (1, 2): 20 + 1 + 100,
    (2, 3): 40 + 7 + 100,
    (0, 2): 30 + 5 + 100,
    (1, 3): 60 + 7 + 100,
    (0, 3): 70 + 7 + 100,
}
DURATIONS_PS = {(0, 1): 1, (1, 2): 20, (2, 3): 300, (0, 2): 21, (1, 3): 320, (0, 3): 321}


def by_range(table: object) -> dict[tuple[int, int], int]:
    return {(i, j): int(table[i, j]) for i, j in BYTES}  # type: ignore[index]


def test_a_stage_holds_its_blocks_its_largest_activations_and_the_overhead() -> None:
    assert by_range(LINE.stage_bytes()) == BYTES


@pytest.mark.parametrize("shared", [1, 4, 10])
def test_what_first_and_last_block_share_lies_once_where_both_are(shared: int) -> None:
    found = by_range(replace(LINE, shared_bytes=shared).stage_bytes())
    assert found == BYTES | {(0, 3): BYTES[0, 3] - shared}


@pytest.mark.parametrize("capacity", [114, 115, 120, 121, 135, 147, 166, 167, 176, 177])
def test_a_stage_fits_to_the_last_byte(capacity: int) -> None:
    fits = replace(LINE, capacity_bytes=capacity).fits()
    assert {(i, j) for i, j in BYTES if fits[i, j]} == {
        place for place, size in BYTES.items() if size <= capacity
    }


def test_a_stage_must_fit_every_tier() -> None:
    """One that holds two blocks here is too large for the other, and the other way round."""
    other = replace(LINE, resident_bytes=[40, 20, 10], capacity_bytes=135)
    both = replace(LINE, capacity_bytes=135, beside=(other,)).fits()
    assert {(i, j) for i, j in BYTES if both[i, j]} == {(1, 2)}
    roomy = replace(other, capacity_bytes=10**6)
    three = replace(LINE, capacity_bytes=135, beside=(roomy, other, roomy)).fits()
    assert (three == both).all()


def test_only_stages_that_fit_have_a_duration() -> None:
    """The other cuts of the table are for ever: longer than any sum of durations."""
    (times, again) = LINE.stage_ps(2)
    assert (times == again).all()
    found = by_range(times)
    for place, size in BYTES.items():
        assert found[place] == DURATIONS_PS[place] if size <= 150 else found[place] > 10**18
    empty = [(i, j) for i in range(4) for j in range(4) if j <= i]
    assert all(times[place] > 10**18 for place in empty)


def test_every_stage_has_the_durations_of_its_group() -> None:
    """A second group that is slower gets less to do."""
    roomy = replace(LINE, capacity_bytes=10**6)
    by_stage = ([1, 20, 300], [10, 200, 3_000])
    first, second = replace(roomy, durations_by_stage_ps=by_stage).stage_ps(2)
    assert by_range(first) == DURATIONS_PS
    assert by_range(second) == {place: 10 * ps for place, ps in DURATIONS_PS.items()}
    # 300 here and 350 there, or 320 and 100.
    turned = replace(roomy, durations_by_stage_ps=([300, 20, 1], [3_000, 250, 100]))
    assert turned.bottlenecks_ps(2) == [321, 320]
    assert turned.best_cut(2) == ((0, 2), (2, 3))
    assert replace(turned, durations_by_stage_ps=([300, 20, 1],) * 2).best_cut(2) == (
        (0, 1),
        (1, 3),
    )
