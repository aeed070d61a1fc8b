"""Load view: what `rack-sim sweep` says of a load study, in the terminal and as JSON."""

from collections.abc import Iterator
from math import floor

from rich.table import Table

from rack_sim.cli.console import table
from rack_sim.study.load import LoadPoint, LoadResult
from rack_sim.study.load_row import LoadRow

_RATES = [
    ("offered/s", "right"),
    ("finished/s", "right"),
    ("goodput/s", "right"),
    ("TTFT p50", "right"),
    ("p99", "right"),
    ("TPOT p50", "right"),
    ("p99", "right"),
    ("queue", "right"),
    ("meet SLO", "right"),
    ("keeps up", "right"),
]
_KNEES = [
    ("machine", "left"),
    ("meets the SLO up to", "right"),
    ("not at", "right"),
    ("limited by", "left"),
    ("keeps up to", "right"),
    ("not at", "right"),
    ("capacity", "right"),
]


def load_views(result: LoadResult) -> Iterator[Table]:
    """One table of every rate for each machine, and one of all knees."""
    for point in result.points:
        title = f"{point.name}: requests per second, latencies in ms"
        yield table(title, _RATES, [_rate_cells(row) for row in point.rows])
    share = f"{100 * result.study.attainment:g} %"
    title = f"{result.study.name}: requests/s that {share} of the requests that fit meet the SLO at"
    yield table(title, _KNEES, [_knee_cells(point) for point in result.points])


def load_warnings(result: LoadResult) -> Iterator[str]:
    """What a reader of the tables should know, one sentence each."""
    for point in result.points:
        failed = point.saturation.failed
        if failed and point.is_short:
            yield (
                f"{point.name}: {failed.request_count:,} requests at {_offered(failed)}/s arrive "
                f"within {failed.arrival_span_s:.3g} s, too short a time for the backlog to become "
                "steady: how much it keeps up with is not certain (raise request_count)"
            )


def load_content(result: LoadResult) -> list[dict[str, object]]:
    """Every machine with its knee and its rates, under the names of the columns of the tables."""
    rates = result.tables["load.csv"].records
    return [
        {**knee, "rates": [rate for rate in rates if rate["machine"] == knee["machine"]]}
        for knee in result.tables["knee.csv"].records
    ]


def _rate_cells(row: LoadRow) -> tuple[str, ...]:
    latencies = row.latencies_ms
    met = row.attainment.get("all")
    return (
        _rate(row.offered_rps),
        _rate(row.request_throughput_rps),
        _rate(row.request_goodput_rps),
        *(_ms(latencies[f"{name}_ms_p{part}"]) for name in ("ttft", "tpot") for part in (50, 99)),
        _share(row.ttft_queue_share),
        _share(met),
        "yes" if row.keeps_up else "no",
    )


def _knee_cells(point: LoadPoint) -> tuple[str, ...]:
    has_slo = bool(point.slo.bounds_ps)
    return (
        point.name,
        _offered(point.knee.met) if has_slo else "no SLO",
        _offered(point.knee.failed) if has_slo else "",
        point.limited_by if has_slo else "",
        _offered(point.saturation.met),
        _offered(point.saturation.failed),
        _rate(point.capacity_rps),
    )


def _offered(row: LoadRow | None) -> str:
    return _rate(row.offered_rps) if row else "none"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}" if value >= 10 else f"{value:.3f}"


def _share(value: float | None) -> str:
    """A share in percent, rounded down: what falls short of 99 % never reads as 99 %."""
    return "" if value is None else f"{floor(value * 10_000) / 100:.2f} %"
