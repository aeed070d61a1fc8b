"""Size view: what `rack-sim size` says of an answer, in the terminal and as JSON."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import floor

from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.foundation.units import counted
from rack_sim.metrics.sizing_columns import Goal
from rack_sim.metrics.slo import ATTAINMENT, Reading
from rack_sim.study.sizing import Sizing
from rack_sim.study.sizing.candidate import Candidate, Verdict
from rack_sim.study.sizing.search import DOES_NOT_FIT

_CANDIDATES = [
    ("tensor x stages x replicas", "left"),
    ("chips", "right"),
    ("racks", "right"),
    ("capital $", "right"),
    ("$ a year", "right"),
    ("kW", "right"),
    ("verdict", "left"),
]


def size_tables(sizing: Sizing) -> Iterator[Table]:
    """The answers beside each other, then the candidates that matter."""
    asked = ", ".join(_asked(reading) for reading in _first(sizing).readings)
    head = f"{sizing.scenario.name}: {sizing.question.rate_rps:g} requests/s, {asked}"
    winners = list(sizing.winners.values())
    columns = [("", "left"), *((_goals(goals), "right") for _, goals in winners)]
    described = [list(_described(sizing, found, goals)) for found, goals in winners]
    rows = [
        (label, *(column[number][1] for column in described))
        for number, (label, _) in enumerate(described[0])
    ]
    yield table(head, columns, rows)
    counts = Counter(candidate.verdict for candidate in sizing.candidates)
    said = ", ".join(f"{counts[verdict]:,} {words}" for verdict, words in _VERDICTS)
    headings = [*_CANDIDATES, *((objective.name, "right") for objective in sizing.objectives)]
    yield table(
        f"searched: {sizing.space}\n{counted(len(sizing.candidates), 'candidate')}: {said} "
        "(candidates.csv has all)",
        headings,
        [_cells(sizing, candidate) for candidate in _that_matter(sizing)],
    )


_VERDICTS: tuple[tuple[Verdict, str], ...] = (
    ("meets", "meet the SLO"),
    ("fails", "fail"),
    ("pruned", "ruled out by bounds"),
)


def size_content(sizing: Sizing, commands: Mapping[tuple[Goal, ...], str]) -> dict[str, object]:
    """The question, the answers and every candidate, under the names of the tables' columns."""
    by_goal: dict[object, str] = {goal: line for goals, line in commands.items() for goal in goals}
    return {
        "scenario": sizing.scenario.name,
        "sizing_hash": sizing.sizing_hash,
        "question": sizing.question_facts(),
        "answers": [
            {**row, "command": by_goal.get(row["goal"])}
            for row in sizing.tables["sizing.csv"].records
        ],
        "replay_count": sizing.replay_count,
        "candidates": sizing.tables["candidates.csv"].records,
    }


def _first(sizing: Sizing) -> Candidate:
    return next(iter(sizing.answers.values())).candidate


def _goals(goals: Sequence[Goal]) -> str:
    return ", ".join(goal.replace("_", " ") for goal in goals)


def _described(
    sizing: Sizing, found: Candidate, goals: Sequence[Goal]
) -> Iterator[tuple[str, str]]:
    where = found.footprint
    yield "tensor parallel x stages x replicas", found.name
    yield "chips to buy", f"{where.bought_chip_count:,}"
    yield "  hold the model", f"{where.chip_count:,}"
    yield "  spare", f"{where.spare_chip_count:,}"
    yield "  idle", f"{where.idle_chip_count:,}"
    racks = where.rack_count
    told = ("nodes", f"{where.node_count:,}")
    yield told if racks == where.node_count else ("racks, nodes", f"{racks:,}, {told[1]}")
    yield "capital", f"${found.capital_usd:,.0f}"
    yield "a year, capital and electricity", f"${found.usd_per_year:,.0f}"
    per_million = found.number("usd_per_million_output_tokens")
    yield "a million output tokens", "" if per_million is None else f"${per_million:,.2f}"
    yield "power, mean", f"{found.mean_watts / 1000:,.1f} kW"
    yield "  standing by", f"{found.standby_watts / 1000:,.1f} kW"
    tightest = found.tightest
    for reading in found.readings:
        binds = ", tightest" if tightest is reading and len(found.readings) > 1 else ""
        yield f"{reading.objective.name}{binds}", _value(reading)
        yield "  margin", _margin(reading)
    yield "tightest", tightest.objective.name if tightest else ""
    yield "TTFT is bound by", _words(found.measured.get("ttft_bound_by"))
    yield "TPOT is bound by", _words(found.measured.get("tpot_bound_by"))
    yield "bottleneck", _words(found.measured.get("bottleneck"))
    answer = sizing.answers[goals[0]]
    yield "one replica less", _failure(answer.one_less)
    yield "next smaller", _failure(answer.next_smaller)


