"""Compare: scenarios simulated now and finished runs, side by side.

A scenario that cannot run (its model does not fit, its cache has no room) is a row with the reason.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.errors import InfeasibleError, InputError, Problem, Problems, RackSimError
from rack_sim.foundation.version import VERSION
from rack_sim.foundation.work_estimate import Progress, no_progress
from rack_sim.metrics.compare_columns import CHANGES, COMPARE, COMPARED, DENSITIES, LIMITS
from rack_sim.metrics.slo import Slo, slo_of_keys
from rack_sim.metrics.summary import Value, number_of
from rack_sim.partition.infeasible import Infeasible
from rack_sim.pipeline import simulate
from rack_sim.record.kinds import KINDS
from rack_sim.record.manifest import refuse_altered
from rack_sim.record.of_run import ending_facts
from rack_sim.record.record import Record
from rack_sim.record.store import read
from rack_sim.record.table import Row, Table, table_of
from rack_sim.scenario import Scenario, load_scenario
from rack_sim.study.difference import RunChange, RunSide, changes
from rack_sim.study.judged import judged
from rack_sim.study.sensitivity import SPEED

# What a comparison takes for granted.
COMPARE_ASSUMED = (
    "every run is taken as it is: its own model, precision, traffic, window and prices; one set of "
    "objectives judges all",
    "throughput per chip counts the chips that hold a part of a model; watts and dollars count "
    "every rack in use, spares included",
)


@dataclass(frozen=True, repr=False)
class Contender(Brief):
    """One thing to compare, before anything is simulated.

    Either a `scenario` is there, or the `summary` of a finished run; `resolved` is the scenario
    with every preset and default written out.
    """

    name: str
    reference: str
    scenario: Scenario | None
    summary: Mapping[str, Value] | None
    resolved: Mapping[str, Any]
    scenario_hash: str


@dataclass(frozen=True, repr=False)
class Compared(Brief):
    """One row: a run's summary, or the `reason` why there is none."""

    contender: Contender
    summary: Mapping[str, Value] | None
    reason: str = ""

    @property
    def name(self) -> str:
        """Its name in the comparison."""
        return self.contender.name

    @property
    def values(self) -> dict[str, Value]:
        """The numbers that are compared, by column; empty where it could not run."""
        if self.summary is None:
            return {}
        row = {
            name: self.summary[name]
            for name in (*COMPARED, *LIMITS, "output_tok_s_per_chip", "request_goodput_rps")
        }
        watts, usd = row["mean_watts"], row["usd_per_million_output_tokens"]
        rate = row["output_throughput_tok_s"]
        row["mean_kilowatts"] = watts / 1000 if isinstance(watts, int | float) else None
        row["output_tok_s_per_kilowatt"] = _ratio(rate, row["mean_kilowatts"])
        row["output_tokens_per_usd"] = _ratio(1e6, usd)
        return row

    def number(self, name: str) -> float | None:
        """One of these numbers; None where there is none."""
        return number_of(self.values, name)


