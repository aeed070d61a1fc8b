"""Study record: what every study leaves behind, whatever its kind."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rack_sim.foundation.units import split_unit
from rack_sim.foundation.version import VERSION
from rack_sim.pipeline import explain
from rack_sim.record.footprint import footprint_entry
from rack_sim.record.manifest import origins
from rack_sim.record.of_run import ending_facts
from rack_sim.record.record import Record
from rack_sim.record.table import Table
from rack_sim.scenario import Study, StudyPoint, resolved_yaml


def study_record(
    study: Study,
    tables: Mapping[str, Table],
    wall_s: float,
    *,
    assumed: Iterable[str],
    facts: Mapping[str, Any] | None = None,
    machine_facts: Callable[[StudyPoint], Mapping[str, Any]] = lambda _point: {},
    varied: Iterable[str] = (),
) -> Record:
    """The record of a study of any kind.

    `assumed` is what the study takes for granted. `facts` and `machine_facts` are what its kind
    says besides, of itself and of each machine; `varied` are keys that it changes: their numbers
    have neither a source nor a why.
    """
    stems = [f"{_stem(key)}." for key in varied]
    numbers = dict.fromkeys(
        item
        for point in study.points
        for item in point.scenario.provenance
        if not any(f"{_stem(item.name)}.".startswith(stem) for stem in stems)
    )
    content = {
        "study": study.name,
        "description": study.description,
        "kind": study.kind,
        "study_hash": study.study_hash,
        "version": VERSION,
        "machines": [
            {
                "name": point.name,
                "scenario_hash": point.scenario.scenario_hash,
                "scenario_seed": point.scenario.seed,
                **machine_facts(point),
            }
            for point in study.points
        ],
        **(facts or {}),
        "assumed_by_the_study": list(assumed),
        **origins(numbers),
        **ending_facts(wall_s),
    }
    return Record(study.kind, content, tables, resolved_yaml(study))


def footprint_of(point: StudyPoint) -> dict[str, Any]:
    """What a machine takes of racks: its knee is a capacity to plan with."""
    explanation = explain(point.scenario)
    plan, replica_count = explanation.machine.plan, explanation.fleet.replica_count
    return {"footprint": footprint_entry(plan, replica_count)}


def _stem(key: str) -> str:
    """A dotted key without units: ``latency_ns`` sets ``latency_ps``."""
    parts = key.removesuffix(".value").split(".")
    return ".".join(found[0] if (found := split_unit(part)) else part for part in parts)
