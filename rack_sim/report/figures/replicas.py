"""Replicas figure: how busy each replica was and how many requests it got, roles by colour."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.pipeline import Result
from rack_sim.report.colours import BLUE, INK, ORANGE, VERMILION
from rack_sim.report.figures.canvas import new_sheet
from rack_sim.report.numbers import percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# role -> words, colour
_ROLES = {
    "both": ("prefills and decodes", BLUE),
    "prefill": ("prefills", ORANGE),
    "decode": ("decodes", VERMILION),
}
# Up to here every bar has its number; beyond, the axis has to do.
_NUMBERED_COUNT_MAX = 16
_TICKED_COUNT_MAX = 32
# Fewer bars than this keep the width they would have among so many.
_SHEET_BAR_COUNT_MIN = 8


def draw_replicas(result: Result) -> "Figure":
    """A bar per replica: its busy share above, the requests that came to it below."""
    books = result.totals.replicas
    shares = busy_shares(result)
    figure = new_sheet(_title(books, shares), _subtitle(result), width_inches=10, height_inches=4.6)
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw_bars(upper, books, [share * 100 for share in shares], [percent_text(s) for s in shares])
    upper.set_ylim(0, 112)
    upper.set_ylabel("busy\n(% of the time)")
    requests = [requests_of(book) for book in books]
    _draw_bars(lower, books, requests, [f"{number:,}" for number in requests])
    lower.set_ylim(0, max(requests) * 1.15 or 1)
    lower.set_ylabel("requests\nthat came to it")
    lower.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    lower.set_xlabel("replica")
    if len(books) <= _TICKED_COUNT_MAX:
        lower.set_xticks(range(len(books)))
    margin = max(0.0, (_SHEET_BAR_COUNT_MIN - len(books)) / 2)
    lower.set_xlim(-0.6 - margin, len(books) - 0.4 + margin)
    _explain_roles(upper, books)
    return figure


def busy_shares(result: Result) -> list[float]:
    """The busy share of each replica, by number."""
    end_ps = result.totals.end_ps
    books = result.totals.replicas
    # The last step's interval may reach beyond the end.
    return [min(book.busy_ps, end_ps) / end_ps if end_ps else 0.0 for book in books]


def requests_of(books: ReplicaBooks) -> int:
    """Requests that came to a replica: from the router, or prefilled elsewhere."""
    return books.request_count + books.transfer_count


def _draw_bars(
    axes: "Axes", books: Sequence[ReplicaBooks], heights: Sequence[float], words: Sequence[str]
) -> None:
    colours = [_ROLES[book.role][1] for book in books]
    axes.bar(range(len(books)), heights, 0.8, color=colours)
    axes.grid(visible=False, axis="x")
    if len(books) > _NUMBERED_COUNT_MAX:
        return
    for number, (height, text) in enumerate(zip(heights, words, strict=True)):
        axes.annotate(
            text,
            (number, height),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9 if len(books) <= _SHEET_BAR_COUNT_MIN else 7.5,
            color=INK,
        )


def _explain_roles(axes: "Axes", books: Sequence[ReplicaBooks]) -> None:
    from matplotlib.patches import Patch

    roles = {book.role for book in books}
    if roles == {"both"}:
        return
    axes.legend(
        handles=[
            Patch(facecolor=colour, label=words)
            for role, (words, colour) in _ROLES.items()
            if role in roles
        ],
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(roles),
        borderaxespad=0.2,
    )


def _title(books: Sequence[ReplicaBooks], shares: Sequence[float]) -> str:
    by_role: dict[str, list[float]] = {}
    for book, share in zip(books, shares, strict=True):
        by_role.setdefault(book.role, []).append(share)
    parts: list[str] = []
    for role, found in by_role.items():
        kind = "" if role == "both" else f"{role} "
        who = f"{len(found):,} {kind}replicas" if len(found) > 1 else f"the {kind}replica"
        verb = "" if parts else " are busy" if len(found) > 1 else " is busy"
        parts.append(f"{who}{verb} {_span(found)}{'' if parts else ' of the time'}")
    text = ", ".join(parts)
    return text[0].upper() + text[1:]


def _span(shares: Sequence[float]) -> str:
    low, high = percent_text(min(shares)), percent_text(max(shares))
    return low if low == high else f"{low} to {high}"


def _subtitle(result: Result) -> str:
    explanation = result.explanation
    plan, fleet = explanation.plan, explanation.fleet
    return (
        f"{explanation.scenario.name}: each replica is {plan.model.name} on "
        f"{plan.chip_count:,} chip{'' if plan.chip_count == 1 else 's'} of {plan.system.name}; "
        f"router: {fleet.router}"
    )
