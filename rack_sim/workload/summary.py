"""Trace summary: what a stream of requests looks like, in one pass.

In memory: every length that occurs, every session, and every name of a block.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.prefix_reuse import PrefixReuse
from rack_sim.workload.request import Request, Workload

_PERCENTS = (50, 90, 95, 99)
_PRIORITIES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class LengthSummary:
    """Lengths in tokens: exact, percentiles with linear interpolation."""

    total: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    min: int
    max: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What a stream of requests looks like.

    `duration_s` is from the first to the last arrival; `mean_rate_rps` is requests over duration.
    The peaks are the fullest bin of 1 s and of 60 s, in requests per second, bins counted from the
    first arrival; a last bin that is not full counts as a whole one, and a stream shorter than a
    bin has no such peak. A gap lies between one arrival and the next; `gap_cv` is the standard
    deviation of gaps over their mean. Values that need a duration, or two requests, are None
    without.

    `session_count` counts different sessions, None where no request has one. The share of prompt
    tokens in prefixes seen before, and the size of a block, are those of `PrefixReuse`, None where
    no request has block hashes. `priority_share` is empty where no request has a priority but 0.
    """

    request_count: int
    duration_s: float
    mean_rate_rps: float | None
    peak_1s_rate_rps: float | None
    peak_60s_rate_rps: float | None
    gap_mean_s: float | None
    gap_cv: float | None
    zero_gap_share: float | None
    longest_gap_s: float | None
    input_tokens: LengthSummary
    output_tokens: LengthSummary
    total_tokens: LengthSummary
    session_count: int | None = None
    block_tokens: int | None = None
    prefix_reuse_share: float | None = None
    priority_share: dict[int, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, int | float | None]:
        """Every value under one flat name, for example ``input_tokens_p99``."""
        flat: dict[str, int | float | None] = {}
        for name, value in asdict(self).items():
            if isinstance(value, dict):
                flat |= {f"{name}_{statistic}": part for statistic, part in value.items()}
            else:
                flat[name] = value
        return flat

    def rows(self) -> list[tuple[str, str, str]]:
        """Quantity, value and unit, for a table on a terminal."""
        rows = [
            ("requests", f"{self.request_count:,}", ""),
            ("duration", _text(self.duration_s, 1), "s"),
            ("mean rate", _text(self.mean_rate_rps, 2), "req/s"),
            ("peak rate, 1 s", _text(self.peak_1s_rate_rps, 2), "req/s"),
            ("peak rate, 60 s", _text(self.peak_60s_rate_rps, 2), "req/s"),
            ("gap mean", _text(self.gap_mean_s, 4), "s"),
            ("gap coefficient of variation", _text(self.gap_cv, 2), ""),
            ("gaps of zero", _text(_times_100(self.zero_gap_share), 1), "%"),
            ("longest silence", _text(self.longest_gap_s, 1), "s"),
        ]
        for name, lengths in (("input", self.input_tokens), ("output", self.output_tokens)):
            rows.append((f"{name} total", f"{lengths.total:,}", "tokens"))
            rows.append((f"{name} mean", _text(lengths.mean, 1), "tokens"))
            for percent in _PERCENTS:
                value = getattr(lengths, f"p{percent}")
                rows.append((f"{name} p{percent}", _text(value, 1), "tokens"))
            rows.append((f"{name} min", f"{lengths.min:,}", "tokens"))
            rows.append((f"{name} max", f"{lengths.max:,}", "tokens"))
        rows.append(("input + output p99", _text(self.total_tokens.p99, 1), "tokens"))
        rows.append(("input + output max", f"{self.total_tokens.max:,}", "tokens"))
        return [*rows, *self._label_rows()]

    def _label_rows(self) -> Iterator[tuple[str, str, str]]:
        """Sessions, prefixes and priorities, where there are any."""
        if self.session_count is not None:
            yield ("sessions", f"{self.session_count:,}", "")
        if self.block_tokens is not None:
            yield ("tokens of a hashed block", f"{self.block_tokens:,}", "tokens")
            share = _times_100(self.prefix_reuse_share)
            yield ("input in prefixes seen before", _text(share, 1), "%")
        shown = sorted(self.priority_share.items(), reverse=True)
        if len(shown) > _PRIORITIES_SHOWN:
            yield ("priorities", f"{len(shown):,}, {shown[-1][0]} to {shown[0][0]}", "")
            return
        for priority, part in shown:
            yield (f"priority {priority}", _text(100 * part, 1), "%")


