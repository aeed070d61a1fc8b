"""Sizing page: which system meets the objectives, why no smaller one does, what was looked at."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rack_sim.record.footprint import rack_noun_of
from rack_sim.report.charts.size import size_charts
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import input_warnings, inputs_sections
from rack_sim.report.html.page import Answer, Command, Fact, HtmlTable, Page, Section, fact_of
from rack_sim.report.html.warnings import warnings_ahead, warnings_section
from rack_sim.report.numbers import cell, counted, number_text, usd, watts
from rack_sim.report.sizing_tables import SizingRow, SizingTables, Winner, name_of
from rack_sim.report.sizing_words import (
    answer_words,
    binds_words,
    bound_words,
    commands,
    failures,
    goals_words,
    margin_words,
    name_words,
    objective_name,
    objective_words,
    shown_candidates,
    value_words,
    verdict_words,
)
from rack_sim.report.text import as_sentence

_ROWS_SHOWN = 2_000
_SPACE = "\N{NO-BREAK SPACE}"
_PROVED = (
    "The answers are exact for the space above: every candidate was replayed, or a bound shows "
    "that it fails or that it cannot be the best for any goal. Nothing outside of the space was "
    "looked at.",
    "Latency is not taken to fall with every replica more, since requests are dealt anew: each "
    "shape is looked at upwards from its bound, past the first that meets, until its racks alone "
    "cost and draw more than the best that is known.",
    "Of what was ruled out, dollars and watts are the least that its racks take, and latencies the "
    "least that they can be.",
)
_ALL = "The fewest chips, the cheapest and the least power"
_COUNTED = (
    ("meets", "meet every objective"),
    ("fails", "were replayed and fail"),
    ("pruned", "were ruled out by bounds"),
)


def sizing_page(sizing: SizingTables) -> Page:
    """The page of a finished sizing."""
    manifest = sizing.record.facts
    asked = " and ".join(objective_words(objective) for objective in sizing.objectives)
    warnings = (*map(as_sentence, manifest["warnings"]), *input_warnings(manifest))
    charts = draw_all(size_charts(sizing.record))
    system = (sizing.record.resolved["system"] or {}).get("name")
    return Page(
        title=f"Size: {sizing.name}",
        subtitle=f"Which is the smallest system that serves {cell(sizing.rate_rps)} requests/s "
        f"with {asked}?",
        facts=(
            f"{manifest['model']['name']} on {system}",
            manifest["workload"],
            f"Sizing {manifest['sizing_hash']}, scenario {manifest['scenario_hash']}, "
            f"seed {manifest['seed']}",
        ),
        sections=(
            _answer(sizing, warnings),
            Section("figures", "Figures", charts=charts),
            Section(
                "candidates",
                "Candidates",
                sentences=(_counts(sizing),),
                tables=(
                    _table(sizing, "Those that matter", shown_candidates(sizing), is_open=True),
                    _table(sizing, "All candidates", sizing.candidates, is_open=False),
                ),
            ),
            _searched(sizing),
            *inputs_sections(manifest, sizing.record.resolved),
            warnings_section(warnings),
        ),
        origin=f"Written by rack-sim {manifest['version']} from the files of the sizing "
        f"{manifest['sizing_hash']}. candidates.csv has every number.",
    )


def _answer(sizing: SizingTables, warnings: Sequence[str]) -> Section:
    points = []
    many = len(sizing.winners) > 1
    for winner in sizing.winners:
        head = f"{_capital(goals_words(winner.goals))}: " if many else ""
        if many:  # one system has it in its card
            points.append(f"{head}{binds_words(sizing, winner)}")
        points += [
            f"{head}{f'{words[0].lower()}{words[1:]}' if head else words}: {text}."
            for words, text in failures(sizing, winner)
        ]
    return Section(
        "answer",
        "The answer",
        sentences=warnings_ahead(warnings),
        answers=tuple(_cards(sizing)),
        points=tuple(points),
        commands=tuple(
            Command(
                "To replay it, in the directory of this page"
                + (f" ({goals_words(winner.goals)}):" if many else ":"),
                commands(winner),
            )
            for winner in sizing.winners
        ),
        tables=(_objectives(sizing),),
    )


def _cards(sizing: SizingTables) -> Iterator[Answer]:
    """Of one system for all goals what it is, how fast and how much; else a card for each."""
    if len(sizing.winners) > 1:
        for winner in sizing.winners:
            row = winner.row
            yield Answer(
                f"{_capital(goals_words(winner.goals))}?",
                answer_words(sizing, winner),
                (*_chips(winner), *_margins(sizing, row), *_costs(row)),
                *_sign(row),
            )
        return
    (winner,) = sizing.winners
    row = winner.row
    yield Answer("Which system?", answer_words(sizing, winner), tuple(_chips(winner)), "good", _ALL)
    yield Answer(
        "How far within the SLO?",
        binds_words(sizing, winner),
        tuple(_margins(sizing, row)),
        *_sign(row),
    )
    yield Answer("What does it cost?", "", tuple(_costs(row)))


def _sign(row: SizingRow) -> tuple[str, str]:
    if row["is_short"]:
        return "", "Meets the SLO, as far as too few requests tell"
    return "good", "Meets the SLO"


def _chips(winner: Winner) -> Iterator[Fact]:
    row, place = winner.row, rack_noun_of(winner.entry.get("footprint"))
    yield Fact(name_of(row), "", "tensor parallel × stages × replicas")
    yield fact_of(counted(row["bought_chip_count"], "chip"), "to buy")
    yield fact_of(counted(row["chip_count"], "chip"), "of them hold the model")
    yield fact_of(counted(row["spare_chip_count"], "chip"), f"spare, in the same {place}s")
    yield fact_of(counted(row["idle_chip_count"], "chip"), f"not used, in the same {place}s")
    yield fact_of(counted(row["rack_count"], place), "they stand in")


def _margins(sizing: SizingTables, row: SizingRow) -> Iterator[Fact]:
    for asked in sizing.objectives:
        value = value_words(asked, row[asked.column])
        note = f"{bound_words(asked)}: {margin_words(asked, row)} left"
        yield fact_of(value, objective_name(asked), note)


def _costs(row: SizingRow) -> Iterator[Fact]:
    yield fact_of(usd(row["capital_usd"]), "capital")
    yield fact_of(usd(row["usd_per_year"]), "a year, capital and electricity")
    yield fact_of(usd(row["usd_per_million_output_tokens"]), "per million output tokens")
    yield fact_of(watts(row["mean_watts"]), "mean power in the replay")
    yield fact_of(watts(row["standby_watts"]), "standing by")


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def _objectives(sizing: SizingTables) -> HtmlTable:
    rows = []
    for winner in sizing.winners:
        for asked in sizing.objectives:
            tight = asked.name == winner.row["tightest_objective"]
            rows.append(
                (
                    name_of(winner.row),
                    goals_words(winner.goals),
                    objective_name(asked),
                    bound_words(asked),
                    value_words(asked, winner.row[asked.column]),
                    margin_words(asked, winner.row),
                    "yes" if tight else "no",
                )
            )
    heads = ("System", "Best for", "Objective", "#asked", "#measured", "#margin", "Tightest")
    return HtmlTable("Margin to each objective", heads, tuple(rows), is_open=True)


def _counts(sizing: SizingTables) -> str:
    counts = Counter(row["verdict"] for row in sizing.candidates)
    said = ", ".join(f"{number_text(counts[verdict])} {words}" for verdict, words in _COUNTED)
    return (
        f"{counted(len(sizing.candidates), 'candidate')}, each tensor parallel × stages × replicas "
        f"(chips that share a stage, stages of a replica, copies of the model): {said}. A row with "
        "“or more” stands for all larger numbers of replicas, too."
    )


def _table(
    sizing: SizingTables, caption: str, rows: Sequence[SizingRow], *, is_open: bool
) -> HtmlTable:
    heads = (
        "Tensor × stages × replicas",
        "Verdict",
        "Why",
        "#chips to buy",
        "#racks",
        "#capital, USD",
        "#USD a year",
        "#kW",
        *(f"#{objective_name(asked)}" for asked in sizing.objectives),
    )
    left_out = len(rows) - _ROWS_SHOWN
    return HtmlTable(
        caption,
        heads,
        tuple(_cells(sizing, row) for row in rows[:_ROWS_SHOWN]),
        is_open=is_open,
        note=f"The first {_ROWS_SHOWN:,} of {len(rows):,}; candidates.csv has all."
        if left_out > 0
        else "",
    )


def _cells(sizing: SizingTables, row: SizingRow) -> tuple[str, ...]:
    least = f"≥{_SPACE}" if row["verdict"] == "pruned" else ""

    def bounded(is_share: bool) -> str:
        return f"≤{_SPACE}" if is_share and least else least

    return (
        name_words(row),
        *verdict_words(sizing, row),
        number_text(row["bought_chip_count"]),
        number_text(row["rack_count"]),
        cell(round(row["capital_usd"])),
        f"{least}{cell(round(row['usd_per_year']))}",
        f"{least}{number_text(row['mean_watts'] / 1000)}",
        *(
            "–"
            if row[asked.column] is None
            else f"{bounded(asked.is_share)}{value_words(asked, row[asked.column])}"
            for asked in sizing.objectives
        ),
    )


def _searched(sizing: SizingTables) -> Section:
    manifest = sizing.record.facts
    counts = Counter(verdict_words(sizing, row) for row in sizing.candidates)
    met = sum(count for (verdict, _), count in counts.items() if verdict == "meets")
    heads = ("Verdict", "Why", "#candidates")
    rows = [("meets", "every objective", number_text(met))]
    rows += [
        (verdict, why, number_text(count))
        for (verdict, why), count in sorted(counts.items())
        if verdict != "meets"
    ]
    return Section(
        "searched",
        "What was searched, and what is proved",
        sentences=(
            f"Searched: {manifest['searched']}.",
            f"{counted(manifest['replay_count'], 'replay')} of "
            f"{counted(manifest['question']['request_count'], 'request')} in the end"
            + _fitting(sizing)
            + ".",
        ),
        points=_PROVED,
        tables=(HtmlTable("Verdicts and their reasons", heads, tuple(rows), is_open=True),),
    )


def _fitting(sizing: SizingTables) -> str:
    question = sizing.record.facts["question"]
    if question["fit_request_count"] == question["request_count"]:
        return ", all of which fit the context"
    return f", {number_text(question['fit_request_count'])} of which fit the context"
