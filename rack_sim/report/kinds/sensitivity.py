"""Sensitivity: which inputs move cost and speed most."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rack_sim.metrics.compare_columns import SENSITIVITY
from rack_sim.record.record import Record
from rack_sim.report.chart import Axis, Chart, Panels, Series, things_axis
from rack_sim.report.colours import LESS, MORE
from rack_sim.report.draw.excel import write_charts
from rack_sim.report.html.sensitivity import sensitivity_page
from rack_sim.report.numbers import amount_text, number_text
from rack_sim.report.sensitivity_tables import SensitivityTables, Swing
from rack_sim.report.sheets.definitions import write_definitions
from rack_sim.report.sheets.inputs import chosen_of, write_inputs
from rack_sim.report.sheets.overview import start_overview, write_answer, write_contents
from rack_sim.report.sheets.sheet import Book
from rack_sim.report.sheets.table import write_table_sheet
from rack_sim.report.story import Story
from rack_sim.study.sensitivity import SPEED, USD

_FILE = "sensitivity.csv"
_VISIBLE = 0.0005  # less than this share of change is none to be seen


class _Effect(NamedTuple):
    """What inputs move: the column of the share by which, and that of the number itself."""

    name: str
    column: str
    base: str
    words: str
    unit: str


_EFFECTS = (
    _Effect("usd-change", "usd_change_share", USD, "Cost of an output token", "USD per million"),
    _Effect("speed-change", "speed_change_share", SPEED, "Speed of the median user", "tokens/s"),
)


def _title(record: Record) -> str:
    return f"Sensitivity: {record.name}"


def _sheets(book: Book, record: Record, row_limit: int) -> None:
    facts, found = record.facts, SensitivityTables(record)
    purpose = f"{facts['change']:.0%} less and more of each input, one at a time."
    overview = start_overview(book, _title(record), purpose)
    write_charts(book, charts(record))
    write_table_sheet(
        book,
        "Sensitivity",
        "Sensitivity",
        "Each input, changed alone; the largest effect on cost first.",
        SENSITIVITY,
        record.frame(_FILE),
        file=_FILE,
        row_limit=row_limit,
    )
    write_inputs(book, facts, chosen_of(record.resolved))
    write_definitions(book, [("Sensitivity", SENSITIVITY)])
    lines = [
        (words, "none" if found.base[name] is None else f"{found.base[name]:,.6g}")
        for words, name in (
            ("USD per million output tokens, as it is", USD),
            ("tokens/s per user, as it is", SPEED),
        )
    ]
    lines.append(("Replayed", facts["replayed"]))
    lines += [("Mind" if not number else "", text) for number, text in enumerate(found.notes)]
    write_contents(overview, write_answer(overview, 3, lines))


def charts(record: Record) -> Iterator[Panels]:
    """A tornado of cost and one of speed, of the inputs that move each."""
    found = SensitivityTables(record)
    percent = f"{record.facts['change'] * 100:g} %"
    drawn = [_tornado(found, effect, percent) for effect in _EFFECTS]
    still = [
        swing.name
        for swing in found.swings
        if all(swing.widest(effect.column) < _VISIBLE for effect in _EFFECTS)
    ]
    says = (
        f"{record.name}: {percent} less and more of each input, one at a time; replayed: "
        f"{record.facts['replayed']}"
    )
    if still:
        says += f". No effect: {', '.join(still)}"
    known = tuple(chart for chart in drawn if chart is not None)
    yield Panels("sensitivity", _finding(found, percent), says, known, columns=2)


def _tornado(found: SensitivityTables, effect: _Effect, percent: str) -> Chart | None:
    """Bars of less and of more of each input that moves a number, the widest on top."""
    moved = [swing for swing in found.swings if swing.widest(effect.column) >= _VISIBLE]
    if not moved:
        return None
    ranked = sorted(moved, key=lambda swing: -swing.widest(effect.column))
    labels = [_label(swing) for swing in ranked]
    series = []
    for sign, words, look in ((-1, "less", LESS), (1, "more", MORE)):
        sides = [_side(swing, sign) for swing in ranked]
        shares = tuple(side and side[effect.column] for side in sides)
        series.append(
            Series(
                f"{percent} {words} of it, or what there can be",
                tuple(map(float, range(len(ranked)))),
                tuple(None if share is None else 100 * share for share in shares),
                look,
                "bars",
                hover=tuple(side["how"] if side else "" for side in sides),
                labels=tuple(_percent(share) for share in shares),
            )
        )
    values = [value for one in series for value in one.values]
    reach = 1.4 * max(map(abs, values))  # room for the words at the ends of the bars
    base = found.base[effect.base]
    return Chart(
        effect.name,
        f"{effect.words}: {ranked[0].name} moves it most, by up to "
        f"{ranked[0].widest(effect.column):.0%}",
        things_axis("", labels),
        Axis("change", "%", low=-reach, high=reach),
        tuple(series),
        "" if base is None else f"As it is: {number_text(base)} {effect.unit}.",
        is_sideways=True,
    )


def _side(swing: Swing, sign: int) -> Mapping[str, Any] | None:
    return next((row for row in swing.sides if row["change_share"] * sign > 0), None)


def _percent(share: float | None) -> str:
    if share is None or abs(share) < _VISIBLE:
        return ""
    return f"{100 * share:+.1f} %"


def _label(swing: Swing) -> str:
    """An input, with how far it goes down and up."""
    sides = [_side(swing, sign) for sign in (-1, 1)]
    ends = [swing.value if side is None else side["after"] for side in sides]
    amounts = " … ".join(amount_text(end) for end in ends if end is not None)
    return f"{swing.name}: {amounts} {swing.unit}".rstrip()


def _finding(found: SensitivityTables, percent: str) -> str:
    parts = []
    for effect in _EFFECTS:
        most = max(found.swings, key=lambda swing: swing.widest(effect.column))
        widest = most.widest(effect.column)
        what = effect.words.partition(" ")[0].lower()
        if widest < _VISIBLE:
            parts.append(f"nothing moves {what}")
        else:
            parts.append(f"{most.name} moves {what} most, by up to {widest:.0%}")
    return f"Changed by {percent}: {'; '.join(parts)}"


STORY = Story(
    _title, lambda record: sensitivity_page(SensitivityTables(record)), _sheets, charts=charts
)
