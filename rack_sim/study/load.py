"""Load study: where a machine saturates as the same requests come closer and closer together.

A rate is too high for one of two reasons. The machine does not keep up: more arrives than leaves,
and the queue grows for as long as requests come. Or it keeps up, and too many requests miss an
objective. The knee is the highest rate that is neither.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.work_estimate import Progress, WorkEstimate, tell
from rack_sim.metrics.load_columns import KNEE, LOAD, LOAD_METRICS
from rack_sim.metrics.slo import Slo
from rack_sim.metrics.summary import Value
from rack_sim.pipeline import expected_work, explain
from rack_sim.record.footprint import footprint_entry
from rack_sim.record.table import Row, Table, table_of
from rack_sim.scenario import LoadStudy, Scenario, StudyPoint
from rack_sim.study.knee import Bracket, Test, bracket, knee_rates, replay_count
from rack_sim.study.load_row import SATURATION, LoadRow, replay_rate
from rack_sim.study.options import DEFAULTS, StudyOptions
from rack_sim.study.study_result import StudyResult
from rack_sim.workload.offered import bounded, offered_rate_rps

# assumed: replays until a knee is found, as the shipped studies need them, for a guess.
_RATES_TO_A_KNEE = 12


@dataclass(frozen=True, repr=False)
class LoadPoint(Brief):
    """One machine at every rate, lowest first.

    `knee` brackets the highest rate that is not too high, `saturation` the highest that the machine
    keeps up with, whatever its objectives. `limited_by` is what fails first above the knee:
    ``saturation``, the metric of an objective, or nothing where no rate was too high.
    """

    name: str
    slo: Slo
    rows: tuple[LoadRow, ...]
    knee: Bracket
    saturation: Bracket
    limited_by: str

    @property
    def chip_count(self) -> int:
        """Chips that hold a part of the model."""
        return self.rows[0].chip_count

    @property
    def is_short(self) -> bool:
        """Whether a run was over before its backlog could become steady.

        The run that was not kept up with: its requests arrived within less than twice what nearly
        all take where nothing is busy. The highest that was: within less than four times what they
        take there (assumed: a few lifetimes of a request), so that what was in the system at the
        end had not yet shown what it does to the others.
        """
        failed, alone_ms = self.saturation.failed, self.rows[0].latencies_ms["e2el_ms_p99"]
        if failed and alone_ms and failed.arrival_span_s * 1000 < 2 * alone_ms:
            return True
        met = self.saturation.met
        taken_ms = met.latencies_ms["e2el_ms_p99"] if met else None
        return bool(met and failed and taken_ms and met.arrival_span_s * 1000 < 4 * taken_ms)

    @property
    def capacity_rps(self) -> float | None:
        """The offered rate at which every row carries a token, by the requests of the top rate."""
        return self.rows[-1].capacity_rps


@dataclass(frozen=True, repr=False)
class LoadResult(StudyResult):
    """What a load study gave."""

    assumed = (
        "every rate replays the same requests in the same order; only their arrivals are closer "
        "together",
        "a machine keeps up where its backlog grows, while the second half arrives, by no more "
        "than the root of their number, and where no more is offered than it has rows for",
        "requests longer than the compiled context or the cache are turned away at any rate: the "
        "knee counts the others",
        "a knee lies between two rates that were replayed; nothing is interpolated",
    )

    study: LoadStudy
    points: tuple[LoadPoint, ...]

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """load.csv, a row for each machine and rate, and knee.csv, a row for each machine."""
        return {
            "load.csv": table_of(LOAD, lambda: _load_rows(self)),
            "knee.csv": Table(KNEE, lambda: _knee_rows(self)),
        }

    def machine_facts(self, point: StudyPoint) -> Mapping[str, Any]:
        """What a machine takes of racks: its knee is a capacity to plan with."""
        found = explain(point.scenario)
        return {"footprint": footprint_entry(found.machine.plan, found.fleet.replica_count)}


def run(study: LoadStudy, options: StudyOptions = DEFAULTS) -> LoadResult:
    """Replays every machine at every rate, or at those that lead to its knees.

    Raises InfeasibleError where a machine cannot hold its model, InputError where nothing is
    served.
    """
    for work in _expected_work(study):
        tell(work, options.on_note)
    points: list[LoadPoint] = []
    shown = 0.0

    def show(text: str, share: float) -> None:
        nonlocal shown  # more replays may turn out to be needed; a bar does not go back for it
        shown = max(shown, (len(points) + share) / len(study.points))
        options.on_progress(text, shown)

    for given in study.points:
        points.append(_run_point(study, given, show))
    return LoadResult(study, tuple(points))


def _expected_work(study: LoadStudy) -> Iterator[WorkEstimate]:
    """About what the replays of each machine take at all rates."""
    rates = _RATES_TO_A_KNEE if study.rates_rps is None else len(study.rates_rps)
    for point in study.points:
        with suppress(InputError):  # the replay will say so
            workload = bounded(point.scenario.workload, study.request_count, study.duration_ps)
            work = expected_work(replace(point.scenario, workload=workload))
            yield work.times(rates, f"replays of {point.name}")


def point_of(name: str, slo: Slo, rows: Iterable[LoadRow], attainment: float) -> LoadPoint:
    """What the rows of a machine, in order of their rates, say together."""
    rows = tuple(rows)
    knee = bracket(rows, lambda row: row.meets(attainment))
    return LoadPoint(
        name=name,
        slo=slo,
        rows=rows,
        knee=knee,
        saturation=bracket(rows, lambda row: row.keeps_up),
        limited_by=_limited_by(knee.failed),
    )


def with_plan(scenario: Scenario) -> Scenario:
    """The scenario with the plan that would be found for it asked for, so that it is found at once.

    Raises InfeasibleError where the model does not fit.
    """
    plan = explain(scenario).plan
    return scenario.with_cut(plan.tensor_parallel, plan.stage_count)


def _run_point(study: LoadStudy, given: StudyPoint, on_progress: Progress) -> LoadPoint:
    on_progress(f"compiling {given.name}", 0.0)
    scenario = with_plan(given.scenario)
    tests: list[Test] = [lambda row: row.keeps_up]
    if scenario.slo.bounds_ps:
        tests.append(lambda row: row.meets(study.attainment))
    rows: list[LoadRow] = []
    rates: Iterable[float]
    if study.rates_rps is None:
        workload = bounded(scenario.workload, study.request_count, study.duration_ps)
        rates = knee_rates(rows, offered_rate_rps(workload), tests, study.knee_precision)
    else:
        rates = study.rates_rps
    for rate_rps in rates:
        text = f"{given.name}: {rate_rps:g} requests/s"
        done = len(rows)
        count = (
            replay_count(rows, tests, study.knee_precision)
            if study.rates_rps is None
            else len(study.rates_rps)
        )
        on_progress(text, done / count)

        def show(share: float, text: str = text, done: int = done, count: int = count) -> None:
            on_progress(text, (done + share) / count)

        try:
            row = replay_rate(
                scenario,
                rate_rps,
                request_count=study.request_count,
                duration_ps=study.duration_ps,
                on_progress=show,
            )
        except InputError as error:
            raise InputError(_said_of(given.name, study.place, error)) from None
        insort(rows, row, key=lambda row: row.rate_rps)
    return point_of(given.name, scenario.slo, rows, study.attainment)


def _said_of(name: str, place: str, error: InputError) -> Iterator[Problem]:
    """Problems of a replay, with the name of the machine, and the study as the place they lack."""
    for problem in error.problems:
        message = f"{name}: {problem.message}"
        yield replace(problem, message=message, place=problem.place or place)


def _limited_by(failed: LoadRow | None) -> str:
    """Why a rate is too high; a growing queue comes first, for in the end it misses everything."""
    if failed is None:
        return ""
    if not failed.keeps_up:
        return SATURATION
    metrics = {name: share for name, share in failed.attainment.items() if name != "all"}
    return min(metrics, key=lambda name: metrics[name])


def _load_rows(result: LoadResult) -> Iterator[Row]:
    """One row for each machine and rate."""
    for point in result.points:
        for row in point.rows:
            met = row.attainment
            known = {
                **vars(row),
                **row.latencies_ms,
                **{f"fit_{metric}_attainment": met.get(metric) for metric in LOAD_METRICS},
                "fit_slo_attainment": met.get("all"),
                "offered_to_capacity_ratio": _ratio(row.offered_rps, row.capacity_rps),
                "rejected_share": row.rejected_share,
                "machine": point.name,
                "keeps_up": row.keeps_up,
                "meets_slo": row.meets(result.study.attainment) if met else None,
            }
            yield {
                name: round(value, 6) if isinstance(value, float) else value
                for name, value in known.items()
            }


def _knee_rows(result: LoadResult) -> Iterator[Sequence[Value]]:
    """One row for each machine."""
    for point in result.points:
        slo = bool(point.slo.bounds_ps)
        met, kept = point.knee.met, point.saturation.met
        capacity_rps = point.capacity_rps
        yield (
            point.name,
            point.chip_count,
            _cell(result.study.attainment) if slo else None,
            _offered(met) if slo else None,
            _offered(point.knee.failed) if slo else None,
            point.limited_by if slo else None,
            _offered(kept),
            _offered(point.saturation.failed),
            _cell(capacity_rps),
            _cell(_ratio(met.offered_rps, capacity_rps) if slo and met else None),
            _cell(_ratio(kept.offered_rps, capacity_rps) if kept else None),
            _highest(point, lambda row: row.request_goodput_rps),
            _highest(point, lambda row: row.request_throughput_rps),
            _highest(point, lambda row: row.output_throughput_tok_s),
            point.is_short,
        )


def _highest(point: LoadPoint, of: Callable[[LoadRow], float | None]) -> float | None:
    return _cell(max((value for row in point.rows if (value := of(row)) is not None), default=None))


def _offered(row: LoadRow | None) -> float | None:
    return _cell(row.offered_rps if row else None)


def _ratio(part: float, whole: float | None) -> float | None:
    return part / whole if whole else None


def _cell(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
