"""SLO: what requests and runs must reach, and how near a run came to it.

An `Slo` bounds every single request: it is met when each value is at or below its bound. Of a run
as a whole can be asked that a share of its requests meet those, or that statistics are bounded:
``ttft_p99=0.5s,tpot_p99=10ms`` are bounds on columns of summary.csv.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import InputError, Problem, Problems, suggest
from rack_sim.foundation.units import PS_PER_MS, PS_PER_S, UNITS, suffixes_of, to_base
from rack_sim.metrics.latency import LATENCY_METRICS, PERCENTS

METRICS = (*LATENCY_METRICS, "itl")
STATISTICS = ("mean", *(f"p{percent}" for percent in PERCENTS))
_NAMES = tuple(f"{metric}_{statistic}" for metric in METRICS for statistic in STATISTICS)
# Longer than any run can be (92 days of arrivals); such a bound is a slip of the unit.
_LONGEST_S = 92 * 86_400
ATTAINMENT = "slo_attainment"
_OF_REQUESTS = ("ttft", "tpot", "e2el")
_TIME = re.compile(r"([-+]?(?:nan|inf(?:inity)?|[0-9.]+(?:e[-+]?[0-9]+)?))\s*(.*)", re.I)
_EXAMPLE = "such as ttft_p99=0.5s"


@dataclass(frozen=True, slots=True)
class Slo:
    """Bounds on single requests in picoseconds; None where there is no objective.

    Of a run as a whole, `asked` bounds statistics, and a share `attainment` of the requests that
    fit must meet every bound; nothing is asked where neither is given.
    """

    ttft_ps: int | None = None
    tpot_ps: int | None = None
    e2el_ps: int | None = None
    asked: "tuple[LatencyObjective, ...]" = ()
    attainment: float | None = None

    @property
    def bounds_ps(self) -> dict[str, int]:
        """The bounds that are given, by metric: ``{"ttft": …}``."""
        given = {"ttft": self.ttft_ps, "tpot": self.tpot_ps, "e2el": self.e2el_ps}
        return {name: bound for name, bound in given.items() if bound is not None}

    @property
    def objectives(self) -> "tuple[Objective, ...]":
        """What is asked of a run as a whole."""
        if self.attainment is None or not self.bounds_ps:
            return self.asked
        return (*self.asked, AttainmentObjective(self, self.attainment))

    def __str__(self) -> str:
        """``ttft <= 2,000 ms and tpot <= 30 ms for a request; ttft_p99 <= 500 ms``."""
        bounds = _bounds_words(self)
        parts = [f"{bounds} for a request"] if bounds else []
        return "; ".join([*parts, *map(str, self.objectives)]) or "nothing"


def met_by(slo: Slo, measured: Mapping[str, Int64Array]) -> dict[str, NDArray[np.bool_]]:
    """Which requests met the bound of each metric, and under ``all`` every one; in picoseconds.

    A single token has no tpot (-1): met.
    """
    met = {metric: measured[metric] <= bound_ps for metric, bound_ps in slo.bounds_ps.items()}
    everything = np.ones(len(measured["ttft"]), dtype=bool)
    return met | {"all": np.logical_and.reduce([everything, *met.values()])}


def _bounds_words(slo: Slo) -> str:
    return " and ".join(
        f"{metric} <= {ps / PS_PER_MS:,.6g} ms" for metric, ps in slo.bounds_ps.items()
    )


@dataclass(frozen=True, slots=True)
class LatencyObjective:
    """A bound on a statistic of a latency: ``ttft_p99`` at most `bound_ps`."""

    metric: str
    statistic: str
    bound_ps: int
    unit: ClassVar[str] = "ms"

    @property
    def name(self) -> str:
        """As it is asked for: ``ttft_p99``."""
        return f"{self.metric}_{self.statistic}"

    @property
    def column(self) -> str:
        """The column of summary.csv that it bounds."""
        return f"{self.metric}_ms_{self.statistic}"

    @property
    def bound(self) -> float:
        """The bound in milliseconds."""
        return self.bound_ps / PS_PER_MS

    def holds(self, value: float | None) -> bool:
        """Whether a value, in milliseconds, is within the bound; nothing measured is."""
        return value is None or Fraction(str(value)) * PS_PER_MS <= self.bound_ps

    def margin(self, value: float | None) -> float | None:
        """Milliseconds that are left; less than zero where it is missed."""
        return None if value is None else round(self.bound - value, 6)

    @property
    def text(self) -> str:
        """As `parse_slo` reads it, to the picosecond: ``ttft_p99=500ms``."""
        bound_ms = Decimal(self.bound_ps).scaleb(-9).normalize()
        return f"{self.name}={bound_ms:f}ms"

    def __str__(self) -> str:
        """``ttft_p99 <= 500 ms``."""
        return f"{self.name} <= {self.bound:,.6g} ms"

    def load(self, value: float | None) -> float:
        """Value over bound: above 1 where it is missed."""
        return 0.0 if value is None else value / self.bound


@dataclass(frozen=True, slots=True)
class AttainmentObjective:
    """A share of the requests that fit must meet every objective of a scenario's `slo`."""

    slo: Slo
    share: float
    name: ClassVar[str] = ATTAINMENT
    column: ClassVar[str] = ATTAINMENT
    unit: ClassVar[str] = "share"

    @property
    def bound(self) -> float:
        """The share asked for."""
        return self.share

    def holds(self, value: float | None) -> bool:
        """Whether so large a share is enough."""
        return value is not None and value >= self.share

    def margin(self, value: float | None) -> float | None:
        """Share that is left above what is asked."""
        return None if value is None else round(value - self.share, 9)

    def __str__(self) -> str:
        """``99 % of the requests that fit with ttft <= 2,000 ms and tpot <= 30 ms``."""
        return f"{self.share * 100:.6g} % of the requests that fit with {_bounds_words(self.slo)}"

    def load(self, value: float | None) -> float:
        """Share of misses over that allowed (or over one in a million): above 1 where missed."""
        return (1 - (value or 0.0)) / max(1 - self.share, 1e-6)


