"""Token split: where the time between two tokens of a sequence went, by cause.

A static machine has one answer, compiled. On a reactive one every iteration differs: each counts
for the sequences that decoded in it, so that the parts add up to the mean gap between tokens; what
no iteration explains (cache lost and made again, or on its way) is slack.
"""

from collections.abc import Mapping
from fractions import Fraction

from rack_sim.compiler.batches import BatchMachine
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.serving import ReplayTotals
from rack_sim.timing.terms import Terms, total


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
    spent = {
        name: Fraction(ps, gap_count)
        for name, ps in _weighted(machine, totals.batches.tokens_by_rows).by_name().items()
    }
    for roof, ps in zip(machine.timer.roofs, totals.batches.attention_token_ps, strict=True):
        spent[roof.name] += Fraction(ps, gap_count)
    spent["draft"] = Fraction(totals.batches.draft_token_ps, gap_count)
    spent["slack"] = gap_ps - sum(spent.values())
    return spent


def iteration_split_ps(machine: BatchMachine, totals: ReplayTotals) -> dict[str, int]:
    """Time of all iterations by term, and that of the draft."""
    if totals.batches is None:
        return {}
    spent = _weighted(machine, totals.batches.iterations_by_rows).by_name()
    for roof, ps in zip(machine.timer.roofs, totals.batches.attention_ps, strict=True):
        spent[roof.name] += ps
    return {**spent, "draft": totals.batches.draft_ps}


def _weighted(machine: BatchMachine, counts: Mapping[tuple[int, int], int]) -> Terms:
    return total(
        _times(machine.timer.base_terms(*rows), count) for rows, count in counts.items() if count
    )


def _times(terms: Terms, count: int) -> Terms:
    return Terms(**{f"{name}_ps": count * ps for name, ps in terms.by_name().items()})


_NONE = Fraction(0)
