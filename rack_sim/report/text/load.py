"""Load text: every rate of each machine, and the knees."""

from collections.abc import Iterator
from math import floor

from rack_sim.metrics.words import METRICS
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.numbers import number_text
from rack_sim.report.text import Line, TextTable, study_head

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


def load_text(study: Record) -> Iterator[Line]:
    """One table of every rate for each machine, and one of all knees."""
    knees = study.rows("knee.csv")
    for knee in knees:
        title = f"{knee['machine']}: requests per second, latencies in ms"
        yield TextTable(title, _RATES, [_rate_cells(row) for row in _rates_of(study, knee)])
    asked = next((knee["attainment_asked"] for knee in knees if knee["attainment_asked"]), None)
    what = "each machine keeps up with"
    if isinstance(asked, float):
        what = f"{100 * asked:g} % of the requests that fit meet the SLO at"
    yield TextTable(f"{study.name}: requests/s that {what}", _KNEES, list(map(_knee_cells, knees)))


def load_answers(study: Record) -> Iterator[str]:
    """Of each machine, the rate that meets the SLO and the one it keeps up with."""
    for knee in study.rows("knee.csv"):
        machine, asked = knee["machine"], knee["attainment_asked"]
        if isinstance(asked, float | int):
            yield (
                f"{machine}: {100 * asked:g} % of the requests that fit meet the SLO {_met(knee)}"
            )
        kept, lost = knee["kept_up_rps"], knee["not_kept_up_rps"]
        if kept is not None:
            behind = "" if lost is None else f", and falls behind at {number_text(lost, 4)}"
            full = number_text(knee["capacity_limit_rps"], 4)
            yield (
                f"{machine} keeps up with {number_text(kept, 4)} requests/s{behind}; every row in "
                f"use would be {full}"
            )


def _met(knee: Row) -> str:
    met, failed, by = knee["slo_met_rps"], knee["slo_failed_rps"], str(knee["slo_limited_by"])
    if met is None:
        return "at none of the rates that were replayed"
    words = f"up to {number_text(met, 4)} requests/s"
    if failed is None:
        return words
    limited = METRICS[by].short if by in METRICS else by
    return f"{words}, and no longer at {number_text(failed, 4)}; what fails there is {limited}"


def load_warnings(study: Record) -> Iterator[str]:
    """What a reader of the tables should know, one sentence each."""
    for knee in study.rows("knee.csv"):
        failed_rps = knee["not_kept_up_rps"]
        rates = _rates_of(study, knee)
        failed = next((row for row in rates if row["offered_rps"] == failed_rps), None)
        if failed and knee["is_short"]:
            count, span = (
                number_text(failed["request_count"]),
                number_text(failed["arrival_span_s"]),
            )
            yield (
                f"{knee['machine']}: {count} requests at {_rate(failed_rps)}/s arrive within "
                f"{span} s, too short a time for the backlog to become steady: how much it keeps "
                "up with is not certain (raise request_count)"
            )


def load_content(study: Record) -> dict[str, object]:
    """Every machine with its knee and its rates, under the names of the columns of the tables."""
    knees = study.rows("knee.csv")
    return {
        **study_head(study),
        "machines": [{**knee, "rates": _rates_of(study, knee)} for knee in knees],
    }


def _rates_of(study: Record, knee: Row) -> list[Row]:
    return [row for row in study.rows("load.csv") if row["machine"] == knee["machine"]]


def _rate_cells(row: Row) -> tuple[str, ...]:
    return (
        _rate(row["offered_rps"]),
        _rate(row["request_throughput_rps"]),
        _rate(row["request_goodput_rps"]),
        *(_ms(row[f"{name}_ms_p{part}"]) for name in ("ttft", "tpot") for part in (50, 99)),
        _share(row["ttft_queue_share"]),
        _share(row["fit_slo_attainment"]),
        "yes" if row["keeps_up"] else "no",
    )


def _knee_cells(knee: Row) -> tuple[str, ...]:
    has_slo = knee["attainment_asked"] is not None
    return (
        str(knee["machine"]),
        _offered(knee["slo_met_rps"]) if has_slo else "no SLO",
        _offered(knee["slo_failed_rps"]) if has_slo else "",
        str(knee["slo_limited_by"] or "") if has_slo else "",
        _offered(knee["kept_up_rps"]),
        _offered(knee["not_kept_up_rps"]),
        _rate(knee["capacity_limit_rps"]),
    )


def _offered(value: object) -> str:
    return _rate(value) or "none"


def _rate(value: object) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _ms(value: object) -> str:
    if not isinstance(value, int | float):
        return ""
    return f"{value:,.1f}" if value >= 10 else f"{value:.3f}"


def _share(value: object) -> str:
    """A share in percent, rounded down: what falls short of 99 % never reads as 99 %."""
    return f"{floor(value * 10_000) / 100:.2f} %" if isinstance(value, int | float) else ""
