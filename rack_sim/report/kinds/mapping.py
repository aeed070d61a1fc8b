"""Mapping: which way to cut a model over chips is best, for what, and how much memory is left."""

from collections.abc import Iterator, Sequence

from rack_sim.foundation.units import counted
from rack_sim.metrics.words import capital
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import Chart, Panels, Series, axis_of
from rack_sim.report.colours import look_of
from rack_sim.report.html.study import study_page
from rack_sim.report.numbers import number_text, share
from rack_sim.report.sheets.study import study_title, write_study
from rack_sim.report.story import Story
from rack_sim.report.text import Line, TextTable, study_head

_FILE = "mapping.csv"
_BEST_MAX, _ROWS_MAX = 10, 40
_OBJECTIVES = {
    "fewest_chips": "fewest chips",
    "lowest_latency": "lowest latency",
    "most_tokens_per_chip": "most tokens per chip",
}
_COLUMNS = [
    ("tensor x stages", "left"),
    ("chips", "right"),
    ("ms a token", "right"),
    ("tok/s/user", "right"),
    ("tok/s", "right"),
    ("tok/s/chip", "right"),
    ("memory left", "right"),
    ("score", "right"),
    ("", "left"),
]


def _answers(study: Record) -> Iterator[str]:
    for name, rows in _by_machine(study).items():
        ran = [row for row in rows if row["token_gap_ms"] is not None]
        objective = _OBJECTIVES[study.facts["objectives"][name]]
        chosen = next((row for row in ran if row["is_chosen"]), None)
        if chosen is not None:
            yield f"{name}: auto takes {_cut(chosen)} for the {objective}: {_worth(chosen)}"
        front = sum(bool(row["is_on_frontier"]) for row in ran)
        yield (
            f"{name}: {counted(len(rows), 'cut')} hold the model, {len(ran):,} of them run; for "
            f"{front:,} no other has as few chips, as short a time and as many tokens per chip"
        )


def _warnings(study: Record) -> Iterator[str]:
    for name, rows in _by_machine(study).items():
        reasons = dict.fromkeys(str(row["reason"]) for row in rows if row["reason"])
        for reason in list(reasons)[:3]:
            count = sum(row["reason"] == reason for row in rows)
            yield f"{name}: {counted(count, 'cut')} cannot run: {reason}"


def _text(study: Record) -> Iterator[Line]:
    for name, rows in _by_machine(study).items():
        ran = [row for row in rows if row["token_gap_ms"] is not None]
        ranked = sorted(ran, key=lambda row: -float(row["score"] or 0))
        shown = [r for n, r in enumerate(ranked) if n < _BEST_MAX or r["is_on_frontier"]]
        title = f"{name}: the best by its objective, and all that no other beats"
        yield TextTable(
            f"{title} ({_FILE} has all)", _COLUMNS, list(map(_cells, shown[:_ROWS_MAX]))
        )


def _content(study: Record) -> dict[str, object]:
    return {**study_head(study), "cuts": study.rows(_FILE)}


def _charts(study: Record) -> Iterator[Panels]:
    for number, (name, rows) in enumerate(_by_machine(study).items()):
        ran = [row for row in rows if row["token_gap_ms"] is not None]
        chosen = next((row for row in ran if row["is_chosen"]), None)
        title = f"{name}: auto takes {_cut(chosen)}" if chosen else f"{name}: auto finds no cut"
        charts = (
            _against(ran, "tok_s_per_chip", ("tokens/s per chip", ""), f"mapping-{number}-speed"),
            _against(ran, "memory_margin_share", ("memory left", "%"), f"mapping-{number}-memory"),
        )
        says = (
            "Every cut that runs, a colour for each tensor-parallel degree. Up and to the left is "
            "better"
        )
        yield Panels(f"mapping-{number}" if number else "mapping", title, says, charts)


def _against(rows: Sequence[Row], column: str, shown: tuple[str, str], name: str) -> Chart:
    """A number of every cut against the time of a token; `shown` are its words and its unit."""
    words, unit = shown
    factor = 100.0 if unit == "%" else 1.0
    degrees = sorted({int(row["tensor_parallel"] or 0) for row in rows})
    series = tuple(
        _points(
            f"tensor parallel {degree}",
            [row for row in rows if row["tensor_parallel"] == degree],
            column,
            factor,
            number,
        )
        for number, degree in enumerate(degrees)
    )
    values = [value for one in series for value in one.values]
    times = [x for one in series for x in one.x]
    return Chart(
        name,
        f"{capital(words)} against the time of a token",
        axis_of("time of a token", "ms", times, from_zero=False),
        axis_of(words, unit, values, from_zero=False),
        series,
    )


def _points(name: str, rows: Sequence[Row], column: str, factor: float, number: int) -> Series:
    return Series(
        name,
        tuple(float(row["token_gap_ms"] or 0) for row in rows),
        tuple(factor * float(row[column] or 0) for row in rows),
        look_of(number),
        kind="points",
        hover=tuple(f"{_cut(row)}: {_worth(row)}" for row in rows),
        labels=tuple("auto" if row["is_chosen"] else "" for row in rows),
    )


def _by_machine(study: Record) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in study.rows(_FILE):
        found.setdefault(str(row["machine"]), []).append(row)
    return found


def _cut(row: Row) -> str:
    return f"{row['tensor_parallel']} x {row['stage_count']}"


def _worth(row: Row) -> str:
    return (
        f"{number_text(row['token_gap_ms'])} ms a token, {number_text(row['tok_s_per_chip'])} "
        f"tokens/s per chip on {row['chip_count']:,} chips, "
        f"{share(row['memory_margin_share'])} of memory left"
    )


def _cells(row: Row) -> tuple[str, ...]:
    marks = ("auto", bool(row["is_chosen"])), ("frontier", bool(row["is_on_frontier"]))
    return (
        _cut(row),
        f"{row['chip_count']:,}",
        number_text(row["token_gap_ms"], 4),
        number_text(row["tok_s_per_user"]),
        number_text(row["tok_s"]),
        number_text(row["tok_s_per_chip"]),
        share(row["memory_margin_share"]),
        number_text(row["score"]),
        ", ".join(word for word, is_so in marks if is_so),
    )


STORY = Story(
    question="Which cut of the model over chips is best for what, and how close is the next?",
    title=study_title,
    answers=_answers,
    text=_text,
    content=_content,
    page=study_page,
    sheets=write_study,
    numbers={
        "chip_count": "Chips",
        "token_gap_ms": "Time of a token",
        "tok_s_per_chip": "Tokens of a chip",
        "memory_margin_share": "Memory left",
    },
    charts=_charts,
    warnings=_warnings,
)
