"""Replicas charts: how busy each replica was, and how many requests it got, roles by colour."""

from collections.abc import Iterator, Sequence

from rack_sim.metrics.words import ROLES
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.chart import Axis, Chart, Panels, Series, in_order
from rack_sim.report.colours import ROLE_LOOKS
from rack_sim.report.numbers import count_text, percent_text

# Up to here every bar has its number; beyond, the axis has to do.
_NUMBERED_COUNT_MAX = 16
_TICK_COUNT_MAX = 16
_HEIGHT_INCHES = 2.4


def replicas_charts(run: Record) -> Iterator[Panels]:
    """A bar per replica: its busy share, the requests that came to it; nothing of a lone one."""
    rows = run.rows("replicas.csv")
    if len(rows) < 2:
        return
    shares = [_busy_share(row) for row in rows]
    requests = [float(requests_of(row)) for row in rows]
    percents = [percent_text(share) for share in shares]
    busy = Chart(
        "replicas-busy",
        f"Busy: {_span(shares)} of the time",
        _axis(rows),
        Axis("busy", "% of the time", high=112.0),
        _bars(rows, [100 * share for share in shares], percents),
        f"{len(rows):,} replicas: from {percent_text(min(shares))} to {percent_text(max(shares))} "
        "of the time busy.",
        is_stacked=True,  # bars of a role leave no room for those of another
    )
    low, high = min(requests), max(requests)
    came = Chart(
        "replicas-requests",
        f"Requests that came to it: {low:,.0f}" + (f" to {high:,.0f}" if low < high else ""),
        _axis(rows),
        Axis("requests", high=1.15 * high or 1.0),
        _bars(rows, requests, [f"{number:,.0f}" for number in requests]),
        f"{sum(requests):,.0f} in all, from the router or prefilled elsewhere.",
        is_stacked=True,
    )
    yield Panels("replicas", _title(rows, shares), _says(run), (busy, came), 1, _HEIGHT_INCHES)


def requests_of(row: Row) -> int:
    """Requests that came to a replica: from the router, or prefilled elsewhere."""
    return int(row["request_count"] or 0) + int(row["transfer_count"] or 0)


def _busy_share(row: Row) -> float:
    return float(row["utilisation"] or 0)


def _axis(rows: Sequence[Row]) -> Axis:
    marks = range(0, len(rows), -(-len(rows) // _TICK_COUNT_MAX))
    return Axis("replica", low=-0.6, high=len(rows) - 0.4, marks=tuple(map(float, marks)))


def _bars(rows: Sequence[Row], values: Sequence[float], words: Sequence[str]) -> tuple[Series, ...]:
    """A series for each role; of roles that are one, without a name."""
    roles = list(dict.fromkeys(str(row["role"]) for row in rows))
    places = in_order(rows)
    found = []
    for role in roles:
        mine = [str(row["role"]) == role for row in rows]
        found.append(
            Series(
                ROLES[role].name if len(roles) > 1 else "",
                places,
                tuple(v if is_mine else None for v, is_mine in zip(values, mine, strict=True)),
                ROLE_LOOKS[role],
                "bars",
                labels=tuple(
                    word if is_mine else "" for word, is_mine in zip(words, mine, strict=True)
                )
                if len(rows) <= _NUMBERED_COUNT_MAX
                else (),
            )
        )
    return tuple(found)


def _title(rows: Sequence[Row], shares: Sequence[float]) -> str:
    by_role: dict[str, list[float]] = {}
    for row, share in zip(rows, shares, strict=True):
        by_role.setdefault(str(row["role"]), []).append(share)
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


def _says(run: Record) -> str:
    row = run.summary
    chips = int(row["chip_count"] or 0) // int(row["replica_count"] or 1)
    router = (run.resolved.get("serving") or {}).get("router")
    said = f"; router: {router}" if router else ""
    return (
        f"{run.name}: each replica is {row['model']} on {count_text(chips, 'chip')} of "
        f"{row['system']}{said}"
    )
