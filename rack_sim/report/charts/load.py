"""Load charts: latency against load, and what of the offered load is served."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from rack_sim.foundation.units import PS_PER_MS
from rack_sim.metrics.words import METRICS
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import LOG_RATIO, Axis, Chart, Limit, Panels, Series, axis_of
from rack_sim.report.colours import (
    CAPACITY,
    FINISHED,
    GOODPUT,
    KNEE,
    OFFERED,
    PERCENTILE_LOOKS,
    Look,
    look_of,
)
from rack_sim.report.numbers import amount_text, number_of, number_text, percent_text

_METRICS = ("ttft", "tpot", "e2el")
_SATURATION = "saturation"
# Far beyond saturation a latency says how long the run was, and nothing of the machine.
_BEYOND_SATURATION = 1.3
_OFFERED = ("offered load", "requests/s")


@dataclass(frozen=True)
class _Machine:
    """One machine: its rates, its knee, its objectives in ms."""

    name: str
    rows: tuple[Row, ...]
    knee: Row
    look: Look
    bounds_ms: dict[str, float]

    def number(self, column: str) -> float | None:
        """A number of its knee."""
        return number_of(self.knee[column])

    @property
    def lost_rps(self) -> float:
        """The highest rate that is drawn: a little beyond that which it does not keep up with."""
        failed = self.number("not_kept_up_rps")
        return _BEYOND_SATURATION * failed if failed else inf

    @property
    def last_rps(self) -> float:
        """The highest rate at which a latency says something of the machine."""
        capacity = self.number("capacity_limit_rps")
        return min(self.lost_rps, _BEYOND_SATURATION * capacity if capacity else inf)

    def pairs(self, column: str, last: float = inf) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Offered rates up to the `last`, and what a column has there."""
        found = [
            (offered, float(value))
            for row in self.rows
            if (offered := float(row["offered_rps"] or 0)) <= last
            and isinstance(value := row[column], int | float)
        ]
        return tuple(x for x, _ in found), tuple(y for _, y in found)


def load_charts(record: Record) -> Iterator[Panels]:
    """Latency against load, and what of the offered load is served, with the knee."""
    machines = _machines(record)
    if not any(machine.rows for machine in machines):
        return
    says = _says(record)
    latencies = [chart for metric in _METRICS if (chart := _latency(machines, metric)) is not None]
    yield Panels("load_latency", _title(machines), says, tuple(latencies), columns=3)
    yield Panels("load_goodput", _served_title(machines), says, (_served(machines),), columns=1)


def _machines(record: Record) -> list[_Machine]:
    bounds_ms = _bounds_ms(record)
    found = []
    for number, knee in enumerate(record.tables["knee.csv"].records):
        rows = [r for r in record.tables["load.csv"].records if r["machine"] == knee["machine"]]
        name = str(knee["machine"])
        machine = _Machine(name, tuple(rows), knee, look_of(number), bounds_ms.get(name, {}))
        found.append(machine)
    return found


def _bounds_ms(record: Record) -> dict[str, dict[str, float]]:
    """Objectives of each machine by metric, as the study's question has them."""
    points = record.resolved.get("points")
    found: dict[str, dict[str, float]] = {}
    for point in points if isinstance(points, list) else ():
        slo = _keys(_keys(_keys(point).get("scenario")).get("slo"))
        found[str(_keys(point).get("name"))] = {
            metric: bound / PS_PER_MS
            for metric in _METRICS
            if isinstance(bound := slo.get(f"{metric}_ps"), int | float)
        }
    return found


def _keys(found: object) -> dict[str, Any]:
    """Keys of a mapping; none of what somebody has made something else of."""
    return found if isinstance(found, dict) else {}