@dataclass(frozen=True, repr=False)
class Comparison(Brief):
    """What was compared, in the order it was given, and the objectives that judge all of it.

    `judge` says whose they are.
    """

    rows: tuple[Compared, ...]
    slo: Slo
    judge: str

    @property
    def judged_by(self) -> str:
        """By what all are judged, in words."""
        if not self.slo.bounds_ps and not self.slo.objectives:
            return "no objectives"
        return f"{self.slo} ({self.judge})"

    def _facts(self) -> Mapping[str, object]:
        return {row.name: row.reason or row.number(SPEED) for row in self.rows}

    @property
    def ran(self) -> tuple[Compared, ...]:
        """The rows with numbers."""
        return tuple(row for row in self.rows if row.summary is not None)

    def frontier(self, density: str) -> tuple[Compared, ...]:
        """Those that none beats in speed per user and in `density` at once, slowest first."""
        points = [
            (speed, dense, row)
            for row in self.ran
            if (speed := row.number(SPEED)) and (dense := row.number(density))
        ]
        kept = [
            (speed, dense, row)
            for speed, dense, row in points
            if not any(
                other >= speed and more >= dense and (other > speed or more > dense)
                for other, more, _ in points
            )
        ]
        return tuple(row for _, _, row in sorted(kept, key=lambda point: point[:2]))

    @property
    def differing_inputs(self) -> list[str]:
        """What is not the same in all rows, and should be for numbers to be held against others."""
        found = []
        for words, path in (
            ("models", ("model", "name")),  # whatever is written beside it, it names one model
            ("precision", ("precision",)),
            ("traffic", ("workload",)),
            (f"objectives (all are judged by {self.judge})", ("slo",)),
            ("costs (years, electricity, PUE, …)", ("cost",)),
        ):
            parts = [_part(row.contender.resolved, *path) for row in self.rows]
            if any(part != parts[0] for part in parts[1:]):
                found.append(words)
        bases = {row.name: _price_basis(row.contender.resolved) for row in self.rows}
        if len(set(bases.values())) > 1:
            said = (f"{name}: {basis}" for name, basis in bases.items())
            found.append(f"price basis ({'; '.join(said)})")
        return found

    @cached_property
    def changes(self) -> tuple[RunChange, ...]:
        """What differs between two rows; nothing where there are not two."""
        if len(self.rows) != 2:
            return ()
        before, after = (RunSide(row.contender.resolved, row.summary) for row in self.rows)
        return changes(before, after)

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """compare.csv, a row for each run, and of two changes.csv, a row for each change."""
        tables = {"compare.csv": table_of(COMPARE, lambda: _rows(self))}
        if len(self.rows) == 2:
            tables["changes.csv"] = Table(CHANGES, lambda: map(_cells, self.changes))
        return tables

    def record(self, wall_s: float = 0.0) -> Record:
        """What the comparison leaves behind; `wall_s` is how long it took."""
        facts = {
            "comparison": [
                {
                    "name": row.name,
                    "reference": row.contender.reference,
                    "scenario_hash": row.contender.scenario_hash,
                }
                for row in self.rows
            ],
            "version": VERSION,
            "assumed_by_the_comparison": list(COMPARE_ASSUMED),
            "judged_by": self.judged_by,
            "not_alike": self.differing_inputs,
            **ending_facts(wall_s),
        }
        return Record("compare", facts, self.tables)


def _rows(result: Comparison) -> Iterator[Row]:
    """The rows of compare.csv."""
    frontiers = {name: result.frontier(name) for name in DENSITIES}
    for row in result.rows:
        contender = row.contender
        model, system = contender.resolved["model"], contender.resolved["system"]
        given: Row = {
            "name": row.name,
            "source": "simulated" if contender.scenario else "finished",
            "status": "ran" if row.summary is not None else "infeasible",
            "reason": row.reason or None,
            "model": model.get("name"),
            "system": system.get("name"),
            **row.values,
            "scenario_hash": contender.scenario_hash,
            "version": VERSION,
        }
        for name in DENSITIES:
            known = row.number(name) is not None
            there = any(row is other for other in frontiers[name])
            given[f"{name}_frontier"] = ("yes" if there else "no") if known else None
        yield given


def _cells(change: RunChange) -> Iterator[Value]:
    """The cells of a row of changes.csv."""
    yield change.kind
    yield change.key
    for value in (change.before, change.after):
        plain = value is None or isinstance(value, str | int | float)
        yield value if plain else json.dumps(value)  # type: ignore[misc]
    yield None if change.share is None else round(change.share, 9)


def _part(resolved: Mapping[str, Any], *path: str) -> object:
    part: Any = resolved
    for key in path:
        part = part.get(key) if isinstance(part, Mapping) else None
    return part


def _price_basis(resolved: Mapping[str, Any]) -> str:
    """What the machine's capital is made of, and how well that is known."""
    whole = _part(resolved, "system", "system_price_usd")
    price = whole or _part(resolved, "system", "chip", "price_usd")
    assumed = isinstance(price, Mapping) and "assumed" in price
    what = "the whole system" if whole else "its chips"
    return f"the price of {what}, {'assumed' if assumed else 'from a source'}"


def contenders(references: Sequence[str], overrides: Sequence[str] = ()) -> list[Contender]:
    """What `references` name: directories of finished runs, scenario files or presets.

    A reference may be given a name: ``NAME=REFERENCE``. `overrides` are laid on every scenario that
    is to be simulated. Raises InputError with every problem of all of them.
    """
    found: list[Contender] = []
    problems = Problems()
    for text in references:
        name, reference = _named(text)
        with problems.gathered(reference):
            found.append(_contender(name, reference, overrides))
    if not problems and overrides and not any(one.scenario for one in found):
        problems.append(Problem("all are finished runs: nothing to change", "--set"))
    if problems:
        raise InputError(dict.fromkeys(problems))
    return list(_told_apart(found))


