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


class _End(NamedTuple):
    """What the nearest candidate reaches with a constant at an end of its range."""

    constant: float
    reading: Reading | None
    meets: bool
    floor: float | None


def rests_on(search: SizingSearch, best: Candidate, objective: Objective | None) -> Iterator[str]:
    """What is to be said of each constant that the verdict rests on.

    `objective` is the one in the way; None where it is the rate of requests.
    """
    named = {item.name: item for item in search.question.scenario.provenance}
    for field, less_is_faster in _CONSTANTS.items():
        item = named.get(f"{_CHIP}{field}")
        if item is None or not item.is_uncertain or not float(item.value):
            continue
        value = float(item.value)
        known = item.low is not None and item.high is not None
        low = item.low if known and item.low is not None else value / 2
        high = item.high if known and item.high is not None else value
        if field.endswith("efficiency"):
            low, high = max(low, 0.01), min(high if known else 1.0, 1.0)
        fast, slow = (low, high) if less_is_faster else (high, low)
        ends = [_end(search, best, objective, field, end) for end in (fast, slow)]
        if ends[0] is None:
            continue
        said = _said(best, objective, item, known=known, fast=ends[0], slow=ends[1])
        if said:
            yield said


def _said(
    best: Candidate,
    objective: Objective | None,
    item: Provenance,
    *,
    known: bool,
    fast: _End,
    slow: _End | None,
) -> str:
    field = item.name.removeprefix(_CHIP)
    origin = f"assumed: {item.assumed}" if item.is_assumed else item.source
    head = f"{item.name} = {_shown(field, float(item.value))} ({origin})"
    now = best.reading_of(objective)
    if objective is None or now is None:
        if not fast.meets:
            return ""
        reached = f"with {_shown(field, fast.constant)} {best.name} meets every objective"
        matters = True
    else:
        if fast.reading is None:
            return ""
        matters = abs(fast.reading.load - now.load) >= _MATTERS * now.load
        values = [end.reading.value for end in (fast, slow) if end and end.reading]
        told = [_format_number(value, objective.unit) for value in values]
        reached = f"with {_shown(field, fast.constant)} {objective.name} is {told[0]}"
        if known and slow is not None and slow.reading is not None:
            reached += f", with {_shown(field, slow.constant)} {told[1]}"
        if fast.floor is not None:
            floor = _format_number(fast.floor, objective.unit)
            reached += f", and no candidate can be below {floor} with the former"
    if not matters and not fast.meets:
        return ""
    if not known:
        return f"{head}: no range of it is known; {reached}"
    span = f"it lies between {_shown(field, item.low)} and {_shown(field, item.high)}"
    verdict = (
        "so the verdict does not hold over the whole range"
        if fast.meets
        else "so the verdict holds over the whole range"
    )
    return f"{head}: {span}; {reached}, {verdict}"


def _end(
    search: SizingSearch,
    best: Candidate,
    objective: Objective | None,
    field: str,
    constant: float,
) -> _End | None:
    """The nearest candidate with a constant of its chip changed; None where that cannot be."""
    changed = _with(search.question.scenario_of(best.shape, best.replica_count), field, constant)
    search.on_progress(f"trying {field} of {_shown(field, constant)}", search.replay_count)
    tried = search.changed(best, changed)
    if tried is None:
        return None
    found, bounds = tried
    floor = next((r.value for r in bounds.alone if r.objective == objective), None)
    is_time = objective is not None and objective.unit == "ms"
    return _End(
        constant, found.reading_of(objective), found.verdict == "meets", floor if is_time else None
    )


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


def _format_number(value: float | None, unit: str) -> str:
    text = "nothing" if value is None else f"{value:,.4g}"
    return f"{text} ms" if unit == "ms" else text
