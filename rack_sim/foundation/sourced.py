"""Provenance: where a number comes from, or that it is assumed and why."""

from dataclasses import dataclass

GRADES: dict[str, str] = {
    "A": "primary log or vendor document",
    "A-": "primary data, one step removed",
    "B": "vendor claim, reputable press or analyst",
    "C": "secondary digest of a primary source",
    "D": "weak; nothing is calibrated on it",
    "M": "from memory, unverified",
    "der": "arithmetic from other sourced values",
    "fitted": "fitted on published measurements, see docs/validation.md",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """One number of the input with its source.

    Either `source` and `grade` (a key of `GRADES`) are set, or `assumed` says why the number was
    chosen without one. Where it is known, it lies between `low` and `high`.
    """

    name: str
    value: str
    source: str = ""
    grade: str = ""
    assumed: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def is_assumed(self) -> bool:
        """Whether the number has no source."""
        return not self.source

    @property
    def is_uncertain(self) -> bool:
        """Whether nobody has published it: it is assumed, or fitted on what was measured."""
        return self.is_assumed or self.grade == "fitted"
