"""Latency split: where the time of a token, and of a request's first token, goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rack_sim.foundation.units import PS_PER_MS, PS_PER_S, format_time
from rack_sim.metrics.latency import finished_rows
from rack_sim.metrics.log import RequestLog
from rack_sim.metrics.quantiles import exact_sum
from rack_sim.metrics.words import TERMS
from rack_sim.pipeline import Result
from rack_sim.report.colours import GREEN, GREY, INK, PHASE_LOOKS, TERM_LOOKS
from rack_sim.report.figures.canvas import new_sheet, say_instead
from rack_sim.report.numbers import number_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What is left where all other causes are taken off stands last.
_TERMS = (*tuple(TERMS)[:-2], "draft", "slack")
# What slack is where iterations, not slots, follow each other.
_LOST_WORDS = "slack: cache lost\nand made again"
_FAR_WORDS = "slack: the cache\non its way"
# Room right of the longest bar for its words, as a share of that bar.
_LABEL_ROOM = 0.56


@dataclass(frozen=True)
class Part:
    """One bar: it starts where the bars before it end, or at zero when it is a whole.

    A part after a whole goes on where that ends, and is no share of it.
    """

    words: str
    duration_ps: float
    colour: str
    is_whole: bool = False
    is_after: bool = False


@dataclass(frozen=True)
class FirstTokenSplit:
    """Mean times from arrival to the first token, in picoseconds, over finished requests."""

    queue_ps: float
    prefill_ps: float
    pass_ps: float

    @property
    def total_ps(self) -> float:
        """Mean TTFT."""
        return self.queue_ps + self.prefill_ps + self.pass_ps


def draw_latency_split(result: Result) -> "Figure":
    """The time between two tokens split by cause, and the mean TTFT split by phase."""
    first = first_token_split(result.collector.requests)
    figure = new_sheet(_title(result), _subtitle(result), width_inches=10, height_inches=4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    summary = result.summary
    all_alike = summary["itl_ms_mean"] == summary["itl_ms_p50"] == summary["itl_ms_p99"]
    mean = "" if all_alike else ", mean"
    left.set_title(f"From one output token to the next{mean}")
    spent = token_split(result)
    if spent is None:
        say_instead(left, _why_no_split(result))
    else:
        _draw_parts(left, _token_parts(result, spent))
    right.set_title("From arrival to the first token, mean")
    if first is None:
        say_instead(right, "No request finished.")
    else:
        _draw_parts(right, _first_token_parts(result, first))
    return figure


def token_split(result: Result) -> dict[str, float] | None:
    """Picoseconds by term from one token to the next, as the summary has them."""
    found = {name: result.summary[f"tpot_{name}_ms"] for name in _TERMS}
    spent = {n: ms * PS_PER_MS for n, ms in found.items() if isinstance(ms, float | int)}
    return spent if len(spent) == len(found) else None


def first_token_split(log: RequestLog) -> FirstTokenSplit | None:
    """Where the mean TTFT goes; None where no request finished."""
    count, queue, prefill, passing = 0, 0, 0, 0
    for chunk in log.chunks():
        rows = finished_rows(chunk)
        count += len(rows["request_id"])
        queue += exact_sum(rows["prefill_start_ps"] - rows["arrival_ps"])
        prefill += exact_sum(rows["prefill_end_ps"] - rows["prefill_start_ps"])
        passing += exact_sum(rows["first_token_ps"] - rows["prefill_end_ps"])
    if not count:
        return None
    return FirstTokenSplit(queue / count, prefill / count, passing / count)


def _token_parts(result: Result, spent: Mapping[str, float]) -> list[Part]:
    explanation = result.explanation
    reactive = explanation.machine.slots is None
    parts = [
        Part(TERMS[name].name, spent[name], TERM_LOOKS[name].colour)
        for name in _TERMS
        # A chip without a feed, and a machine without a draft, have no such time.
        if spent[name] or name not in (("weight_feed", "draft") if reactive else ("draft",))
    ]
    if reactive:
        words = _FAR_WORDS if explanation.fleet.disaggregation else _LOST_WORDS
        parts[-1] = Part(words, spent["slack"], TERM_LOOKS["slack"].colour)
    return [
        *(part for part in parts if not reactive or part.duration_ps or part.words != _LOST_WORDS),
        Part("time per\noutput token", sum(spent.values()), INK, is_whole=True),
        Part(
            "physical limit: every\nweight read once",
            explanation.limits.token_limit_ps,
            GREY,
            is_whole=True,
        ),
    ]


def _first_token_parts(result: Result, split: FirstTokenSplit) -> list[Part]:
    whole = Part("time to\nfirst token", split.total_ps, INK, is_whole=True)
    waits, rows, last = (PHASE_LOOKS[n].colour for n in ("admission", "prefill", "pass"))
    if result.explanation.machine.slots is not None:
        return [
            Part("queue: arrival to\nfirst prefill row", split.queue_ps, waits),
            Part("prefill: first to\nlast prompt row in", split.prefill_ps, rows),
            Part("last prompt row\nthrough the pipeline", split.pass_ps, last),
            whole,
        ]
    parts = [
        Part("queue: arrival to\nfirst iteration", split.queue_ps, waits),
        Part("prefill: its iterations,\nthe first token out", split.prefill_ps, rows),
        whole,
    ]
    sent_ms = result.summary["transfer_ms_mean"]
    if isinstance(sent_ms, float):
        words = "then: its cache to\na decode replica"
        parts.append(Part(words, sent_ms * PS_PER_MS, GREEN, is_after=True))
    return parts


def _draw_parts(axes: "Axes", parts: Sequence[Part]) -> None:
    """A staircase of bars, top to bottom: each part begins where the one above it ends."""
    total_ps = next(part.duration_ps for part in parts if part.is_whole)
    unit, unit_ps = ("s", PS_PER_S) if total_ps >= 10 * PS_PER_S else ("ms", PS_PER_MS)
    start_ps = 0.0
    for row, part in enumerate(parts):
        left_ps = 0.0 if part.is_whole else start_ps
        end_ps = left_ps + part.duration_ps
        axes.barh(row, part.duration_ps / unit_ps, 0.66, left_ps / unit_ps, color=part.colour)
        if not (part.is_whole or part.is_after):
            axes.plot([end_ps / unit_ps] * 2, [row - 0.33, row + 1.33], color=GREY, linewidth=0.8)
            start_ps = end_ps
        share = part.duration_ps / total_ps if total_ps else 0.0
        words = format_time(round(part.duration_ps)) if part.duration_ps else "0"
        if part.duration_ps and part.duration_ps != total_ps and not part.is_after:
            words += f"  ({percent_text(share)})"
        axes.annotate(
            words,
            (end_ps / unit_ps, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if part.is_whole else "normal",
        )
    whole_ps = [part.duration_ps for part in parts if part.is_whole]
    longest_ps = max(*whole_ps, total_ps + sum(p.duration_ps for p in parts if p.is_after))
    axes.set_xlim(0, longest_ps * (1 + _LABEL_ROOM) / unit_ps or 1)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.set_yticks(range(len(parts)), [part.words for part in parts])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlabel(f"time ({unit})")
    axes.grid(visible=False)  # every bar has its number
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _title(result: Result) -> str:
    spent = token_split(result)
    if spent is None:
        return f"{_why_no_split(result)[:-1]}: nothing to split"
    total_ps = sum(spent.values())
    largest = max(spent, key=lambda name: spent[name])
    ratio = total_ps / max(result.explanation.limits.token_limit_ps, 1)
    return (
        f"{percent_text(spent[largest] / total_ps)} of a token's "
        f"{number_text(total_ps / PS_PER_MS, 4)} ms is {TERMS[largest].name}; "
        f"the physical limit is {number_text(ratio)}× lower"
    )


def _why_no_split(result: Result) -> str:
    if result.summary["itl_ms_mean"] is None:
        return "No request had a second token."
    return "Programs for several contexts ran, and nobody counted each."


def _subtitle(result: Result) -> str:
    tier = result.explanation.plan.system.chip.tier_of("weights")
    replicas = result.explanation.fleet.replica_count
    whose = f" (mean of {replicas:,} replicas)" if replicas > 1 else ""
    return (
        f"{result.explanation.scenario.name}{whose}; the limit: every stage reads its weights once "
        f"at the full {tier.name.upper()} bandwidth, and nothing else takes time"
    )
