"""Size text: the answers beside each other, then the candidates that matter."""

from collections import Counter
from collections.abc import Iterator

from rack_sim.foundation.units import counted
from rack_sim.record.record import Record
from rack_sim.report.numbers import spaced
from rack_sim.report.sizing_tables import Asked, SizingRow, SizingTables, Winner, name_of
from rack_sim.report.sizing_words import (
    answer_words,
    cost_words,
    failure_words,
    goals_words,
    margin_words,
    objective_name,
    objective_words,
    plain,
    shown_candidates,
    value_words,
    verdict_words,
)
from rack_sim.report.text import Line, TextTable

_CANDIDATES = [
    ("tensor x stages x replicas", "left"),
    ("chips", "right"),
    ("racks", "right"),
    ("capital $", "right"),
    ("$ a year", "right"),
    ("kW", "right"),
    ("verdict", "left"),
]
_VERDICTS = {"meets": "meet the SLO", "fails": "fail", "pruned": "ruled out by bounds"}


def size_text(record: Record) -> Iterator[Line]:
    """What `rack-sim size` prints, but for the commands that replay the answers."""
    sizing = SizingTables(record)
    asked = spaced(", ".join(map(objective_words, sizing.objectives)))
    described = [list(_described(sizing, winner)) for winner in sizing.winners]
    yield TextTable(
        f"{sizing.name}: {sizing.rate_rps:g} requests/s, {asked}",
        [("", "left"), *((goals_words(winner.goals), "right") for winner in sizing.winners)],
        [
            (label, *(spaced(column[number][1]) for column in described))
            for number, (label, _) in enumerate(described[0])
        ],
    )
    counts = Counter(row["verdict"] for row in sizing.candidates)
    said = ", ".join(f"{counts[verdict]:,} {words}" for verdict, words in _VERDICTS.items())
    yield TextTable(
        f"searched: {record.facts['searched']}\n{counted(len(sizing.candidates), 'candidate')}: "
        f"{said} (candidates.csv has all)",
        [*_CANDIDATES, *((objective_name(asked), "right") for asked in sizing.objectives)],
        [_cells(sizing, row) for row in shown_candidates(sizing)],
    )


def size_answers(record: Record) -> Iterator[str]:
    """Of each system that answers, what it is and what it costs."""
    sizing = SizingTables(record)
    for winner in sizing.winners:
        said = f"{answer_words(sizing, winner)} {cost_words(winner.row)}"
        yield spaced(f"{goals_words(winner.goals)}: {said}")


def size_content(record: Record) -> dict[str, object]:
    """The question, the answers and every candidate, under the names of the tables' columns."""
    facts = record.facts
    return {
        "scenario": record.name,
        "sizing_hash": facts["sizing_hash"],
        "question": facts["question"],
        "answers": record.rows("sizing.csv"),
        "replay_count": facts["replay_count"],
        "candidates": record.rows("candidates.csv"),
    }


def size_warnings(record: Record) -> Iterator[str]:
    """What a reader of the answer should know."""
    yield from record.facts["warnings"]


def _described(sizing: SizingTables, winner: Winner) -> Iterator[tuple[str, str]]:
    row = winner.row
    yield "tensor parallel x stages x replicas", name_of(row)
    yield "chips to buy", f"{row['bought_chip_count']:,}"
    yield "  hold the model", f"{row['chip_count']:,}"
    yield "  spare", f"{row['spare_chip_count']:,}"
    yield "  idle", f"{row['idle_chip_count']:,}"
    nodes = ("nodes", f"{row['node_count']:,}")
    alone = row["rack_count"] == row["node_count"]
    yield nodes if alone else ("racks, nodes", f"{row['rack_count']:,}, {nodes[1]}")
    yield "capital", f"${row['capital_usd']:,.0f}"
    yield "a year, capital and electricity", f"${row['usd_per_year']:,.0f}"
    per_million = row["usd_per_million_output_tokens"]
    yield "a million output tokens", "" if per_million is None else f"${per_million:,.2f}"
    yield "power, mean", f"{row['mean_watts'] / 1000:,.1f} kW"
    yield "  standing by", f"{row['standby_watts'] / 1000:,.1f} kW"
    for asked in sizing.objectives:
        tightest = len(sizing.objectives) > 1 and asked.name == row["tightest_objective"]
        yield f"{objective_name(asked)}{', tightest' if tightest else ''}", _value(asked, row)
        yield "  margin", margin_words(asked, row)
    yield "TTFT is bound by", plain(row["ttft_bound_by"] or "")
    yield "TPOT is bound by", plain(row["tpot_bound_by"] or "")
    yield "bottleneck", plain(row["bottleneck"] or "")
    for label, prefix in (("one replica fewer", "one_less"), ("next smaller", "next_smaller")):
        yield label, failure_words(sizing, winner, prefix) or "none"


def _value(asked: Asked, row: SizingRow) -> str:
    value = row[asked.column]
    return "" if value is None else value_words(asked, value)


def _cells(sizing: SizingTables, row: SizingRow) -> tuple[str, ...]:
    verdict, why = verdict_words(sizing, row)
    least = row["verdict"] == "pruned"
    return (
        name_of(row),
        f"{row['bought_chip_count']:,}",
        f"{row['rack_count']:,}",
        f"{row['capital_usd']:,.0f}",
        f"{'>= ' if least else ''}{row['usd_per_year']:,.0f}",
        f"{'>= ' if least else ''}{row['mean_watts'] / 1000:,.1f}",
        f"{verdict}: {spaced(why)}" if why else verdict,
        *(_bounded(asked, row, least=least) for asked in sizing.objectives),
    )


def _bounded(asked: Asked, row: SizingRow, *, least: bool) -> str:
    value = _value(asked, row)
    sign = ("<= " if asked.is_share else ">= ") if least and value else ""
    return spaced(f"{sign}{value}")
