"""SLO: the objectives of one request, met when every value is at or below its bound."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds in picoseconds; None where there is no objective."""

    ttft_ps: int | None = None
    tpot_ps: int | None = None
    e2el_ps: int | None = None

    @property
    def bounds_ps(self) -> dict[str, int]:
        """The bounds that are given, by metric: ``{"ttft": …}``."""
        given = {f.name.removesuffix("_ps"): getattr(self, f.name) for f in fields(self)}
        return {name: bound for name, bound in given.items() if bound is not None}
