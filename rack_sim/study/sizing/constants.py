"""Sizing constants: whether a verdict rests on numbers of a chip that nobody has published.

A constant that was fitted or assumed is set to the ends of its range, and what comes nearest is
replayed with it. Where no range is known, it is set to half, which only shows whether it matters.
"""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from rack_sim.foundation.sourced import Provenance
from rack_sim.foundation.units import format_time
from rack_sim.metrics.slo import Objective, Reading
from rack_sim.scenario import Scenario
from rack_sim.study.sizing.bounds import Bounds
from rack_sim.study.sizing.candidate import Candidate
from rack_sim.study.sizing.search import SizingSearch

_CHIP = "system.chip."
# Fields of a chip that are fitted, and whether less of them is faster.
_CONSTANTS = {
    "operator_fixed_latency_ps": True,
    "collective_latency_ps": True,
    "iteration_host_ps": True,
    "sequence_host_ps": True,
    "matrix_efficiency": False,
    "memory_efficiency": False,
}
# A verdict rests on a constant whose range moves the value by at least so much of it.
_MATTERS = 0.1


class _Range(NamedTuple):
    """A constant of a chip, and the fast and the slow end of where it may lie."""

    item: Provenance
    fast: float
    slow: float

    @property
    def field(self) -> str:
        """Its name among the fields of a chip."""
        return self.item.name.removeprefix(_CHIP)

    @property
    def is_known(self) -> bool:
        """Whether somebody says where it may lie."""
        return self.item.low is not None and self.item.high is not None


def rests_on(search: SizingSearch, best: Candidate, objective: Objective | None) -> Iterator[str]:
    """What is to be said of each constant that the verdict rests on.

    `objective` is the one in the way; None where it is the rate of requests.
    """
    for where in _ranges(search.question.scenario):
        reached = _reached(search, best, objective, where)
        if reached is None:
            continue
        item, field = where.item, where.field
        origin = f"assumed: {item.assumed}" if item.is_assumed else item.source
        head = f"{item.name} = {_shown(field, float(item.value))} ({origin})"
        text, meets = reached
        if not where.is_known:
            yield f"{head}: no range of it is known; {text}"
            continue
        span = f"it lies between {_shown(field, item.low)} and {_shown(field, item.high)}"
        holds = "does not hold" if meets else "holds"
        yield f"{head}: {span}; {text}, so the verdict {holds} over the whole range"


def _ranges(scenario: Scenario) -> Iterator[_Range]:
    """The constants of its chip that nobody has published."""
    named = {item.name: item for item in scenario.provenance}
    for field, less_is_faster in _CONSTANTS.items():
        item = named.get(f"{_CHIP}{field}")
        if item is None or not item.is_uncertain or not float(item.value):
            continue
        low, high = item.low, item.high
        if low is None or high is None:
            low, high = float(item.value) / 2, float(item.value)
            high = 1.0 if field.endswith("efficiency") else high
        if field.endswith("efficiency"):
            low, high = max(low, 0.01), min(high, 1.0)
        yield _Range(item, *((low, high) if less_is_faster else (high, low)))


def _reached(
    search: SizingSearch, best: Candidate, objective: Objective | None, where: _Range
) -> tuple[str, bool] | None:
    """What the nearest candidate reaches at both ends, and whether at the fast one it meets all.

    None where the constant does not matter, or cannot be so.
    """
    field = where.field
    fast = _at(search, best, field, where.fast)
    if fast is None:
        return None
    found, bounds = fast
    meets = found.verdict == "meets"
    now, then = best.reading_of(objective), found.reading_of(objective)
    if objective is None or now is None:
        text = f"with {_shown(field, where.fast)} {best.name} meets every objective"
        return (text, True) if meets else None
    if then is None or not (meets or abs(then.load - now.load) >= _MATTERS * now.load):
        return None
    text = f"with {_shown(field, where.fast)} {objective.name} is {_value(then)}"
    slow = _at(search, best, field, where.slow) if where.is_known else None
    if slow and (reading := slow[0].reading_of(objective)):
        text += f", with {_shown(field, where.slow)} {_value(reading)}"
    floor = next((one for one in bounds.alone if one.objective == objective), None)
    if floor and floor.value is not None and objective.unit == "ms":
        text += f", and no candidate can be below {_value(floor)} with the former"
    return text, meets


def _at(
    search: SizingSearch, best: Candidate, field: str, constant: float
) -> tuple[Candidate, Bounds] | None:
    """The nearest candidate with a constant of its chip changed; None where that cannot be."""
    search.on_progress(f"trying {field} of {_shown(field, constant)}", search.replay_count)
    scenario = search.question.scenario_of(best.shape, best.replica_count)
    return search.changed(best, _with(scenario, field, constant))


def _with(scenario: Scenario, field: str, constant: float) -> Scenario:
    deployment = scenario.deployment
    value = round(constant) if field.endswith("_ps") else Fraction(str(round(constant, 6)))
    changes: dict[str, Any] = {field: value}
    chip = replace(deployment.system.chip, **changes)
    return scenario.with_system(replace(deployment.system, chip=chip))


def _shown(field: str, value: float | None) -> str:
    if value is None:
        return "nothing"
    return format_time(round(value)) if field.endswith("_ps") else f"{value:.4g}"


def _value(reading: Reading) -> str:
    text = "nothing" if reading.value is None else f"{reading.value:,.4g}"
    return f"{text} ms" if reading.objective.unit == "ms" else text
