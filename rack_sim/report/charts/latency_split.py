"""Latency split charts: where the mean time of a token, and of a first token, goes."""

from collections.abc import Iterator, Mapping

from rack_sim.metrics.summary import Value
from rack_sim.metrics.words import PHASES, TERMS
from rack_sim.record.record import Record
from rack_sim.report.chart import Axis, Chart, Panels, empty_chart, things_axis
from rack_sim.report.charts.parts import PartBar, parts_chart
from rack_sim.report.colours import INK, LIMIT, PHASE_LOOKS, TERM_LOOKS, TRANSFER, Look
from rack_sim.report.numbers import milliseconds, number_of, number_text, percent_text

_MEAN_GAP = "itl_ms_mean"
_LOST, _FAR = "slack: cache lost and made again", "slack: the cache on its way"
_SLOT = "slack: waiting for the slot"


def split_charts(run: Record) -> Iterator[Panels]:
    """The time between two tokens by cause, and the time to the first token by phase."""
    row = run.summary
    says = (
        f"{run.name}: means over finished requests; the limit: every stage reads its weights once "
        "at full bandwidth, and nothing else takes time"
    )
    token, first = _token(run, row), _first_token(row)
    title, mean, limit = (
        token.title,
        number_of(row[_MEAN_GAP]),
        number_of(row["tok_latency_limit_ms"]),
    )
    if token.values_of and mean and limit:
        title += f"; the physical limit is {number_text(mean / limit)}× lower"
    yield Panels("latency_split", title, says, (token, first), columns=2)


def _token(run: Record, row: Mapping[str, Value]) -> Chart:
    spent = {name: ms for name in TERMS if (ms := number_of(row[f"tpot_{name}_ms"])) is not None}
    total = sum(spent.values())
    if not total:
        return empty_chart("split-tpot", "Time between two tokens", _why_no_split(row))
    slack = _slack_words(run, row)
    parts = [
        PartBar(slack if name == "slack" else TERMS[name].name, ms, TERM_LOOKS[name])
        for name, ms in spent.items()
        if ms
    ]
    parts.append(PartBar("time per output token", total, Look(INK), is_share=False))
    limit = number_of(row["tok_latency_limit_ms"])
    if limit:
        read = "physical limit: every weight read once"
        parts.append(PartBar(read, limit, LIMIT, is_share=False))
    largest = max(spent, key=lambda name: spent[name])
    title = (
        f"{percent_text(spent[largest] / total)} of a token's {number_text(total, 4)} ms is "
        f"{TERMS[largest].name}"
    )
    words = TERMS[largest]
    says = f"{words.title}: {words.phrase}, {milliseconds(spent[largest])}."
    return _bars("split-tpot", title, says, parts, total)


def _first_token(row: Mapping[str, Value]) -> Chart:
    spent = {
        name: ms for name in PHASES if (ms := number_of(row[f"ttft_{name}_ms_mean"])) is not None
    }
    total = sum(spent.values())
    if not total:
        return empty_chart("split-ttft", "Time to first token", "No request finished.")
    parts = [PartBar(PHASES[name].name, ms, PHASE_LOOKS[name]) for name, ms in spent.items() if ms]
    parts.append(PartBar("time to first token", total, Look(INK), is_share=False))
    sent = number_of(row["transfer_ms_mean"])
    if sent is not None:
        then = "then: its cache to a decode replica"
        parts.append(PartBar(then, sent, TRANSFER, is_share=False))
    largest = max(spent, key=lambda name: spent[name])
    title = (
        f"{percent_text(spent[largest] / total)} of the mean {number_text(total, 4)} ms to the "
        f"first token is {PHASES[largest].name}"
    )
    words = PHASES[largest]
    says = f"{words.title}: {words.phrase}, {milliseconds(spent[largest])}."
    return _bars("split-ttft", title, says, parts, total)


def _bars(name: str, title: str, says: str, parts: list[PartBar], total: float) -> Chart:
    chart = Chart(name, title, things_axis("", ()), Axis("mean time", "ms"), says=says)
    return parts_chart(chart, parts, total, milliseconds)


def _why_no_split(row: Mapping[str, Value]) -> str:
    if row[_MEAN_GAP] is None:
        return "No request had a second token."
    return "Programs for several contexts ran, and nobody counted each."


def _slack_words(run: Record, row: Mapping[str, Value]) -> str:
    """What slack is: where iterations, not slots, follow each other, a matter of the cache."""
    if "iterations.csv" not in run.tables:
        return _SLOT
    return _LOST if row["transfer_ms_mean"] is None else _FAR