def _failure(other: Candidate | None) -> str:
    """``8 x 54 x 3: ttft_p99 778.3 ms``."""
    if other is None:
        return "none"
    failed = [r for r in other.readings if r.objective.name == other.reason]
    words = f"{other.reason} {_value(failed[0])}" if failed else f"{other.reason} ({other.detail})"
    return f"{other.name}: {words}"


def _that_matter(sizing: Sizing) -> list[Candidate]:
    """The answers, what is next to them, and the smallest that meets for each shape's degree."""
    found: dict[int, Candidate] = {}

    def keep(candidate: Candidate | None) -> None:
        if candidate is not None:
            found.setdefault(id(candidate), candidate)

    for answer in sizing.answers.values():
        for candidate in (answer.candidate, answer.one_less, answer.next_smaller):
            keep(candidate)
    for degree in sizing.space.degrees:
        of_degree = [
            candidate
            for candidate in sizing.candidates
            if candidate.shape.tensor_parallel == degree and candidate.reason != DOES_NOT_FIT
        ]
        met = [c for c in of_degree if c.verdict == "meets"]
        if met:
            keep(min(met, key=lambda c: c.rank("fewest_chips")))
        elif of_degree:  # how far it was looked at, and why no further
            keep(max(of_degree, key=lambda c: c.rank("fewest_chips")))
    return sorted(found.values(), key=lambda c: c.rank("fewest_chips"))


def _cells(sizing: Sizing, candidate: Candidate) -> tuple[str, ...]:
    goals = [goal for goal, answer in sizing.answers.items() if answer.candidate is candidate]
    verdict = f"{candidate.verdict}: {candidate.reason}" if candidate.reason else "meets"
    if goals:
        verdict += f" ({_goals(goals)})"
    known = {reading.objective.name: reading for reading in candidate.readings}
    least = candidate.verdict == "pruned"
    return (
        candidate.name,
        f"{candidate.footprint.bought_chip_count:,}",
        f"{candidate.footprint.rack_count:,}",
        f"{candidate.capital_usd:,.0f}",
        f"{'>= ' if least else ''}{candidate.usd_per_year:,.0f}",
        f"{'>= ' if least else ''}{candidate.mean_watts / 1000:,.1f}",
        verdict,
        *(_bounded(known.get(o.name), least=least) for o in sizing.objectives),
    )


def _bounded(reading: Reading | None, *, least: bool) -> str:
    if reading is None:
        return ""
    sign = ("<= " if reading.objective.name == ATTAINMENT else ">= ") if least else ""
    return sign + _value(reading)


def _asked(reading: Reading) -> str:
    objective = reading.objective
    if objective.name == ATTAINMENT:
        return f"{100 * objective.bound:g} % of requests within the scenario's slo"
    return f"{objective.name} <= {objective.bound:,.6g} ms"


def _value(reading: Reading) -> str:
    if reading.value is None:
        return ""
    if reading.objective.name == ATTAINMENT:
        # Rounded down: what falls short of 99 % never reads as 99 %.
        return f"{floor(reading.value * 100_000) / 1000:.3f} %"
    return f"{reading.value:,.4g} ms" if reading.value < 1e4 else f"{reading.value:,.0f} ms"


def _margin(reading: Reading) -> str:
    margin, share = reading.margin, reading.margin_share
    if margin is None or share is None:
        return ""
    if reading.objective.name == ATTAINMENT:
        return f"{100 * margin:.3f} points"
    return f"{margin:,.4g} ms ({100 * share:.1f} %)"


def _words(value: object) -> str:
    return "" if value is None else str(value).replace("_", " ")
