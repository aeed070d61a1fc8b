"""Compare charts: speed for a user against what a chip, kilowatt or dollar yields; numbers."""

from collections.abc import Iterator, Sequence

from rack_sim.metrics.compare_columns import COMPARED, DENSITIES
from rack_sim.metrics.words import capital, wants
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import Axis, Chart, Panels, Series, in_order, things_axis
from rack_sim.report.colours import BETTER, FAINT_INK, NEUTRAL, WORSE, Look, look_of
from rack_sim.report.comparison import changes_of
from rack_sim.report.numbers import amount_text, count_text, number_of, number_text, percent_text
from rack_sim.study.difference import RunChange

_SPEED = "output_tok_s_per_user_p50"
_USD = "usd_per_million_output_tokens"
_PER_USD = "output_tokens_per_usd"
# What is held side by side: column, words, unit.
_COMPARED = (
    (_SPEED, "speed of the median user", "tokens/s"),
    ("ttft_ms_p50", "TTFT p50", "ms"),
    ("ttft_ms_p99", "TTFT p99", "ms"),
    ("output_throughput_tok_s", "output in all", "tokens/s"),
    ("chip_count", "chips that hold a model", "chips"),
    ("mean_kilowatts", "mean power", "kW"),
    ("joules_per_output_token", "energy of an output token", "J"),
    (_USD, "cost of a million output tokens", "USD"),
    ("slo_attainment", "requests within their SLO", "%"),
)
_NAMES_BESIDE_MAX = 12
_Point = tuple[float, float]
_FRONTIER = Look(FAINT_INK, "dash", "")


def compare_charts(record: Record) -> Iterator[Panels]:
    """Speed against density, every number side by side, and of two runs what changed."""
    ran = [row for row in record.rows("compare.csv") if row["status"] == "ran"]
    says = _says(record, ran)
    found = [chart for name in DENSITIES if (chart := _pareto(ran, name)) is not None]
    yield Panels("pareto", _finding(ran), says, tuple(found), columns=3)
    bars = [chart for one in _COMPARED if (chart := _bars(ran, *one)) is not None]
    yield Panels("compared", _cheapest(ran), says, tuple(bars), columns=3)
    changed = _changed(record)
    if changed is not None:
        names = " to ".join(str(row["name"]) for row in record.rows("compare.csv"))
        yield Panels("changed", f"What changes from {names}", says, (changed,), columns=1)


def _pareto(ran: Sequence[Row], density: str) -> Chart | None:
    """A point for each run, and the line below which one is beaten in both."""
    points = [
        (number, row, x, y)
        for number, row in enumerate(ran)
        if (x := number_of(row[_SPEED])) and (y := number_of(row[density]))
    ]
    if not points:
        return None
    words = DENSITIES[density]
    x_axis = _roomy("speed of the median user", "tokens/s", [x for _, _, x, _ in points])
    y_axis = _roomy(words, "", [y for _, _, _, y in points])
    best = sorted((x, y) for _, row, x, y in points if row[f"{density}_frontier"] == "yes")
    beside = len(points) <= _NAMES_BESIDE_MAX
    steps = _steps(best, x_axis.low, y_axis.low)
    frontier = "frontier: what lies below is beaten in both"
    across, up = (tuple(step[place] for step in steps) for place in (0, 1))
    series = [Series(frontier, across, up, _FRONTIER)]
    for number, row, x, y in points:
        name = str(row["name"])
        labels = (name,) if beside else ()
        look = look_of(number)
        series.append(Series(name, (x,), (y,), look, "points", labels=labels, mark_size=1.3))
    names = [str(row["name"]) for _, row, *_ in points if row[f"{density}_frontier"] == "yes"]
    return Chart(
        f"pareto-{density.replace('_', '-')}",
        f"{capital(words)} against speed",
        x_axis,
        y_axis,
        tuple(series),
        f"No other is better in both than: {', '.join(names)}.",
    )


def _steps(best: Sequence[_Point], left: float, bottom: float) -> list[_Point]:
    """The frontier: whatever lies below and left of it is beaten in both."""
    if not best:
        return []
    steps = [(left, best[0][1])]
    for number, (x, y) in enumerate(best):
        below = best[number + 1][1] if number + 1 < len(best) else bottom
        steps += [(x, y), (x, below)]
    return steps


def _roomy(name: str, unit: str, values: Sequence[float]) -> Axis:
    """A logarithmic axis with room for names beside the points."""
    ratio = max(max(values) / min(values), 1.5)
    room = 1.2 * ratio**0.3
    return Axis(name, unit, "log", min(values) / room, max(values) * room)


