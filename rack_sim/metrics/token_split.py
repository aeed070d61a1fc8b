"""Token split: where the time between two tokens of a sequence went, by cause.

On a static machine each turn of a sequence is the compiled program once, and its draft; a turn in
which more tokens came counts once for all of them. On a reactive one every iteration differs: each
counts for the sequences that decoded in it. So the parts add up to the mean gap between tokens;
what no turn or iteration explains (the slot not there yet or taken by prompts, cache lost and made
again, or on its way) is slack.
"""

from fractions import Fraction

from rack_sim.compiler.machine import Machine, TokenGaps
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.serving import ReplayTotals


def token_split_ps(
    machine: Machine, fleet: FleetPlan, totals: ReplayTotals, gap_ps: Fraction, gaps: TokenGaps
) -> dict[str, Fraction]:
    """Picoseconds by term, and those of the draft; their sum is the mean gap `gap_ps`.

    Empty where nothing was decoded on a reactive machine, and where a static one has several
    programs: nobody counts how often each ran.
    """
    spent = machine.gap_ps_by_term(gaps, totals.batches, fleet.timing)
    if spent and gaps.gap_count:
        spent["slack"] = gap_ps - (sum(spent.values()) - spent["slack"])
    return spent
