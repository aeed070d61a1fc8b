"""Which experts rows touch: the closed form, drawing, and what a static program must provide."""

import random
from fractions import Fraction
from itertools import product
from math import prod

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rack_sim.model.choice import GRAINS, Choice, _odds

# Experts and chosen ones of Mixtral, gpt-oss 120B, DeepSeek-V3, Llama-4 Maverick.
SHAPES = [(8, 2), (128, 4), (256, 8), (128, 1)]


@pytest.mark.parametrize(("experts", "chosen"), SHAPES)
@pytest.mark.parametrize("rows", [1, 2, 7, 64, 1000])
def test_equal_popularities_touch_what_the_closed_form_says(
    experts: int, chosen: int, rows: int
) -> None:
    """E x (1 - (1 - k/E)^n), in exact fractions; half a grain and rounding of floats apart."""
    exact = experts * (1 - (1 - Fraction(chosen, experts)) ** rows)
    found = Choice(experts, chosen).average(rows, 1).expert_grains / GRAINS
    assert abs(found - exact) < 1 / GRAINS


def draws(choice: Choice, rows: int, times: int, seed: int) -> list[list[int]]:
    """For each time, how many rows each expert gets: one draw after the other, none twice."""
    rng = random.Random(seed)
    weights = [(number + 1) ** -choice.skew for number in range(choice.expert_count)]
    found = []
    for _ in range(times):
        got = [0] * choice.expert_count
        for _ in range(rows):
            left = list(range(choice.expert_count))
            for _ in range(choice.chosen_count):
                (taken,) = rng.choices(left, [weights[number] for number in left])
                left.remove(taken)
                got[taken] += 1
        found.append(got)
    return found


@pytest.mark.parametrize(("experts", "chosen"), [(8, 2), (64, 4)])
@pytest.mark.parametrize("skew", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_touched_experts_are_those_of_drawing(
    experts: int, chosen: int, skew: float, rows: int
) -> None:
    """3 %: 400 drawings scatter by less than 1 %, and odds of skewed draws are approximate."""
    choice = Choice(experts, chosen, skew)
    drawn = draws(choice, rows, 400, seed=rows)
    mean = sum(sum(1 for rows_of in got if rows_of) for got in drawn) / len(drawn)
    touched = choice.average(rows, 1).expert_grains / GRAINS
    assert touched == pytest.approx(mean, rel=0.03)


@pytest.mark.parametrize(
    ("experts", "chosen", "chips"), [(8, 2, 8), (8, 2, 4), (64, 4, 8), (256, 8, 32)]
)
@pytest.mark.parametrize("skew", [0.0, 0.7])
@pytest.mark.parametrize("rows", [1, 4, 32])
def test_the_busiest_chip_is_that_of_drawing(
    experts: int, chosen: int, chips: int, skew: float, rows: int
) -> None:
    """13 % of rows, 5 % of experts.

    A normal distribution is 10 % low for few rows on many chips, experts of one row are not
    independent, and 100 drawings scatter by 3 % and less.
    """
    choice = Choice(experts, chosen, skew, apart=True)
    drawn = draws(choice, rows, 100 if experts > 64 else 300, seed=chips)
    busiest = [max(sum(got[chip::chips]) for chip in range(chips)) for got in drawn]
    touched = [max(sum(1 for n in got[chip::chips] if n) for chip in range(chips)) for got in drawn]
    load = choice.average(rows, chips)
    mean = sum(busiest) / len(busiest)
    assert load.row_grains / GRAINS == pytest.approx(mean, rel=0.13)
    assert load.expert_grains / GRAINS == pytest.approx(sum(touched) / len(touched), rel=0.05)


@pytest.mark.parametrize("skew", [0.0, 1.0])
@pytest.mark.parametrize("rows", [2, 3, 9])
def test_touched_experts_of_the_busiest_chip_are_those_of_all_outcomes(
    skew: float, rows: int
) -> None:
    """Every one of 2^8 outcomes with its probability; two grains for rounding down."""
    touched = [1 - (1 - Fraction(q)) ** rows for q in _odds(Choice(8, 2, skew))]
    expected = Fraction(0)
    for outcome in product((0, 1), repeat=8):
        odds = prod(p if is_so else 1 - p for p, is_so in zip(touched, outcome, strict=True))
        expected += odds * max(sum(outcome[chip::4]) for chip in range(4))
    found = Choice(8, 2, skew, apart=True).average(rows, 4).expert_grains
    assert abs(found - max(expected, 1) * GRAINS) <= 2


choices = st.builds(
    Choice,
    expert_count=st.sampled_from([8, 16, 64, 128, 256]),
    chosen_count=st.integers(1, 8),
    skew=st.sampled_from([0.0, 0.3, 1.0, 2.0]) | st.floats(0.0, 10.0),
    apart=st.booleans(),
)


@given(choices, st.integers(1, 300) | st.integers(1, 10**6), st.sampled_from([1, 2, 4, 8]))
@example(Choice(16, 7, skew=1.0, apart=True), 61, 8)
def test_loads_stay_between_their_bounds_and_never_fall(
    choice: Choice, rows: int, chips: int
) -> None:
    load, next_load = choice.average(rows, chips), choice.average(rows + 1, chips)
    most = choice.most(rows, chips)
    assert load.row_grains * chips >= rows * choice.chosen_count * GRAINS
    assert load.row_grains <= next_load.row_grains
    assert load.expert_grains <= next_load.expert_grains
    assert load.row_grains <= most.row_grains
    assert load.expert_grains <= most.expert_grains
    assert load.expert_grains > 0


@pytest.mark.parametrize("skew", [0.0, 0.3, 1.0, 2.0, 6.0])
@pytest.mark.parametrize(("experts", "chosen", "chips"), [(8, 2, 4), (16, 7, 8), (128, 4, 8)])
def test_a_chips_load_never_falls_from_one_row_to_a_thousand(
    experts: int, chosen: int, chips: int, skew: float
) -> None:
    """Beyond where every expert is touched as good as surely: there the load stays as it is."""
    choice = Choice(experts, chosen, skew, apart=True)
    loads = [choice.average(rows, chips) for rows in range(1, 1001)]
    assert loads == sorted(loads, key=lambda load: load.row_grains)
    assert loads == sorted(loads, key=lambda load: load.expert_grains)


def test_a_static_program_provides_for_any_choice() -> None:
    sliced = Choice(8, 2)
    assert sliced.most(1, 8) == (2 * GRAINS // 8, 2 * GRAINS)
    assert sliced.most(16, 8) == (32 * GRAINS // 8, 8 * GRAINS)
    # One expert a chip: every row may come. Two chips: each has four, of which a row takes two.
    assert Choice(8, 2, apart=True).most(5, 8) == (5 * GRAINS, GRAINS)
    assert Choice(8, 2, apart=True).most(5, 2) == (10 * GRAINS, 4 * GRAINS)
    assert Choice(8, 2, apart=True).most(1, 2) == (2 * GRAINS, 2 * GRAINS)


def test_a_capacity_bounds_the_rows_of_every_expert() -> None:
    """An equal share of 64 rows is 16 an expert; one row is one row whatever the factor."""
    assert Choice(8, 2, apart=True, capacity_factor=1.0).most(64, 8)[0] == 16 * GRAINS
    assert Choice(8, 2, apart=True, capacity_factor=1.25).most(64, 8)[0] == 20 * GRAINS
    assert Choice(8, 2, apart=True, capacity_factor=9.0).most(64, 8)[0] == 64 * GRAINS
    assert Choice(8, 2, apart=True, capacity_factor=1.0).most(1, 8) == (GRAINS, GRAINS)
