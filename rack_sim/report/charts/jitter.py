"""Jitter charts: what is left of the speed where operators take longer than compiled."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import Axis, Chart, Panels, Series, axis_of, things_axis
from rack_sim.report.colours import SHADES, Look, look_of
from rack_sim.report.numbers import amount_text, count_text, number_of, number_text, percent_text

# A loss that nobody would build another machine for, and one that everybody would.
_NOTICED_SHARE = 0.95
# Closer than this, lines lie on one another, and a sentence says so.
_ALIKE_SHARE = 0.05
_Machines = Mapping[str, Sequence[Row]]


def jitter_charts(record: Record) -> Iterator[Panels]:
    """Speed kept, tail of a token's time and slip along the line, against the extra time."""
    rows = record.tables["jitter.csv"].records
    machines = {str(name): list(found) for name, found in groupby(rows, lambda row: row["machine"])}
    if not machines:
        return
    slip = record.tables["slip.csv"].records
    drawn = (_speed(machines), _gap(machines), _slip(machines, slip))
    yield Panels("jitter", _title(machines), _says(record, machines), drawn, columns=3)


def _number(row: Row, column: str) -> float:
    return number_of(row[column]) or 0.0


def _jitter_axis(machines: _Machines) -> tuple[Axis, dict[float, int]]:
    """Extra times at even distances, whatever they are: zero has no place on a log axis."""
    found = sorted(
        {_number(row, "operator_jitter_ns") for rows in machines.values() for row in rows}
    )
    axis = things_axis("mean extra time of every operator", map(_jitter_words, found))
    return axis, {jitter: place for place, jitter in enumerate(found)}


def _line(
    machines: _Machines, column: str, names: Mapping[str, str], factor: float = 1.0
) -> tuple[Series, ...]:
    """A line for each machine; marks shrink, so that of lines that lie alike none hides another."""
    _, places = _jitter_axis(machines)
    return tuple(
        Series(
            names[name],
            tuple(float(places[_number(row, "operator_jitter_ns")]) for row in rows),
            tuple(factor * _number(row, column) for row in rows),
            look_of(number),
            mark_size=max(1.7 - 0.3 * number, 0.6),
        )
        for number, (name, rows) in enumerate(machines.items())
    )


def _speed(machines: _Machines) -> Chart:
    names = {
        name: f"{name}: {number_text(_number(rows[0], 'tok_s_per_user'))} → "
        f"{number_text(_number(rows[-1], 'tok_s_per_user'))} tokens/s per user"
        for name, rows in machines.items()
    }
    shares = [[_number(row, "kept_share") for row in rows] for rows in machines.values()]
    apart = max(max(found) - min(found) for found in zip(*shares, strict=False))
    alike = len(machines) > 1 and apart < _ALIKE_SHARE
    note = f"Machines of every size lose alike, within {number_text(100 * apart, 2)} points."
    kept = [share for found in shares for share in found]
    return Chart(
        "jitter-speed",
        f"{percent_text(min(kept))} of the speed is kept at worst",
        _jitter_axis(machines)[0],
        Axis("speed of a user", "% of the compiled", low=0.0, high=105.0),
        _line(machines, "kept_share", names, 100.0),
        f"Tokens per second of a user, from {percent_text(max(kept))} of the compiled speed down "
        f"to {percent_text(min(kept))}.",
        notes=(note,) if alike else (),
    )


def _gap(machines: _Machines) -> Chart:
    names = {
        name: f"{name}: {number_text(_number(rows[0], 'compiled_token_gap_ms'))} ms compiled → "
        f"{number_text(_number(rows[-1], 'token_gap_ms_p99'))} ms"
        for name, rows in machines.items()
    }
    lines = _line(machines, "token_gap_ms_p99", names)
    values = [value for one in lines for value in one.values]
    last = list(machines.values())[-1][-1]
    grown = _number(last, "token_gap_ms_p99") / (_number(last, "compiled_token_gap_ms") or 1)
    return Chart(
        "jitter-gap",
        f"p99 of the time between two tokens: up to {grown:,.2f} times the compiled",
        _jitter_axis(machines)[0],
        axis_of("time between two tokens, p99", "ms", values),
        lines,
        f"From {amount_text(min(values))} to {amount_text(max(values))} ms.",
    )


def _slip(machines: _Machines, slip: Sequence[Row]) -> Chart:
    """How much later than compiled each stage of the largest machine begins."""
    name = list(machines)[-1]
    found = [row for row in slip if row["machine"] == name]
    jitters = sorted({_number(row, "operator_jitter_ns") for row in found})
    every = max(1, -(-len(jitters) // len(SHADES)))
    shown = jitters[::-1][::every][::-1]
    stages = [int(_number(row, "stage")) for row in found]
    lines = []
    for shade, jitter in zip(SHADES[-len(shown) :], shown, strict=True):
        rows = [row for row in found if _number(row, "operator_jitter_ns") == jitter]
        x = tuple(_number(row, "stage") for row in rows)
        y = tuple(_number(row, "slip_ms_mean") for row in rows)
        look = Look(shade, marker="circle" if len(rows) == 1 else "")
        lines.append(Series(_jitter_words(jitter), x, y, look))
    values = [value for one in lines for value in one.values]
    last = max(stages, default=0)
    return Chart(
        "jitter-slip",
        f"{name}: stages begin up to {amount_text(max(values, default=0))} ms later than compiled",
        Axis("stage, first to last", low=0.0, high=max(last, 1) * 1.02),
        axis_of("later than compiled", "ms", values, scale="linear"),
        tuple(lines),
        "Mean of all steps, from when a step began. Each line is one extra time.",
    )


def _jitter_words(jitter_ns: float) -> str:
    if not jitter_ns:
        return "none"
    if jitter_ns >= 1000:
        return f"{jitter_ns / 1000:.4g} µs"
    return f"{jitter_ns:.4g} ns" if jitter_ns >= 1 else f"{jitter_ns * 1000:.4g} ps"


def _title(machines: _Machines) -> str:
    """The largest jitter's cost, after that of the first which anybody would notice."""
    name, rows = list(machines.items())[-1]
    kept = {_number(row, "operator_jitter_ns"): _number(row, "kept_share") for row in rows}
    jitters = [jitter for jitter in kept if jitter]
    if not jitters:
        return f"{name} without jitter: every step takes the compiled time"
    noticed = next((ns for ns in jitters if kept[ns] < _NOTICED_SHARE), jitters[-1])
    text = (
        f"If an operator took {_jitter_words(noticed)} longer on average, {name} would lose "
        f"{percent_text(1 - kept[noticed])} of their tokens"
    )
    if noticed != jitters[-1]:
        last = jitters[-1]
        text += f"; with {_jitter_words(last)}, {percent_text(1 - kept[last])}"
    return text


def _says(record: Record, machines: _Machines) -> str:
    name, rows = list(machines.items())[-1]
    count = count_text(int(_number(rows[0], "path_operator_count")), "operator")
    return (
        f"{record.name}: extra times are random (exponential, mean as shown), whatever waits for "
        f"an operator begins later. Compiled starts leave nothing to wait for: a token passes "
        f"{count} of {name} in {amount_text(_number(rows[0], 'compiled_step_latency_ms'))} ms"
    )
