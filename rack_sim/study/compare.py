"""Compare: scenarios simulated now and finished runs, side by side.

A scenario that cannot run (its model does not fit, its cache has no room) is a row with the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import InfeasibleError, InputError, Problem, RackSimError
from rack_sim.metrics.compare_columns import COMPARED, DENSITIES, LIMITS
from rack_sim.metrics.summary import Value
from rack_sim.partition.infeasible import Infeasible
from rack_sim.pipeline import VERSION, simulate
from rack_sim.scenario import Scenario, load_scenario
from rack_sim.study.finished_run import read_finished_run

Progress = Callable[[str, float], None]

SPEED = "output_tok_s_per_user_p50"


@dataclass(frozen=True)
class Contender:
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


@dataclass(frozen=True)
class Compared:
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
        row = {name: self.summary[name] for name in (*COMPARED, *LIMITS, "output_tok_s_per_chip")}
        watts, usd = row["mean_watts"], row["usd_per_million_output_tokens"]
        rate = row["output_throughput_tok_s"]
        row["mean_kilowatts"] = watts / 1000 if isinstance(watts, int | float) else None
        row["output_tok_s_per_kilowatt"] = _ratio(rate, row["mean_kilowatts"])
        row["output_tokens_per_usd"] = _ratio(1e6, usd)
        return row

    def number(self, name: str) -> float | None:
        """One of these numbers; None where there is none."""
        value = self.values.get(name)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class Comparison:
    """What was compared, in the order it was given."""

    rows: tuple[Compared, ...]

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
    def unlike(self) -> list[str]:
        """What is not the same in all rows, and should be for numbers to be held against others."""
        found = []
        for words, key in (
            ("models", "model"),
            ("traffic", "workload"),
            ("objectives", "slo"),
            ("costs (years, electricity, PUE, …)", "cost"),
        ):
            parts = [row.contender.resolved.get(key) for row in self.rows]
            if key == "model":  # whatever is written beside it, a name names one model
                parts = [part and part.get("name") for part in parts]
            if any(part != parts[0] for part in parts[1:]):
                found.append(words)
        return found


def contenders(references: Sequence[str], overrides: Sequence[str] = ()) -> list[Contender]:
    """What `references` name: directories of finished runs, scenario files or presets.

    A reference may be given a name: ``NAME=REFERENCE``. `overrides` are laid on every scenario that
    is to be simulated. Raises InputError with every problem of all of them.
    """
    found: list[Contender] = []
    problems: list[Problem] = []
    for text in references:
        name, reference = _named(text)
        try:
            found.append(_contender(name, reference, overrides))
        except InputError as error:
            problems += [replace(p, place=p.place or reference) for p in error.problems]
    if not problems and overrides and not any(one.scenario for one in found):
        problems.append(Problem("all are finished runs: nothing to change", "--set"))
    if problems:
        raise InputError(dict.fromkeys(problems))
    return list(_told_apart(found))


def comparison_hash(found: Sequence[Contender]) -> str:
    """Twelve hexadecimal digits of what is compared."""
    text = "\n".join(f"{one.name} {one.scenario_hash}" for one in found)
    return sha256(f"{VERSION}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


def run_comparison(
    found: Sequence[Contender], *, on_progress: Progress = lambda _name, _share: None
) -> Comparison:
    """Simulates what is not finished yet. Raises InfeasibleError where none could run."""
    rows: list[Compared] = []
    for number, one in enumerate(found):
        on_progress(one.name, number / len(found))
        if one.scenario is None:
            rows.append(Compared(one, one.summary))
            continue
        try:
            rows.append(Compared(one, simulate(one.scenario).summary))
        except (InfeasibleError, InputError) as error:
            rows.append(Compared(one, None, _in_one_line(error)))
    result = Comparison(tuple(rows))
    if not result.ran:
        lines = (f"  {row.name}: {row.reason}" for row in rows)
        raise InfeasibleError("infeasible: none of them can run\n" + "\n".join(lines))
    return result


def densities_of(result: Comparison) -> dict[str, tuple[Compared, ...]]:
    """The frontier of each density."""
    return {name: result.frontier(name) for name in DENSITIES}


def _named(text: str) -> tuple[str, str]:
    name, separator, reference = text.partition("=")
    if not separator or not name.strip() or Path(text).exists():
        return "", text
    return name.strip(), reference


def _contender(name: str, reference: str, overrides: Sequence[str]) -> Contender:
    if Path(reference).is_dir():
        run = read_finished_run(Path(reference))
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
