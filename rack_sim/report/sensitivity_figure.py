"""Sensitivity figure: a tornado of cost and one of speed, the inputs in one order."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rack_sim.report.colours import BLUE, FAINT_INK, INK, ORANGE
from rack_sim.report.figures.canvas import new_sheet
from rack_sim.report.numbers import number_text
from rack_sim.study.sensitivity import SPEED, USD, Effect, Sensitivity, Side, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Less than this share of change is none to be seen.
_VISIBLE = 0.0005


def draw_tornado(result: Sensitivity) -> "Figure":
    """Left what each input does to dollars per token, right what it does to a user's speed."""
    effects = result.ranked
    figure = new_sheet(
        _title(result),
        _subtitle(result),
        width_inches=12,
        height_inches=1.3 + 0.42 * len(effects),
    )
    left, right = figure.subplots(1, 2, sharey=True)
    usd, speed = number(result.base, USD) or 0.0, number(result.base, SPEED)
    left.set_title(f"Cost: now {number_text(usd)} USD per million output tokens")
    _draw(left, effects, lambda side: result.share(USD, side.usd))
    if speed is None:
        right.set_title("Speed of the median user: no second token, so none")
    else:
        right.set_title(f"Speed of the median user: now {number_text(speed)} tokens/s")
    _draw(right, effects, lambda side: result.share(SPEED, side.speed))
    left.set_yticks(range(len(effects)), [_words(effect) for effect in effects])
    left.set_ylim(len(effects) - 0.4, -0.6)
    for axes in (left, right):
        axes.tick_params(axis="y", length=0, labelcolor=INK)
    from matplotlib.patches import Patch

    percent = f"{result.change * 100:g} %"
    handles = [Patch(color=ORANGE), Patch(color=BLUE)]
    labels = [f"{percent} less of it, or as little as there can be", f"{percent} more, likewise"]
    figure.legend(handles, labels, loc="outside lower left", ncols=2)
    return figure


def _draw(
    axes: "Axes", effects: Sequence[Effect], share_of: Callable[[Side], float | None]
) -> None:
    shares = [[share_of(side) for side in (e.less, e.more)] for e in effects]
    widest = max((abs(s) for pair in shares for s in pair if s is not None), default=0.0)
    reach = max(widest, 0.01) * 100
    for place, (effect, pair) in enumerate(zip(effects, shares, strict=True)):
        if effect.value is None:
            _say(axes, place, "not in this scenario")
            continue
        if all(share is None or abs(share) < _VISIBLE for share in pair):
            _say(axes, place, "less than 0.05 %" if any(pair) else "no effect")
            continue
        same_side = None not in pair and (pair[0] or 0.0) * (pair[1] or 0.0) > 0
        for number_, (share, colour) in enumerate(zip(pair, (ORANGE, BLUE), strict=True)):
            if share is None or abs(share) < _VISIBLE:
                continue
            # Two bars that grow to one side lie below each other, else they would hide each other.
            lift = (number_ - 0.5) * 0.38 if same_side else 0.0
            height = 0.36 if same_side else 0.7
            axes.barh(place + lift, share * 100, height, color=colour)
            axes.annotate(
                f"{share * 100:+.1f} %",
                (share * 100, place + lift),
                xytext=(4 if share > 0 else -4, 0),
                textcoords="offset points",
                ha="left" if share > 0 else "right",
                va="center",
                fontsize=9,
            )
    axes.axvline(0, color=FAINT_INK, linewidth=1)
    axes.set_xlim(-reach * 1.35, reach * 1.35)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.10g} %" if value else "0")
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def _say(axes: "Axes", place: int, words: str) -> None:
    axes.annotate(
        words,
        (0, place),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=FAINT_INK,
    )


def _words(effect: Effect) -> str:
    if effect.value is None:
        return effect.input.name
    sides = (effect.less.value, effect.more.value)
    lower, upper = (_amount(value) for value in sides)
    return f"{effect.input.name}\n{lower} … {_amount(effect.value)} … {upper} {effect.input.unit}"


def _amount(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _title(result: Sensitivity) -> str:
    by_cost = max(result.effects, key=lambda e: result.swing(e, USD))
    by_speed = max(result.effects, key=lambda e: result.swing(e, SPEED))
    percent = f"{result.change * 100:g} %"
    cost = (
        f"{by_cost.input.name} moves cost most, by up to {100 * result.swing(by_cost, USD):.0f} %"
    )
    swing = result.swing(by_speed, SPEED)
    name = by_speed.input.name
    if swing < _VISIBLE:
        return f"Changed by {percent}: {cost}; nothing moves speed"
    return f"Changed by {percent}: {cost}; {name} moves speed most, by {100 * swing:.0f} %"


def _subtitle(result: Sensitivity) -> str:
    return (
        f"{result.scenario.name}: one input at a time, the plan and {result.requests_words} stay; "
        "requests come as they do, so a faster machine is idle for longer rather than much cheaper"
    )
