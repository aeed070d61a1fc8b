"""Latency split: where the time of a token, and of a request's first token, goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rack_sim.foundation.units import PS_PER_MS, format_time, ps_to_ms
from rack_sim.metrics.latency import finished_rows
from rack_sim.metrics.log import RequestLog
from rack_sim.metrics.quantiles import exact_sum
from rack_sim.pipeline import Result
from rack_sim.report.figures.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    new_sheet,
    number_text,
    percent_text,
    say_instead,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# term -> words of its bar, words inside a sentence, colour
_TERMS = {
    "fixed_latency": ("fixed latency of\ndependent operators", "fixed latency", VERMILION),
    "compute": ("compute", "compute", BLUE),
    "weight_feed": ("weight feed", "weight feed", SKY),
    "memory": ("memory bandwidth", "memory bandwidth", GREEN),
    "link_latency": ("link latency", "link latency", ORANGE),
    "link_serialisation": ("link serialisation", "link serialisation", YELLOW),
    "slack": ("slack: waiting\nfor the slot", "slack", PURPLE),
}
# Room right of the longest bar for its words, as a share of that bar.
_LABEL_ROOM = 0.56


@dataclass(frozen=True)
class Part:
    """One bar: it starts where the bars before it end, or at zero when it is a whole."""

    words: str
    duration_ps: float
    colour: str
    is_whole: bool = False
    note: str = ""


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
    split = first_token_split(result.collector.requests)
    figure = new_sheet(_title(result), _subtitle(result), width_inches=10, height_inches=4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    left.set_title("From one output token to the next")
    _draw_parts(left, _token_parts(result))
    right.set_title("From arrival to the first token, mean")
    if split is None:
        say_instead(right, "No request finished.")
    else:
        _draw_parts(right, _first_token_parts(split))
    return figure


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


def _token_parts(result: Result) -> list[Part]:
    step, limits = result.explanation.step, result.explanation.limits
    parts = [
        Part(words, step.terms.by_name()[name], colour)
        for name, (words, _, colour) in _TERMS.items()
    ]
    return [
        *parts,
        Part("time per\noutput token", step.revolution_ps, INK, is_whole=True),
        Part(
            "physical limit: every\nweight read once",
            limits.token_limit_ps,
            GREY,
            is_whole=True,
        ),
    ]


def _first_token_parts(split: FirstTokenSplit) -> list[Part]:
    return [
        Part("queue: arrival to\nfirst prefill row", split.queue_ps, ORANGE),
        Part("prefill: first to\nlast prompt row in", split.prefill_ps, BLUE),
        Part("last prompt row\nthrough the pipeline", split.pass_ps, GREEN),
        Part("time to\nfirst token", split.total_ps, INK, is_whole=True),
    ]


def _draw_parts(axes: "Axes", parts: Sequence[Part]) -> None:
    """A staircase of bars, top to bottom: each part begins where the one above it ends."""
    total_ps = next(part.duration_ps for part in parts if part.is_whole)
    start_ps = 0.0
    for row, part in enumerate(parts):
        left_ps = 0.0 if part.is_whole else start_ps
        end_ps = left_ps + part.duration_ps
        axes.barh(row, (part.duration_ps / PS_PER_MS), 0.66, left_ps / PS_PER_MS, color=part.colour)
        if not part.is_whole:
            axes.plot([end_ps / PS_PER_MS] * 2, [row - 0.33, row + 1.33], color=GREY, linewidth=0.8)
            start_ps = end_ps
        share = part.duration_ps / total_ps if total_ps else 0.0
        words = format_time(round(part.duration_ps)) if part.duration_ps else "0"
        if part.duration_ps and part.duration_ps != total_ps:
            words += f"  ({percent_text(share)})"
        axes.annotate(
            words,
            (end_ps / PS_PER_MS, row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if part.is_whole else "normal",
        )
    longest_ps = max(total_ps, *(part.duration_ps for part in parts if part.is_whole))
    axes.set_xlim(0, longest_ps * (1 + _LABEL_ROOM) / PS_PER_MS or 1)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    axes.set_yticks(range(len(parts)), [part.words for part in parts])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_xlabel("time (ms)")
    axes.grid(visible=False)  # every bar has its number
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _title(result: Result) -> str:
    step, limits = result.explanation.step, result.explanation.limits
    terms = step.terms
    share = percent_text(terms.by_name()[terms.largest] / step.revolution_ps)
    ratio = step.revolution_ps / max(limits.token_limit_ps, 1)
    return (
        f"{share} of a token's {number_text(ps_to_ms(step.revolution_ps), 4)} ms is "
        f"{_TERMS[terms.largest][1]}; the physical limit is {number_text(ratio)}× lower"
    )


def _subtitle(result: Result) -> str:
    tier = result.explanation.plan.system.chip.fast_memory
    return (
        f"{result.explanation.scenario.name}; the limit: every stage reads its weights once at the "
        f"full {tier.name.upper()} bandwidth, and nothing else takes time"
    )
