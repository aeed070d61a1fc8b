"""Infeasible: the answer to a deployment that cannot be, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

from rack_sim.foundation.units import format_bytes


@dataclass(frozen=True)
class Infeasible:
    """Why a model does not fit: what it demands, what bounds it, and what would make it fit.

    `scope` is "system" where the sum over all chips is too much, "chip" where the sum would fit
    but some chip is too full however the blocks are cut. `terms` split the demand. Each lever was
    tried: the text says what it leads to. `rests` names assumed numbers without which it would fit.
    """

    question: str
    scope: str
    demand_bytes: int
    bound_bytes: int
    terms: Mapping[str, int]
    levers: tuple[str, ...]
    rests: tuple[str, ...] = ()

    @property
    def gap_bytes(self) -> int:
        """How many bytes too many."""
        return self.demand_bytes - self.bound_bytes

    def __str__(self) -> str:
        lines = [
            f"infeasible: {self.question}",
            f"  demand  {self.demand_bytes:>18,} bytes per {self.scope} "
            f"({format_bytes(self.demand_bytes)})",
            f"  bound   {self.bound_bytes:>18,} bytes per {self.scope} "
            f"({format_bytes(self.bound_bytes)})",
            f"  gap     {self.gap_bytes:>18,} bytes ({format_bytes(self.gap_bytes)})",
            "  terms:",
            *(f"    {name:<16}{count:>18,} bytes" for name, count in self.terms.items()),
            *(f"  rests on {rest}" for rest in self.rests),
            "  what would make it fit:" if self.levers else "  no single change was found to fit",
            *(f"    - {lever}" for lever in self.levers),
        ]
        return "\n".join(lines)