def _bars(ran: Sequence[Row], column: str, words: str, unit: str) -> Chart | None:
    """A number of every run, each run in its colour."""
    factor = 100.0 if unit == "%" else 1.0
    values = [number_of(row[column]) for row in ran]
    known = [(value, row) for value, row in zip(values, ran, strict=True) if value is not None]
    if not known:
        return None
    choose = min if wants(column) == "less" else max
    best, winner = choose(known, key=lambda pair: pair[0])
    least = "least" if wants(column) == "less" else "most"
    said = percent_text(best) if unit == "%" else f"{amount_text(best)} {unit}"
    one = Series(
        "",
        in_order(ran),
        tuple(None if value is None else factor * value for value in values),
        look_of(0),
        "bars",
        labels=tuple(_label(value, unit) for value in values),
        looks=tuple(map(look_of, range(len(ran)))),
    )
    title = f"{capital(words)}: {least} {winner['name']}, {said}" if len(known) > 1 else words
    return Chart(
        f"compared-{column.replace('_', '-')}",
        title,
        things_axis("", [str(row["name"]) for row in ran]),
        Axis(words, unit, high=1.4 * factor * max(value for value, _ in known) or 1.0),
        (one,),
        is_sideways=True,
    )


def _label(value: float | None, unit: str) -> str:
    if value is None:
        return "no SLO" if unit == "%" else "none"
    return percent_text(value) if unit == "%" else amount_text(value)


def _changed(record: Record) -> Chart | None:
    """By how much each compared number of two runs grew, and whether that is better."""
    by_key = {change.key: change for change in changes_of(record) if change.kind == "output"}
    grown: list[tuple[RunChange, float]] = [
        (by_key[key], share)
        for key in COMPARED
        if key in by_key and (share := by_key[key].share) is not None
    ]
    if not grown:
        return None
    reach = 1.4 * max([100 * abs(share) for _, share in grown] + [1.0])
    series = tuple(
        Series(
            name,
            in_order(grown),
            tuple(100 * s if _verdict(change.key, s) == name else None for change, s in grown),
            look,
            "bars",
            labels=tuple(
                f"{100 * s:+,.1f} %" if _verdict(change.key, s) == name else ""
                for change, s in grown
            ),
        )
        for name, look in (("better", BETTER), ("worse", WORSE), ("neither", NEUTRAL))
    )
    most, by = max(grown, key=lambda pair: abs(pair[1]))
    return Chart(
        "growth",
        f"What changes most: {COMPARED[most.key]}, {100 * by:+,.1f} %",
        things_axis("", [COMPARED[change.key] for change, _ in grown]),
        Axis("change", "%", low=-reach, high=reach),
        tuple(one for one in series if one.values),
        "Colours say whether a change is for the better: a fall in cost is.",
        is_stacked=True,
        is_sideways=True,
    )


def _verdict(key: str, share: float) -> str:
    wanted = wants(key)
    if not wanted or not share:
        return "neither"
    return "better" if (share > 0) == (wanted == "more") else "worse"


def _best(ran: Sequence[Row], column: str, *, least: bool = False) -> Row | None:
    found = [row for row in ran if number_of(row[column]) is not None]
    choose = min if least else max
    return choose(found, key=lambda row: number_of(row[column]) or 0.0, default=None)


def _finding(ran: Sequence[Row]) -> str:
    fastest, thriftiest = _best(ran, _SPEED), _best(ran, _PER_USD)
    if fastest is None or thriftiest is None:
        return "No user got a second token: there is no speed to compare"
    speed = number_text(number_of(fastest[_SPEED]) or 0.0)
    name = fastest["name"]
    if fastest is thriftiest:
        return f"{name} is fastest for a user ({speed} tokens/s) and yields most per dollar"
    rate = number_text((number_of(thriftiest[_PER_USD]) or 0.0) / 1000)
    return (
        f"{name} is fastest for a user ({speed} tokens/s), {thriftiest['name']} yields most per "
        f"dollar ({rate} thousand output tokens)"
    )


def _cheapest(ran: Sequence[Row]) -> str:
    cheap = _best(ran, _USD, least=True)
    if cheap is None:
        return "Nothing was served"
    usd = number_text(number_of(cheap[_USD]) or 0.0)
    return f"{cheap['name']} is cheapest: {usd} USD per million output tokens"


def _says(record: Record, ran: Sequence[Row]) -> str:
    text = count_text(len(ran), "run")
    left_out = [str(row["name"]) for row in record.rows("compare.csv") if row["status"] != "ran"]
    unlike = record.facts["not_alike"]
    if unlike:
        text += f"; not alike in all: {', '.join(unlike)}"
    if left_out:
        text += f"; cannot run: {', '.join(left_out)}"
    return text