Objective = LatencyObjective | AttainmentObjective


@dataclass(frozen=True, slots=True)
class Reading:
    """An objective and what a run, or a bound, says of it; no value where nothing was measured."""

    objective: Objective
    value: float | None

    @property
    def holds(self) -> bool:
        """Whether the objective is met."""
        return self.objective.holds(self.value)

    @property
    def margin(self) -> float | None:
        """What is left, in the unit of the objective."""
        return self.objective.margin(self.value)

    @property
    def margin_share(self) -> float | None:
        """What is left over the bound."""
        margin = self.margin
        return None if margin is None else round(margin / self.objective.bound, 6)

    @property
    def load(self) -> float:
        """How much of the bound is used: the largest is the tightest."""
        return self.objective.load(self.value)


def reading_of(objective: Objective, summary: Mapping[str, object], attained: float) -> Reading:
    """What a run says: the column of its summary, or the share that met the scenario's slo."""
    if isinstance(objective, AttainmentObjective):
        return Reading(objective, attained)
    value = summary[objective.column]
    return Reading(objective, float(value) if isinstance(value, int | float) else None)


def run_meets(slo: Slo, summary: Mapping[str, object], finished: int, fit: int) -> bool:
    """Whether a run is what is asked of it as a whole.

    Statistics tell of requests that finished, so none that fits may have been left unserved.
    """
    share = summary["fit_slo_attainment"]
    attained = float(share) if isinstance(share, int | float) else 0.0
    return bool(finished) and all(
        reading_of(one, summary, attained).holds
        and (isinstance(one, AttainmentObjective) or finished == fit)
        for one in slo.objectives
    )


def slo_settings(objectives: tuple[Objective, ...]) -> tuple[str, ...]:
    """The settings with which a scenario asks for these objectives, and for no others."""
    bounds = [one.text for one in objectives if isinstance(one, LatencyObjective)]
    if bounds:
        return (f'slo={{asked: "{",".join(bounds)}"}}',)
    return tuple(
        f"slo.attainment={one.share!r}"
        for one in objectives
        if isinstance(one, AttainmentObjective)
    )


def slo_of(text: str) -> Slo:
    """Objectives in a text: ``ttft=2s`` bounds single requests, ``ttft_p99=2s`` the run.

    Raises InputError with every problem found.
    """
    bounds: dict[str, int] = {}
    statistics: list[str] = []
    problems = Problems()
    for name, value in _items(text):
        metric = name.strip()
        if metric not in _OF_REQUESTS:
            statistics.append(f"{name}={value}")
            continue
        with problems.gathered():
            bounds[f"{metric}_ps"] = _duration_ps(metric, value.strip())
    asked: tuple[LatencyObjective, ...] = ()
    with problems.gathered():
        asked = parse_slo(",".join(statistics)) if statistics or not bounds else ()
    problems.refuse()
    return Slo(**bounds, asked=asked)


