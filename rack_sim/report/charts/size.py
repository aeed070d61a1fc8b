"""Size charts: every candidate, what must be bought against how near it comes to an objective."""

from collections.abc import Iterator, Sequence

from rack_sim.metrics.words import VERDICTS
from rack_sim.record.record import Record
from rack_sim.report.chart import Chart, Limit, Panels, Series, axis_of
from rack_sim.report.colours import GOAL_LOOKS, VERDICT_LOOKS
from rack_sim.report.numbers import amount_text, count_text, spaced
from rack_sim.report.sizing_tables import Asked, SizingRow, SizingTables, name_of
from rack_sim.report.sizing_words import (
    bound_words,
    goals_words,
    name_words,
    objective_name,
    value_words,
    verdict_words,
)

_CHIPS, _USD = "bought_chip_count", "usd_per_year"
_X = {_CHIPS: ("chips to buy", ""), _USD: ("cost", "USD a year")}


def size_charts(record: Record) -> Iterator[Panels]:
    """Chips and dollars against the tightest objective, chips against each other one."""
    sizing = SizingTables(record)
    tight = sizing.tightest
    wanted = [(tight, _CHIPS), (tight, _USD)]
    wanted += [(asked, _CHIPS) for asked in sizing.objectives if asked != tight]
    drawn = [chart for asked, x in wanted if (chart := _chart(sizing, asked, x)) is not None]
    winner = sizing.winners[0]
    title = (
        f"{_whole(winner.row)} serves {amount_text(sizing.rate_rps)} requests/s with the fewest "
        f"chips to buy: {winner.row[_CHIPS]:,}"
    )
    says = (
        f"{sizing.name}: {count_text(len(sizing.candidates), 'candidate')} looked at (tensor "
        "parallel x stages x replicas); chips are all that must be bought. What is ruled out, yet "
        "drawn on the good side of the line, was ruled out for another reason."
    )
    yield Panels("candidates", title, says, tuple(drawn), columns=2)


def _chart(sizing: SizingTables, asked: Asked, x: str) -> Chart | None:
    rows = [row for row in sizing.candidates if row[asked.column] is not None]
    if not rows:
        return None
    factor = 100.0 if asked.is_share else 1.0
    unit = "%" if asked.is_share else "ms"
    bound = factor * asked.bound
    values = [factor * float(row[asked.column]) for row in rows]
    across, unit_across = _X[x]
    name = objective_name(asked)
    return Chart(
        f"sizing-{asked.name}-{x}".replace("_", "-"),
        _title(sizing, asked, x),
        axis_of(across, unit_across, [float(row[x]) for row in rows], scale="linear"),
        axis_of(name, unit, values, bounds=[bound], scale="linear" if asked.is_share else None),
        (*_verdicts(sizing, asked, x, rows), *_rings(sizing, asked, x, rows)),
        _says(rows),
        (Limit(bound, f"asked: {spaced(bound_words(asked))}"),),
        _notes(sizing, asked, rows),
    )


def _verdicts(
    sizing: SizingTables, asked: Asked, x: str, rows: Sequence[SizingRow]
) -> Iterator[Series]:
    """The candidates of each verdict; of what was ruled out the value is the best it can be."""
    for verdict, words in VERDICTS.items():
        found = [row for row in rows if row["verdict"] == verdict]
        if not found:
            continue
        look = VERDICT_LOOKS[verdict]
        name = words.name
        if verdict == "pruned":  # the sign points to the worse
            look = look._replace(marker="triangle down" if asked.is_share else "triangle")
            name += ": no more than this" if asked.is_share else ": no less than this"
        yield _points(asked, x, found, Series(name, (), (), look, "points"), sizing)


def _points(
    asked: Asked, x: str, rows: Sequence[SizingRow], like: Series, sizing: SizingTables
) -> Series:
    factor = 100.0 if asked.is_share else 1.0
    return Series(
        like.name,
        tuple(float(row[x]) for row in rows),
        tuple(factor * float(row[asked.column]) for row in rows),
        like.look,
        "points",
        hover=tuple(
            f"{name_words(row)}: {': '.join(filter(None, verdict_words(sizing, row)))}"
            for row in rows
        ),
        mark_size=like.mark_size,
    )


def _rings(
    sizing: SizingTables, asked: Asked, x: str, rows: Sequence[SizingRow]
) -> Iterator[Series]:
    """A ring round each answer, wider from one to the next, so that none hides another."""
    for number, winner in enumerate(sizing.winners):
        found = [row for row in rows if name_of(row) == name_of(winner.row)]
        if found:
            name = f"{name_of(winner.row)}: {goals_words(winner.goals)}"
            look = GOAL_LOOKS[winner.goals[0]]
            ring = Series(name, (), (), look, "points", mark_size=1 + 0.35 * number)
            yield _points(asked, x, found[:1], ring, sizing)


def _title(sizing: SizingTables, asked: Asked, x: str) -> str:
    """What the answer has of both."""
    row = sizing.winners[0].row
    across, unit = _X[x]
    amount = f"{amount_text(float(row[x]))} {unit}" if unit else f"{row[x]:,} {across}"
    value = spaced(value_words(asked, row[asked.column]))
    return f"{objective_name(asked)}: {value} with {amount} ({_whole(row)})"


def _whole(row: SizingRow) -> str:
    """A candidate's name, which no line breaks."""
    return name_of(row).replace(" ", "\N{NO-BREAK SPACE}")


def _says(rows: Sequence[SizingRow]) -> str:
    met = sum(1 for row in rows if row["verdict"] == "meets")
    return f"{count_text(len(rows), 'candidate')}, of which {met:,} meet every objective."


def _notes(sizing: SizingTables, asked: Asked, rows: Sequence[SizingRow]) -> tuple[str, ...]:
    parts = []
    if any(row["verdict"] == "pruned" for row in rows):
        least = "most" if asked.is_share else "least"
        parts.append(f"Of what was ruled out without a replay the {least} it can have is drawn.")
    missing = len(sizing.candidates) - len(rows)
    if missing:
        parts.append(f"{count_text(missing, 'candidate')} without a value are in the table of all.")
    return tuple(parts)
