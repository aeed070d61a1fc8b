"""Sensitivity charts: which inputs move cost and speed most."""

from collections.abc import Iterator, Mapping
from typing import Any

from rack_sim.record.record import Record
from rack_sim.report.chart import Axis, Chart, Panels, Series, in_order, things_axis
from rack_sim.report.colours import LESS, MORE
from rack_sim.report.numbers import amount_text, number_text
from rack_sim.report.swings import MOVED_NUMBERS, VISIBLE, MovedNumber, Swing, still_of, swings_of


def sensitivity_charts(record: Record) -> Iterator[Panels]:
    """A tornado of cost and one of speed, of the inputs that move each."""
    if not swings_of(record):
        return
    percent = f"{record.facts['change'] * 100:g} %"
    drawn = [_tornado(record, effect, percent) for effect in MOVED_NUMBERS]
    says = (
        f"{record.name}: {percent} less and more of each input, one at a time; replayed: "
        f"{record.facts['replayed']}"
    )
    if still := still_of(record):
        says += f". No effect: {', '.join(still)}"
    known = tuple(chart for chart in drawn if chart is not None)
    yield Panels("sensitivity", _finding(record, percent), says, known, columns=2)


def _tornado(record: Record, effect: MovedNumber, percent: str) -> Chart | None:
    """Bars of less and of more of each input that moves a number, the widest on top."""
    moved = [swing for swing in swings_of(record) if swing.widest(effect.column) >= VISIBLE]
    if not moved:
        return None
    ranked = sorted(moved, key=lambda swing: -swing.widest(effect.column))
    labels = [_label(swing) for swing in ranked]
    series = []
    for sign, words, look in ((-1, "less", LESS), (1, "more", MORE)):
        sides = [_side(swing, sign) for swing in ranked]
        shares = [None if side is None else side[effect.column] for side in sides]
        series.append(
            Series(
                f"{percent} {words} of it, or what there can be",
                in_order(ranked),
                tuple(None if share is None else 100 * share for share in shares),
                look,
                "bars",
                hover=tuple(side["how"] if side else "" for side in sides),
                labels=tuple(_percent(share) for share in shares),
            )
        )
    values = [value for one in series for value in one.values]
    reach = 1.4 * max(map(abs, values))  # room for the words at the ends of the bars
    base = record.facts["base"][effect.base]
    return Chart(
        effect.name,
        f"{effect.words}: {ranked[0].name} moves it most, by up to "
        f"{100 * ranked[0].widest(effect.column):.0f} %",
        things_axis("", labels),
        Axis("change", "%", low=-reach, high=reach),
        tuple(series),
        "" if base is None else f"As it is: {number_text(base)} {effect.unit}.",
        is_sideways=True,
    )


def _side(swing: Swing, sign: int) -> Mapping[str, Any] | None:
    return next((row for row in swing.sides if row["change_share"] * sign > 0), None)


def _percent(share: float | None) -> str:
    if share is None or abs(share) < VISIBLE:
        return ""
    return f"{100 * share:+.1f} %"


def _label(swing: Swing) -> str:
    """An input, with how far it goes down and up."""
    sides = [_side(swing, sign) for sign in (-1, 1)]
    ends = [swing.value if side is None else side["after"] for side in sides]
    amounts = " … ".join(amount_text(end) for end in ends if end is not None)
    return f"{swing.name}: {amounts} {swing.unit}".rstrip()


def _finding(record: Record, percent: str) -> str:
    parts = []
    for effect in MOVED_NUMBERS:
        most = max(swings_of(record), key=lambda swing: swing.widest(effect.column))
        widest = most.widest(effect.column)
        what = effect.words.partition(" ")[0].lower()
        if widest < VISIBLE:
            parts.append(f"nothing moves {what}")
        else:
            parts.append(f"{most.name} moves {what} most, by up to {100 * widest:.0f} %")
    return f"Changed by {percent}: {'; '.join(parts)}"
