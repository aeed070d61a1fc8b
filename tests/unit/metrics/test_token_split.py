"""Where a token's time goes on slots: a turn is the program once, whatever comes out of it."""

from fractions import Fraction

import pytest

from rack_sim.compiler.buckets import bucket_slots
from rack_sim.compiler.draft import draft_slots
from rack_sim.compiler.machine import TokenGaps
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.policies import StaticSlotsPolicy
from rack_sim.engine.serving import ReplayTotals
from rack_sim.metrics.token_split import token_split_ps

TOTALS = ReplayTotals(10**12, 1, 1000, 1000)
DRAFT_PS = 12_345


def split(
    step: StepTiming, timing, gap_ps: Fraction | int, *, accepted: int = 0
) -> dict[str, Fraction]:
    """Of ten gaps."""
    fleet = FleetPlan(timing, StaticSlotsPolicy())
    return token_split_ps(step, fleet, TOTALS, Fraction(gap_ps), TokenGaps(10, accepted))


def test_undisturbed_a_gap_is_the_compiled_revolution(step: StepTiming) -> None:
    found = split(step, bucket_slots(step, ()), step.revolution_ps)
    assert found == {**step.terms.by_name(), "draft": 0}
    assert found["slack"] == step.revolution_ps - step.latency_ps


def test_a_turn_with_several_tokens_counts_once(step: StepTiming) -> None:
    """Six turns made ten gaps: of each term, and of the draft, six tenths a gap."""
    timing = draft_slots(step, bucket_slots(step, ()), draft_tokens=1, draft_latency_ps=DRAFT_PS)
    found = split(step, timing, Fraction(6 * timing.revolution_ps, 10), accepted=4)
    waits_ps = timing.revolution_ps - step.latency_ps - DRAFT_PS
    assert 0 <= waits_ps < step.interval_ps
    turn = {**step.terms.by_name(), "draft": DRAFT_PS, "slack": waits_ps}
    assert found == {name: Fraction(6 * ps, 10) for name, ps in turn.items()}


def test_a_row_taken_by_prompts_is_slack(step: StepTiming) -> None:
    """Five of ten gaps were a revolution longer."""
    revolution = step.revolution_ps
    found = split(step, bucket_slots(step, ()), Fraction(15 * revolution, 10))
    assert found["slack"] == revolution - step.latency_ps + Fraction(revolution, 2)
    assert sum(found.values()) == Fraction(15 * revolution, 10)


def test_where_nothing_was_decoded_it_is_as_compiled(step: StepTiming) -> None:
    fleet = FleetPlan(bucket_slots(step, ()), StaticSlotsPolicy())
    found = token_split_ps(step, fleet, TOTALS, Fraction(0), TokenGaps(0, 0))
    assert found == {**step.terms.by_name(), "draft": 0}


@pytest.mark.parametrize("bounds", [(32, 64)])
def test_of_several_programs_nothing_is_said(step: StepTiming, bounds: tuple[int, ...]) -> None:
    assert split(step, bucket_slots(step, bounds), step.revolution_ps) == {}
