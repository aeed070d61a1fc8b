"""The stage cutter against brute force: every cut of small lines of blocks is tried."""

from collections.abc import Iterator
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rack_sim.partition.stages import Cut, StageCutter


@st.composite
def lines(draw: st.DrawFn) -> StageCutter:
    """Up to eight blocks; capacities from hopeless to ample. Small numbers make ties."""
    count = draw(st.integers(1, 8))
    top = draw(st.sampled_from([3, 30, 10**12]))

    def numbers() -> list[int]:
        return draw(st.lists(st.integers(0, top), min_size=count, max_size=count))

    resident, live = numbers(), numbers()
    overhead = draw(st.integers(0, 5))
    return StageCutter(
        durations_ps=numbers(),
        resident_bytes=resident,
        live_bytes=live,
        overhead_bytes=overhead,
        capacity_bytes=draw(st.integers(0, sum(resident) + max(live) + overhead)),
        shared_bytes=draw(st.integers(0, min(resident[0], resident[-1]) if count > 1 else 0)),
    )


def all_cuts(cutter: StageCutter, stages: int) -> Iterator[Cut]:
    """Every way to cut the line into exactly `stages` stages, none empty."""
    count = cutter.block_count
    for inner in combinations(range(1, count), stages - 1):
        yield tuple(pairwise((0, *inner, count)))


def slowest(cutter: StageCutter, cut: Cut) -> int:
    return max(sum(cutter.durations_ps[a:b]) for a, b in cut)


def fullest(cutter: StageCutter, cut: Cut) -> int:
    most = max(
        sum(cutter.resident_bytes[a:b]) + max(cutter.live_bytes[a:b]) + cutter.overhead_bytes
        for a, b in cut
    )
    return most - cutter.shared_bytes if len(cut) == 1 else most


def fitting(cutter: StageCutter, stages: int) -> list[Cut]:
    return [
        cut for cut in all_cuts(cutter, stages) if fullest(cutter, cut) <= cutter.capacity_bytes
    ]


@given(lines(), st.data())
@settings(max_examples=150, deadline=None)
def test_the_best_cut_is_the_best_of_all_cuts(cutter: StageCutter, data: st.DataObject) -> None:
    stages = data.draw(st.integers(1, cutter.block_count))
    cuts = fitting(cutter, stages)
    found = cutter.best_cut(stages)
    assert (found is None) == (not cuts)
    if found is not None:
        assert found in cuts, "exactly `stages` stages, contiguous, all fitting"
        least = min(slowest(cutter, cut) for cut in cuts)
        assert slowest(cutter, found) == least
        as_fast = [cut for cut in cuts if slowest(cutter, cut) == least]
        assert fullest(cutter, found) == min(fullest(cutter, cut) for cut in as_fast)


@given(lines(), st.integers(1, 10))
@settings(max_examples=80, deadline=None)
def test_bottlenecks_of_every_number_of_stages(cutter: StageCutter, most: int) -> None:
    expected = [
        min((slowest(cutter, cut) for cut in fitting(cutter, stages)), default=None)
        for stages in range(1, min(most, cutter.block_count) + 1)
    ]
    assert cutter.bottlenecks_ps(most) == expected


@given(lines(), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_fewest_stages_is_the_first_number_that_fits(cutter: StageCutter, least: int) -> None:
    counts = range(min(least, cutter.block_count), cutter.block_count + 1)
    expected = next((n for n in counts if fitting(cutter, n)), None)
    assert cutter.fewest_stages(counts[0]) == expected


@given(lines(), st.data())
@settings(max_examples=80, deadline=None)
def test_the_emptiest_cut_is_the_least_any_cut_needs(
    cutter: StageCutter, data: st.DataObject
) -> None:
    stages = data.draw(st.integers(1, cutter.block_count))
    assert cutter.emptiest_cut_bytes(stages) == min(
        fullest(cutter, cut) for cut in all_cuts(cutter, stages)
    )


@given(lines())
def test_no_cut_has_no_stage_or_an_empty_one(cutter: StageCutter) -> None:
    assert cutter.best_cut(0) is None
    assert cutter.best_cut(-1) is None
    assert cutter.best_cut(cutter.block_count + 1) is None


def test_a_greedy_cut_would_be_slower() -> None:
    """Filling the first stage up to the mean (6) cuts 5 | 1 1 5 6; the best is 5 1 | 1 5 | 6."""
    cutter = StageCutter([5, 1, 1, 5, 6], [0] * 5, [0] * 5, 0, 0)
    assert cutter.bottlenecks_ps(5) == [18, 11, 6, 6, 6]
    assert cutter.best_cut(3) == ((0, 2), (2, 4), (4, 5))
