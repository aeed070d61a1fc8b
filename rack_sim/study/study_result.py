"""Study result: what every study gives and leaves behind, whatever its kind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.units import split_unit
from rack_sim.foundation.version import VERSION
from rack_sim.record.manifest import origins
from rack_sim.record.of_run import ending_facts
from rack_sim.record.record import Record
from rack_sim.record.table import Table
from rack_sim.scenario import Study, StudyPoint, resolved_yaml


@dataclass(frozen=True, repr=False)
class StudyResult(Brief):
    """What a study gave. `assumed` is what its kind takes for granted, for readers of numbers."""

    assumed: ClassVar[Sequence[str]] = ()

    study: Study

    def _facts(self) -> Mapping[str, object]:
        first, *_ = self.tables.values()
        return {
            "study": self.study.name,
            "machines": tuple(point.name for point in self.study.points),
            "rows": sum(1 for _ in first.rows()),
        }

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Its tables by the names of their files."""
        raise NotImplementedError

    def facts(self) -> Mapping[str, Any]:
        """What its kind says of the whole study."""
        return {}

    def machine_facts(self, _point: StudyPoint) -> Mapping[str, Any]:
        """What its kind says of a machine."""
        return {}

    def varied(self) -> Iterable[str]:
        """Keys that it changes: their numbers have neither a source nor a why."""
        return ()

    def record(self, wall_s: float = 0.0) -> Record:
        """What the study leaves behind; `wall_s` is how long it took."""
        study = self.study
        stems = [f"{_stem(key)}." for key in self.varied()]
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
                    **self.machine_facts(point),
                }
                for point in study.points
            ],
            **self.facts(),
            "assumed_by_the_study": list(self.assumed),
            **origins(numbers),
            **ending_facts(wall_s),
        }
        return Record(study.kind, content, self.tables, resolved_yaml(study))


def _stem(key: str) -> str:
    """A dotted key without units: ``latency_ns`` sets ``latency_ps``."""
    parts = key.removesuffix(".value").split(".")
    return ".".join(found[0] if (found := split_unit(part)) else part for part in parts)