def _latency(machines: Sequence[_Machine], metric: str) -> Chart | None:
    """p50 and p99 of one latency; nothing where no request has it."""
    lone = len(machines) == 1
    series = []
    for machine in machines:
        for percent in (99, 50):
            look = PERCENTILE_LOOKS[percent]
            x, y = machine.pairs(f"{metric}_ms_p{percent}", machine.last_rps)
            if not y:
                continue
            name = f"p{percent}" if lone else f"{machine.name}, p{percent}"
            if not lone:
                look = Look(machine.look.colour, look.dash, machine.look.marker)
            # Where both percentiles are one value, the larger mark shows around the smaller.
            series.append(Series(name, x, y, look, mark_size=1.2 if percent == 99 else 0.7))
    if not series:
        return None
    values = [value for one in series for value in one.values]
    bounds = sorted({m.bounds_ms[metric] for m in machines if metric in m.bounds_ms})
    words = METRICS[metric]
    return Chart(
        f"load-{metric}",
        _latency_title(machines, metric),
        _offered_axis(machines),
        axis_of(words.short, "ms", values, bounds=bounds),
        tuple(series),
        _latency_words(machines, metric, values),
        (*(Limit(bound, f"SLO {amount_text(bound)} ms") for bound in bounds), *_knees(machines)),
    )


def _latency_title(machines: Sequence[_Machine], metric: str) -> str:
    """What a lone machine does; of several, what is held against each other."""
    rates, values = machines[0].pairs(f"{metric}_ms_p99", machines[0].last_rps)
    words, bound = METRICS[metric], machines[0].bounds_ms.get(metric)
    if len(machines) > 1 or not values:
        return words.title
    if min(values) == max(values):
        return f"{words.short} is always {amount_text(values[0])} ms"
    within = [at for at, value in zip(rates, values, strict=True) if bound and value <= bound]
    if bound and max(values) > bound:
        until = f"up to {number_text(max(within))}/s" if within else "at no rate"
        return f"p99 of {words.short} is within {amount_text(bound)} ms {until}"
    return f"p99 of {words.short} is {amount_text(values[0])} to {amount_text(max(values))} ms"


def _latency_words(machines: Sequence[_Machine], metric: str, values: Sequence[float]) -> str:
    short = METRICS[metric].short
    if min(values) == max(values):
        return "The same at every rate, for every request."
    said = f"{short} lies between {amount_text(min(values))} and {amount_text(max(values))} ms."
    kept = [m for m in machines if m.number("kept_up_rps") is not None]
    if len(machines) == 1 and kept:
        said += f" The machine keeps up with {number_text(kept[0].number('kept_up_rps') or 0)}/s."
    return said


def _served(machines: Sequence[_Machine]) -> Chart:
    """Requests finished, and those that met every objective, against what was offered."""
    lone = len(machines) == 1
    x = _offered_axis(machines, scale="linear")
    series = []
    for machine in machines:
        for column, words, look in (
            ("request_throughput_rps", "finished", FINISHED),
            ("request_goodput_rps", "goodput: finished, within every objective", GOODPUT),
        ):
            if column == "request_goodput_rps" and not machine.bounds_ms:
                continue
            at, values = machine.pairs(column, machine.lost_rps)
            short = words.partition(":")[0]
            name = words if lone else f"{machine.name}, {short}"
            if not lone:
                look = Look(machine.look.colour, look.dash, machine.look.marker)  # noqa: PLW2901
            series.append(Series(name, at, values, look))
    low, high = (0.0, x.high) if x.scale == "linear" else (x.low, x.high)
    series.append(Series("all that was offered", (low, high), (low, high), OFFERED))
    rejected = max((float(m.rows[0]["rejected_share"] or 0) for m in machines if m.rows), default=0)
    if lone and rejected:
        kept = 1 - rejected
        fits = f"all that fits the machine ({percent_text(kept)})"
        dotted = OFFERED._replace(dash="dash")
        series.append(Series(fits, (low, high), (low * kept, high * kept), dotted))
    limits = list(_knees(machines))
    capacity = machines[0].number("capacity_limit_rps") if lone else None
    if capacity:
        full = capacity * (1 - rejected)
        words = f"every row carries a token: {number_text(full)}/s"
        limits.append(Limit(full, words, CAPACITY))
    drawn = [value for one in series if one.look.marker for value in one.values]
    y = axis_of("requests served", "requests/s", drawn, scale=x.scale, bounds=[capacity or 0])
    return Chart(
        "load-served",
        _most_served(machines) if lone else "Requests served, over the steady window",
        x,
        y,
        tuple(series),
        "Counted over the steady window.",
        tuple(limits),
    )