def comparison_hash(found: Sequence[Contender], slo: Slo | None = None) -> str:
    """Twelve hexadecimal digits of what is compared, and by which objectives if not their own."""
    text = "\n".join(f"{one.name} {one.scenario_hash}" for one in found)
    if slo is not None:
        text += f"\n{slo}"
    return sha256(f"{VERSION}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


def run_comparison(
    found: Sequence[Contender],
    slo: Slo | None = None,
    *,
    on_progress: Progress = no_progress,
) -> Comparison:
    """Simulates what is not finished yet, and judges all by one set of objectives.

    That is `slo`, else that of the first that has any. The requests of a finished run with others
    are judged anew. Raises InfeasibleError where none could run.
    """
    judge, asked = "--slo", slo
    if asked is None:
        judge, asked = _first_slo(found)
    rows: list[Compared] = []
    for number, one in enumerate(found):
        on_progress(one.name, number / len(found))
        if one.scenario is None:
            rows.append(Compared(one, _judged(one, asked)))
            continue
        try:
            rows.append(Compared(one, simulate(replace(one.scenario, slo=asked)).summary))
        except (InfeasibleError, InputError) as error:
            rows.append(Compared(one, None, _in_one_line(error)))
    result = Comparison(tuple(rows), asked, judge)
    if not result.ran:
        lines = (f"  {row.name}: {row.reason}" for row in rows)
        raise InfeasibleError("infeasible: none of them can run\n" + "\n".join(lines))
    return result


def _first_slo(found: Sequence[Contender]) -> tuple[str, Slo]:
    """The objectives of the first that has any, and whose they are."""
    for one in found:
        slo = _own_slo(one)
        if slo.bounds_ps or slo.objectives:
            return f"those of {one.name}", slo
    return "none", Slo()


def _own_slo(one: Contender) -> Slo:
    keys = one.resolved.get("slo")
    return slo_of_keys(keys) if isinstance(keys, Mapping) else Slo()


def _judged(one: Contender, slo: Slo) -> Mapping[str, Value] | None:
    if one.summary is None or _own_slo(one) == slo:
        return one.summary
    return judged(read(Path(one.reference)), slo)


def _named(text: str) -> tuple[str, str]:
    name, separator, reference = text.partition("=")
    if not separator or not name.strip() or Path(text).exists():
        return "", text
    return name.strip(), reference


def _contender(name: str, reference: str, overrides: Sequence[str]) -> Contender:
    if Path(reference).is_dir():
        run = read(Path(reference))
        if run.kind != "run":
            said = f"holds a {KINDS[run.kind].key}, not a run"
            raise InputError(Problem(said, reference, suggestion=KINDS["run"].again))
        refuse_altered(Path(reference))
        own, digest = str(run.summary["scenario"]), str(run.summary["scenario_hash"])
        return Contender(name or own, reference, None, run.summary, run.resolved, digest)
    scenario = load_scenario(reference, list(overrides))
    digest = scenario.scenario_hash
    return Contender(name or scenario.name, reference, scenario, None, scenario.resolved, digest)


def _told_apart(found: Sequence[Contender]) -> Iterator[Contender]:
    """The same, with a number behind names that are there already."""
    names: set[str] = set()
    for one in found:
        name, number = one.name, 2
        while name in names:
            name, number = f"{one.name} ({number})", number + 1
        names.add(name)
        yield replace(one, name=name)


def _in_one_line(error: RackSimError) -> str:
    reason = error.reason if isinstance(error, InfeasibleError) else None
    if not isinstance(reason, Infeasible):
        return str(error).split("\n")[0]
    over = reason.demand_bytes / reason.bound_bytes if reason.bound_bytes else float("inf")
    text = f"does not fit: {reason.question} takes {over:.3g} times the bytes of a {reason.scope}"
    return f"{text}; {reason.levers[0]}" if reason.levers else text


def _ratio(part: Value, whole: Value) -> float | None:
    if isinstance(part, int | float) and isinstance(whole, int | float) and whole:
        return round(part / whole, 6)
    return None
