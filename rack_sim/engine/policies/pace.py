"""Pace: what a replica cannot beat whoever else is there, for bounds that need no replay."""

from dataclasses import dataclass
from fractions import Fraction

from rack_sim.compiler.slots import SlotTiming
from rack_sim.foundation.arrays import Int64Array


@dataclass(frozen=True, eq=False)  # columns do not compare to one answer
class Pace:
    """What a replica cannot beat.

    - `gap_ps`: from one turn of a sequence to the next; `turn_tokens` come in one at most
    - `row_ps`: a replica carries no more than one row in so long, on average from any beginning,
      and `rows_at_once` besides
    - `prompt_rows`: rows that the prompt of each request takes
    - `first_token_ps`: from the arrival of each to its first token on an empty replica
    - `entries`: of static slots in which all turns are alike, the slots: prompts take their rows
      one after the other
    """

    gap_ps: int
    turn_tokens: int
    row_ps: Fraction
    rows_at_once: int
    prompt_rows: Int64Array
    first_token_ps: Int64Array
    entries: SlotTiming | None = None