def _most_served(machines: Sequence[_Machine]) -> str:
    finished = max(machines[0].pairs("request_throughput_rps")[1], default=0.0)
    said = f"At most {number_text(finished)} requests/s are finished"
    if machines[0].bounds_ms:
        good = max(machines[0].pairs("request_goodput_rps")[1], default=0.0)
        said += f", {number_text(good)} within every objective"
    return said


def _knees(machines: Sequence[_Machine]) -> Iterator[Limit]:
    """The knee of each machine; of a lone one, also from where on it does not keep up."""
    lone = len(machines) == 1
    for machine in machines:
        met = machine.number("slo_met_rps")
        if met is not None:
            words = f"knee: {number_text(met)}/s" if lone else ""
            look = KNEE if lone else machine.look._replace(marker="", dash="solid")
            yield Limit(met, words, look, axis="x")
    lost = machines[0].number("not_kept_up_rps") if lone else None
    if lost is not None:
        end = max(_offered_axis(machines).high, lost)
        yield Limit(lost, "does not keep up", KNEE, axis="x", end=end)


def _offered_axis(machines: Sequence[_Machine], scale: str = "") -> Axis:
    rates = [
        rate
        for machine in machines
        for row in machine.rows
        if (rate := float(row["offered_rps"] or 0))
        <= (machine.lost_rps if scale else machine.last_rps)
    ]
    # Far-off rates are seen on powers of ten alone, whatever is asked.
    if scale == "linear" and rates and max(rates) <= 5 * LOG_RATIO * min(rates):
        return axis_of(*_OFFERED, rates, scale="linear")
    return axis_of(*_OFFERED, rates)


def _best(machines: Sequence[_Machine]) -> _Machine:
    return max(machines, key=lambda machine: machine.number("slo_met_rps") or 0)


def _title(machines: Sequence[_Machine]) -> str:
    """Where the knee of the machine with the highest one lies, and why."""
    best = _best(machines)
    count = len(machines)
    name = best.name if count == 1 else f"{best.name}, the best of {count} machines,"
    met, failed = best.number("slo_met_rps"), best.number("slo_failed_rps")
    if met is None:
        return f"{name} meets its objectives at no rate that was tried"
    rate = f"{number_text(met)} requests/s"
    if failed is None:
        return f"{name} is not saturated by {rate}, the highest rate that was tried"
    if not best.bounds_ms:
        return f"{name} keeps up with {rate}; at {number_text(failed)}/s its queue grows"
    limited_by = str(best.knee["slo_limited_by"])
    reason = (
        "its queue grows"
        if limited_by == _SATURATION
        else f"too many miss the objective on {limited_by.upper()}"
    )
    share = f"{100 * (best.number('attainment_asked') or 0):g} %"
    held = f"{name} meets its SLO for {share} of the requests up to {rate}"
    return f"{held}; at {number_text(failed)}/s {reason}"


def _served_title(machines: Sequence[_Machine]) -> str:
    best = _best(machines)
    kept, capacity = best.number("kept_up_rps"), best.number("capacity_limit_rps")
    met = best.number("slo_met_rps")
    if kept is None:
        return f"{best.name} keeps up with no rate that was tried"
    text = f"{best.name} keeps up with {number_text(kept)} requests/s"
    if best.number("not_kept_up_rps") is None:
        return f"{text}, the highest rate that was tried"
    if capacity:
        text += f", {percent_text(kept / capacity)} of what its rows could carry"
    if best.bounds_ms and met and met != kept:
        text += f", and {percent_text(met / kept)} of that within its SLO"
    return text


def _says(record: Record) -> str:
    rows = record.tables["load.csv"].records
    counts = sorted({int(row["request_count"] or 0) for row in rows})
    count = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    text = (
        f"{record.name}: the same {count} requests at every rate, closer and closer together; the "
        "knee is the highest rate that keeps up and meets the SLO"
    )
    rejected = max(float(row["rejected_share"] or 0) for row in rows)
    if rejected:
        text += (
            f". {percent_text(rejected)} of the requests are too long for the machine at any rate, "
            "and do not count for it"
        )
    return text
