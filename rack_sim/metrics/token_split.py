"""Token split: where the time between two tokens of a sequence went, by cause.

On a static machine each turn of a sequence is the compiled program once, and its draft; a turn in
which more tokens came counts once for all of them. On a reactive one every iteration differs: each
counts for the sequences that decoded in it. So the parts add up to the mean gap between tokens;
what no turn or iteration explains (the slot not there yet or taken by prompts, cache lost and made
again, or on its way) is slack.
"""

from fractions import Fraction

from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.serving import ReplayTotals


def token_split_ps(
    machine: StepTiming | BatchMachine,
    fleet: FleetPlan,
    totals: ReplayTotals,
    gap_ps: Fraction,
    *,
    gap_count: int,
    accepted_count: int,
) -> dict[str, Fraction]:
    """Picoseconds by term, and those of the draft; their sum is the mean gap `gap_ps`.

    `gap_count` is the number of gaps, `accepted_count` that of the tokens at their ends which a
    draft had proposed. Empty where nothing was decoded on a reactive machine, and where a static
    one has several programs: nobody counts how often each ran.
    """
    if isinstance(fleet.timing, SlotTiming):
        if not isinstance(machine, StepTiming) or fleet.timing.buckets:
            return {}
        spent = {name: Fraction(ps) for name, ps in machine.terms.by_name().items()}
        spent["draft"] = Fraction(fleet.timing.draft_ps)
        if not gap_count:
            return spent
        turns = Fraction(gap_count - accepted_count, gap_count)
        spent = {name: ps * turns for name, ps in spent.items()}
        spent["slack"] = Fraction(0)
    else:
        if not isinstance(machine, BatchMachine) or totals.batches is None or not gap_count:
            return {}
        batches = totals.batches
        base = machine.timer.terms_of_all(
            {rows: count.tokens for rows, count in batches.by_rows.items()},
            {rows: count.tokens for rows, count in batches.by_sampled.items()},
            batches.base_token_ps,
        )
        spent = {name: Fraction(ps, gap_count) for name, ps in base.by_name().items()}
        for roof, ps in zip(machine.timer.roofs, batches.attention_token_ps, strict=True):
            spent[roof.name] += Fraction(ps, gap_count)
        spent["draft"] = Fraction(batches.draft_token_ps, gap_count)
    spent["slack"] = gap_ps - (sum(spent.values()) - spent["slack"])
    return spent
