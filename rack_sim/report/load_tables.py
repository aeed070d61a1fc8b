"""Load tables: load.csv and knee.csv of a load study."""

from collections.abc import Callable, Iterator

from rack_sim.report.csv import cell_of, safe_text
from rack_sim.study.load import LoadPoint, LoadResult
from rack_sim.study.load_row import LoadRow

# What the study takes for granted, for whoever reads the numbers without the documentation.
LOAD_ASSUMED = (
    "every rate replays the same requests in the same order; only their arrivals are closer "
    "together",
    "a machine keeps up where its backlog grows, while the second half arrives, by no more than "
    "the root of their number, and where no more is offered than it has rows for",
    "requests longer than the compiled context or the cache are turned away at any rate: the knee "
    "counts the others",
    "a knee lies between two rates that were replayed; nothing is interpolated",
)


def load_table(result: LoadResult) -> Iterator[tuple[str, ...]]:
    """One row for each machine and rate."""
    for point in result.points:
        for row in point.rows:
            ratio = row.offered_rps / row.capacity_rps if row.capacity_rps else None
            has_slo = bool(row.attainment)
            yield (
                safe_text(point.name),
                str(row.chip_count),
                _cell(row.rate_rps),
                _cell(row.offered_rps),
                _cell(ratio),
                str(row.request_count),
                str(row.finished_count),
                str(row.rejected_count),
                _cell(row.rejected_share),
                _cell(row.arrival_span_s),
                _cell(row.request_throughput_rps),
                _cell(row.output_throughput_tok_s),
                _cell(row.request_goodput_rps),
                _cell(row.slo_attainment),
                *(_cell(row.attainment.get(name)) for name in ("all", "ttft", "tpot", "e2el")),
                *map(_cell, row.latencies_ms.values()),
                _cell(row.ttft_queue_share),
                str(row.backlog_mid),
                str(row.backlog_end),
                str(row.backlog_noise),
                _flag(row.keeps_up),
                _flag(row.meets(result.study.attainment)) if has_slo else "",
            )


def knee_table(result: LoadResult) -> Iterator[tuple[str, ...]]:
    """One row for each machine."""
    for point in result.points:
        slo = bool(point.slo.bounds_ps)
        met, kept = point.knee.met, point.saturation.met
        capacity_rps = point.capacity_rps
        yield (
            safe_text(point.name),
            str(point.chip_count),
            _cell(result.study.attainment) if slo else "",
            _offered(met) if slo else "",
            _offered(point.knee.failed) if slo else "",
            point.limited_by if slo else "",
            _offered(kept),
            _offered(point.saturation.failed),
            _cell(capacity_rps),
            _cell(met.offered_rps / capacity_rps if slo and met and capacity_rps else None),
            _cell(kept.offered_rps / capacity_rps if kept and capacity_rps else None),
            _highest(point, lambda row: row.request_goodput_rps),
            _highest(point, lambda row: row.request_throughput_rps),
            _highest(point, lambda row: row.output_throughput_tok_s),
            _flag(point.is_short),
        )


def _highest(point: LoadPoint, of: Callable[[LoadRow], float | None]) -> str:
    return _cell(max((value for row in point.rows if (value := of(row)) is not None), default=None))


def _offered(row: LoadRow | None) -> str:
    return _cell(row.offered_rps if row else None)


def _cell(value: float | None) -> str:
    return cell_of(None if value is None else round(value, 6))


def _flag(value: bool) -> str:
    return "true" if value else "false"