def summarise(requests: Workload | Iterable[Request]) -> TraceSummary:
    """Summarise the arrivals of a workload, or requests in order of arrival.

    Raises `InputError` where there is no request, where they are out of order, and for a closed
    loop, whose arrivals depend on the system.
    """
    if isinstance(requests, ClosedLoopWorkload):
        raise InputError("a closed loop has no arrival times before it is simulated")
    stream = requests if isinstance(requests, Iterable) else requests.open().arrivals()
    inputs: Counter[int] = Counter()
    outputs: Counter[int] = Counter()
    totals: Counter[int] = Counter()
    priorities: Counter[int] = Counter()
    sessions: set[int] = set()
    reuse = PrefixReuse()
    second, minute = _PeakBin(PS_PER_S), _PeakBin(60 * PS_PER_S)
    # Integers of any size: no rounding, however long the trace.
    gap_square_sum = zero_gaps = longest_gap_ps = 0
    first_ps = last_ps = -1
    for request in stream:
        arrival_ps = request.arrival_ps
        if first_ps < 0:
            first_ps = last_ps = arrival_ps
        else:
            gap_ps = arrival_ps - last_ps
            if gap_ps <= 0:
                if gap_ps < 0:
                    raise InputError(f"request {request.request_id} arrives before the last one")
                zero_gaps += 1
            gap_square_sum += gap_ps * gap_ps
            longest_gap_ps = max(longest_gap_ps, gap_ps)
            last_ps = arrival_ps
        second.add(arrival_ps - first_ps)
        minute.add(arrival_ps - first_ps)
        inputs[request.input_tokens] += 1
        outputs[request.output_tokens] += 1
        totals[request.input_tokens + request.output_tokens] += 1
        priorities[request.priority] += 1
        sessions.add(request.session)
        reuse.add(request)
    count = inputs.total()
    if not count:
        raise InputError("there is no request to summarise")
    sessions.discard(-1)
    gaps, duration_ps = count - 1, last_ps - first_ps
    spread = gaps * gap_square_sum - duration_ps * duration_ps
    return TraceSummary(
        request_count=count,
        duration_s=duration_ps / PS_PER_S,
        mean_rate_rps=count * PS_PER_S / duration_ps if duration_ps else None,
        peak_1s_rate_rps=float(second.peak()) if duration_ps >= PS_PER_S else None,
        peak_60s_rate_rps=minute.peak() / 60 if duration_ps >= 60 * PS_PER_S else None,
        gap_mean_s=duration_ps / gaps / PS_PER_S if gaps else None,
        gap_cv=math.sqrt(spread) / duration_ps if duration_ps else None,
        zero_gap_share=zero_gaps / gaps if gaps else None,
        longest_gap_s=longest_gap_ps / PS_PER_S if gaps else None,
        input_tokens=_length_summary(inputs),
        output_tokens=_length_summary(outputs),
        total_tokens=_length_summary(totals),
        session_count=len(sessions) or None,
        block_tokens=reuse.block_tokens,
        prefix_reuse_share=reuse.share,
        priority_share=(
            {value: times / count for value, times in sorted(priorities.items())}
            if set(priorities) != {0}
            else {}
        ),
    )


class _PeakBin:
    """The fullest bin of time; only the current one is kept, for arrivals come in order."""

    __slots__ = ("_count", "_end_ps", "_peak", "_width_ps")

    def __init__(self, width_ps: int) -> None:
        self._width_ps = width_ps
        self._end_ps = self._count = self._peak = 0

    def add(self, time_ps: int) -> None:
        """Count an arrival at `time_ps`."""
        if time_ps >= self._end_ps:
            self._end_ps = (time_ps // self._width_ps + 1) * self._width_ps
            self._peak = self.peak()
            self._count = 0
        self._count += 1

    def peak(self) -> int:
        """Arrivals in the fullest bin so far."""
        return max(self._peak, self._count)


def _length_summary(counts: Counter[int]) -> LengthSummary:
    ordered = sorted(counts.items())
    count = counts.total()
    total = sum(length * times for length, times in ordered)
    percentiles = {percent: _percentile(ordered, count, percent) for percent in _PERCENTS}
    return LengthSummary(
        total=total,
        mean=total / count,
        p50=percentiles[50],
        p90=percentiles[90],
        p95=percentiles[95],
        p99=percentiles[99],
        min=ordered[0][0],
        max=ordered[-1][0],
    )


def _percentile(ordered: list[tuple[int, int]], count: int, percent: int) -> float:
    """Linear interpolation between the two nearest ranks, as numpy's default."""
    rank, hundredths = divmod((count - 1) * percent, 100)
    below: int | None = None
    seen = 0
    for length, times in ordered:
        seen += times
        if below is None and seen > rank:
            below = length
        if below is not None and (seen > rank + 1 or seen == count):
            return below + (length - below) * hundredths / 100
    raise AssertionError("the counts do not add up")


def _times_100(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
