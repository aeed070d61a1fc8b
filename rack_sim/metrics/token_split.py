"""Token split: where the time between two tokens of a sequence went, by cause.

A static machine has one answer, compiled. On a reactive one every iteration differs: each counts
for the sequences that decoded in it, so that the parts add up to the mean gap between tokens; what
no iteration explains (cache lost and made again, or on its way) is slack.
"""

from fractions import Fraction

from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.serving import ReplayTotals


def token_split_ps(
    machine: StepTiming | BatchMachine, totals: ReplayTotals, gap_ps: Fraction, gap_count: int
) -> dict[str, Fraction]:
    """Picoseconds by term, and those of the draft; their sum is the mean gap `gap_ps`.

    `gap_count` is the number of gaps. Empty where nothing was decoded on a reactive machine.
    """
    if isinstance(machine, StepTiming):
        return {**{n: Fraction(ps) for n, ps in machine.terms.by_name().items()}, "draft": _NONE}
    if totals.batches is None or not gap_count:
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
    spent["slack"] = gap_ps - sum(spent.values())
    return spent


_NONE = Fraction(0)