def slo_of_keys(keys: Mapping[str, object]) -> Slo:
    """The objectives that the keys of a resolved scenario say."""
    bounds = {
        f"{metric}_ps": int(value)
        for metric in _OF_REQUESTS
        if isinstance(value := keys.get(f"{metric}_ps"), int)
    }
    share, asked = keys.get("attainment"), keys.get("asked")
    return Slo(
        **bounds,
        asked=parse_slo(asked, "") if isinstance(asked, str) else (),
        attainment=float(share) if isinstance(share, int | float) else None,
    )


def parse_slo(given: str | Mapping[str, str], place: str = "--slo") -> tuple[LatencyObjective, ...]:
    """The objectives in ``ttft_p99=0.5s,tpot_p99=10ms``, or in a mapping of the same words.

    `place` is where the text stands. Raises InputError with every problem found.
    """
    try:
        return _parsed(given)
    except InputError as error:
        if place == "--slo":
            raise
        told = []
        for problem in error.problems:
            name = problem.place.removeprefix("--slo").strip()
            message = f"{name}: {problem.message}" if name else problem.message
            told.append(replace(problem, place=place, message=message))
        raise InputError(told) from None


def _parsed(given: str | Mapping[str, str]) -> tuple[LatencyObjective, ...]:
    items = given.items() if isinstance(given, Mapping) else _items(given)
    problems = Problems()
    found: dict[str, LatencyObjective] = {}
    for name, text in items:
        with problems.gathered():
            objective = _objective(name.strip(), str(text).strip())
            if objective.name in found:
                problems.append(Problem(f"{objective.name} is given twice", "--slo"))
            found[objective.name] = objective
    if not found and not problems:
        problems.append(Problem("has no objective", "--slo", suggestion=_EXAMPLE))
    problems.refuse()
    return tuple(found.values())


def _items(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        if part.strip():
            name, _, value = part.partition("=")
            yield name.removesuffix("<"), value


def _objective(name: str, text: str) -> LatencyObjective:
    problems = Problems()
    if name not in _NAMES:
        meant = _meant(name.replace("_ms", ""))
        problems.append(Problem(f"{name!r} is no objective", "--slo", suggestion=meant))
    bound_ps = 0
    with problems.gathered():
        bound_ps = _duration_ps(name, text)
    problems.refuse()
    metric, _, statistic = name.rpartition("_")
    return LatencyObjective(metric, statistic, bound_ps)


def _meant(name: str) -> str:
    hint = suggest(name, _NAMES)
    if hint.startswith("did you mean"):
        return hint
    return f"one of {', '.join(METRICS)} with one of {', '.join(STATISTICS)}: {_EXAMPLE}"


def _duration_ps(name: str, text: str) -> int:
    times = suffixes_of("time")

    def wrong(message: str, suggestion: str = "") -> InputError:
        return InputError(Problem(message, f"--slo {name}", suggestion=suggestion))

    if not text:
        raise wrong("has no bound", f"{name or 'ttft_p99'}=0.5s")
    match = _TIME.fullmatch(text)
    if match is None:
        raise wrong(f"{text!r} is not a time", "a number and its unit: 0.5s, 500ms")
    number, unit = match.groups()
    try:
        value = Decimal(number)
    except InvalidOperation:
        raise wrong(f"{number!r} is not a number") from None
    if not unit:
        raise wrong(f"{text!r} has no unit", f"{number}ms or {number}s")
    unit = unit.replace("µs", "us").replace("μs", "us")
    if unit not in times:
        raise wrong(f"{unit!r} is no unit of time", suggest(unit, times))
    if not value.is_finite() or value <= 0:
        raise wrong(f"{text!r} is no bound", "a time above 0")
    # Compared before they are made exact: an exponent may be of any size.
    base = Decimal(UNITS[unit].factor)
    if value > _LONGEST_S * PS_PER_S / base:
        raise wrong(f"{text} is longer than any run", "at most 92 days")
    return to_base(max(value, 1 / base), UNITS[unit])  # type: ignore[arg-type]
