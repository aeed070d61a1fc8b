"""Where nothing fits: the placement that lacks least, as the tier that lacks most sees it."""

import pytest

from rack_sim.hardware.chip import Tiers
from rack_sim.partition.stages import StageCutter
from rack_sim.partition.tiers import least_overfull


def line(resident: tuple[int, ...], capacity: int, *beside: StageCutter) -> StageCutter:
    count = len(resident)
    return StageCutter([0] * count, resident, [0] * count, 0, capacity, beside=beside)


def two_tiers(fast_gap: int, slow_gap: int) -> StageCutter:
    """Three blocks of ten in each tier, with room for so much less than one stage holds."""
    fast = line((10, 10, 10), 30 - fast_gap)
    return line((10, 10, 10), 30 - slow_gap, fast)


@pytest.mark.parametrize(
    ("fast_gap", "slow_gap", "number"), [(5, 2, 0), (2, 5, 1), (5, -3, 0), (-3, 5, 1), (1, 0, 0)]
)
def test_the_fuller_tier_explains_a_placement(fast_gap: int, slow_gap: int, number: int) -> None:
    tiers = Tiers(0, 1, 1)
    whole = two_tiers(fast_gap, slow_gap)
    seen, placed, tier = least_overfull({tiers: whole}, 1)
    assert (placed, tier) == (tiers, number)
    assert seen is (whole.beside[0], whole)[number]
    assert 30 - seen.capacity_bytes == max(fast_gap, slow_gap)


def test_of_placements_the_one_that_lacks_least_is_explained() -> None:
    """The worst tier of each counts: 7, 4 and 6 bytes."""
    lines = {
        Tiers(0, 0, 1): two_tiers(7, 1),
        Tiers(0, 1, 1): two_tiers(3, 4),
        Tiers(1, 1, 1): line((10, 10, 10), 24),
    }
    seen, placed, tier = least_overfull(lines, 1)
    assert (placed, tier, seen.capacity_bytes) == (Tiers(0, 1, 1), 1, 26)


@pytest.mark.parametrize(("stages", "number"), [(1, 1), (2, 0), (3, 0), (4, 0)])
def test_each_tier_is_cut_for_itself(stages: int, number: int) -> None:
    """In one stage 30 and 40 bytes lack 12 and 14; in two or three the fast tier lacks more."""
    fast = line((28, 1, 1), 18)
    slow = line((10, 10, 20), 26, fast)
    _, _, tier = least_overfull({Tiers(0, 1, 1): slow}, stages)
    assert tier == number
