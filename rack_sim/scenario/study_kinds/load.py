"""Load: what a study of rising load asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rack_sim.foundation.keys import Count, PositiveAmount
from rack_sim.metrics.load_columns import KNEE, LOAD
from rack_sim.scenario.document import quantity_of
from rack_sim.scenario.fields import Rate, Validation
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.studies import Study
from rack_sim.scenario.study_kind import StudyKind, check_rising
from rack_sim.scenario.study_schema import StudySchema
from rack_sim.workload.offered import bounded, offered_rate_rps


def _shape_of_rates(value: Any) -> str:
    """Which of the two ways of giving rates was meant: what is wrong is said of that one."""
    return "word" if isinstance(value, str) else "rates"


class LoadStudySchema(StudySchema):
    """Where a machine saturates: one scenario replayed at a rising offered rate.

    Every rate replays the same requests, in the same order, closer together. A closed loop has no
    rate: its load is its users.
    """

    kind: Literal["load"]
    rates_rps: Annotated[
        Annotated[Literal["auto"], Tag("word")]
        | Annotated[list[Rate], Field(min_length=1, max_length=1000), Tag("rates")],
        Discriminator(_shape_of_rates),
    ] = "auto"
    """Offered rates, rising; auto doubles from a low rate until the machine no longer keeps up,
    then halves the distance to each knee."""
    knee_precision: Annotated[float, Field(ge=0.001, le=1)] = 0.05
    """How far, with auto, the lowest rate that is too high may lie above the highest that is not,
    as a share of it."""
    attainment: Annotated[float, Field(gt=0, le=1)] = 0.99
    """Share of the requests that must meet every objective of the scenario. Requests that the
    machine cannot hold at any rate do not count."""
    request_count: Count | None = None
    """Requests at every rate, instead of the workload's own bounds."""
    duration_ps: PositiveAmount | None = None
    """Time that requests arrive for at every rate, instead of the workload's own bounds."""


@dataclass(frozen=True, kw_only=True, repr=False)
class LoadStudy(Study):
    """Where a machine saturates as requests are offered at a rising rate.

    `rates_rps` is None where the rates are to be found, until the lowest rate that is too high is
    no more than the share `knee_precision` above the highest that is not. `attainment` is the share
    of requests that must meet every objective. `request_count` or `duration_ps`, where given, take
    the place of the workload's own bounds at every rate.
    """

    kind = "load"

    rates_rps: tuple[float, ...] | None
    knee_precision: float
    attainment: float
    request_count: int | None
    duration_ps: int | None


def _check_load(schema: LoadStudySchema, tree: dict[str, Any], reading: Validation) -> None:
    if not isinstance(schema.rates_rps, str):
        check_rising(schema.rates_rps, quantity_of("rates_rps"), tree, reading)
    if schema.request_count is not None and schema.duration_ps is not None:
        message = "request_count: there is a duration already; give one of the two"
        reading.complain(tree, "request_count", message)


def _refuse_load(schema: LoadStudySchema, scenario: Scenario) -> None:
    offered_rate_rps(bounded(scenario.workload, schema.request_count, schema.duration_ps))


def _build_load(schema: LoadStudySchema, shared: Mapping[str, Any]) -> LoadStudy:
    return LoadStudy(
        **shared,
        rates_rps=None if isinstance(schema.rates_rps, str) else tuple(schema.rates_rps),
        knee_precision=schema.knee_precision,
        attainment=schema.attainment,
        request_count=schema.request_count,
        duration_ps=schema.duration_ps,
    )


KIND = StudyKind(
    schema=LoadStudySchema,
    tables={"load.csv": LOAD, "knee.csv": KNEE},
    build=_build_load,
    check=_check_load,
    refuse=_refuse_load,
    one_process_because="which rate is next depends on those before",
)
