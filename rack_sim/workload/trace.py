"""Trace workload: recorded requests replayed at their recorded times, or at changed ones.

The order of the steps: rows are put in order of time; a window is cut out; bunches are spread;
times are scaled; the first kept request moves to 0; the first `first_n` are kept.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.streams import stream
from rack_sim.foundation.units import PS_PER_S, format_time
from rack_sim.foundation.work_limits import limit, over_limit, raised
from rack_sim.workload.arguments import ArgumentCheck
from rack_sim.workload.request import Request, Source
from rack_sim.workload.trace_file import sha256_of
from rack_sim.workload.trace_formats import COLUMN_NAMES
from rack_sim.workload.trace_rows import RequestRow, TraceRows

SORT_WINDOW_PS = 10 * PS_PER_S
# Requests kept from the check for the replays (some 4 MB); of a longer trace, none.
_KEPT_MAX = 2**14


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How a trace is replayed. The defaults replay all of it as it was recorded.

    - `rate_scale`: 2.0 is twice the request rate: every time is divided by it, exactly, and
      rounded up to a picosecond. It is read as the decimal it is written as.
    - `window_start_ps`, `window_end_ps`: keep only arrivals from the start up to, not including,
      the end; both count from the trace's first arrival, before scaling.
    - `first_n`: keep only so many requests, after the window.
    - `sort_window_ps`: rows may stand in the file up to this much too late; they are put in order.
      The rows of such a span are held in memory.
    - `skip_bad_rows`: count rows that are no request and go on, instead of an error.
    - `spread_bunch_ps`: requests of equal time are spread uniformly over this span, or up to the
      next time in the trace where that is nearer. It is for traces that were recorded in coarse
      steps (Mooncake: 3 s), and a SYNTHETIC change: those arrivals were never measured.
    - `columns`: pairs of a column of our own format and what the file calls it, for a file of
      another format; none: the format is recognised.
    - `seed`: of the spread; the only thing that is drawn.

    Raises `InputError` where a value is out of range.
    """

    rate_scale: float = 1.0
    window_start_ps: int | None = None
    window_end_ps: int | None = None
    first_n: int | None = None
    sort_window_ps: int = SORT_WINDOW_PS
    skip_bad_rows: bool = False
    spread_bunch_ps: int | None = None
    seed: int = 0
    columns: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check = ArgumentCheck("TraceOptions")
        check.number("rate_scale", self.rate_scale, 1e-6, 1e6)
        start_ps, end_ps = self.window_start_ps, self.window_end_ps
        ordered = start_ps is None or check.whole("window_start_ps", start_ps, 0)
        if end_ps is not None and check.whole("window_end_ps", end_ps, 1) and ordered:
            check.that(
                end_ps > (start_ps or 0),
                "window_end_ps",
                f"must be after window_start_ps; they are {end_ps} and {start_ps}",
            )
        if self.first_n is not None:
            check.whole("first_n", self.first_n, 1)
        check.whole("sort_window_ps", self.sort_window_ps, 0)
        check.that(
            isinstance(self.skip_bad_rows, bool),
            "skip_bad_rows",
            f"must be true or false; it is {self.skip_bad_rows!r}",
        )
        if self.spread_bunch_ps is not None:
            # numpy draws 63-bit numbers; a century is a long bunch.
            check.whole("spread_bunch_ps", self.spread_bunch_ps, 1, 2**63 - 1)
        check.whole("seed", self.seed, 0)
        for name, column in self.columns:
            check.that(
                name in COLUMN_NAMES,
                f"columns.{name}",
                f"is no column of ours ({suggest(name, COLUMN_NAMES)})",
            )
            check.that(bool(column), f"columns.{name}", "must name a column of the file")
        check.finish()


@dataclass(frozen=True, slots=True)
class TraceCheck:
    """What a full reading of a trace found.

    `request_count` and `duration_ps` (first to last arrival) are of the replay, after all options;
    `skipped_count` counts the bad rows of the whole file, `skipped_rows` holds the first 1,000 of
    them as (line, reason). `sha256` is of the file as it lies on disk.
    """

    format_name: str
    request_count: int
    duration_ps: int
    sha256: str
    skipped_count: int = 0
    skipped_rows: tuple[tuple[int, str], ...] = field(default=(), repr=False)


class TraceWorkload:
    """The requests of a trace file in a format of `trace_formats.FORMATS`.

    Rows stream from the file at each replay; it may be larger than the memory. `open` validates
    the whole file first unless that was done, so that a bad row near the end is told before
    anything is simulated. The requests of a short trace without bad rows are kept, not read again.
    """

    def __init__(self, path: str | Path, options: TraceOptions | None = None) -> None:
        self.path = Path(path)
        self.options = TraceOptions() if options is None else options
        self._check: TraceCheck | None = None
        self._kept: list[Request] | None = None

    @property
    def request_count(self) -> int | None:
        """How many requests a replay issues; None before `validate`."""
        return None if self._check is None else self._check.request_count

    @property
    def duration_ps(self) -> int | None:
        """From the first arrival to the last; None before `validate`."""
        return None if self._check is None else self._check.duration_ps

    @property
    def description(self) -> str:
        """One line for a report: the file, and what was changed about it."""
        options = self.options
        parts = [f"trace {self.path.name}"]
        if self._check is not None:
            parts[0] += f" ({self._check.format_name})"
            parts.append(f"{self._check.request_count:,} requests")
        if options.window_start_ps is not None or options.window_end_ps is not None:
            end = "its end" if options.window_end_ps is None else format_time(options.window_end_ps)
            parts.append(f"from {format_time(options.window_start_ps or 0)} to {end}")
        if options.first_n is not None:
            parts.append(f"first {options.first_n:,}")
        if options.spread_bunch_ps is not None:
            span = format_time(options.spread_bunch_ps)
            parts.append(f"bunches spread over {span} (synthetic arrivals)")
        if options.rate_scale != 1:
            parts.append(f"{options.rate_scale:g} times the rate")
        if self._check is not None and self._check.skipped_count:
            parts.append(f"{self._check.skipped_count:,} bad rows left out")
        return ", ".join(parts)

    def validate(self) -> TraceCheck:
        """Read the whole file once: every row and the order, also of rows the options leave out.

        Raises `InputError` where the file cannot be read or is of no known format, for bad rows
        (the first 20) unless they are skipped, for a row later than `sort_window_ps`, and where no
        request is left to replay.
        """
        source = TraceSource(self)
        rows = source.ordered_rows()
        kept: list[Request] | None = []
        request_count = duration_ps = 0
        for request in source.replay(rows):
            request_count += 1
            duration_ps = request.arrival_ps
            if kept is None or len(kept) == _KEPT_MAX or request.block_hashes:
                kept = None
            else:
                kept.append(request)
        for _ in rows:  # what lies behind the window or the first n
            pass
        if not request_count:
            message = "no request arrives within the window"
            raise InputError(Problem(message, place=str(self.path), field="window_start_ps"))
        self._kept = None if source.skipped_count else kept
        self._check = TraceCheck(
            format_name=source.format_name,
            request_count=request_count,
            duration_ps=duration_ps,
            sha256=sha256_of(self.path),
            skipped_count=source.skipped_count,
            skipped_rows=tuple(source.skipped_rows),
        )
        return self._check

    def open(self) -> Source:
        """A fresh replay from the start. Raises `InputError` as `validate` does."""
        if self._check is None:
            self.validate()
        return TraceSource(self) if self._kept is None else KeptSource(self._kept)


class KeptSource:
    """One replay of requests that were read before."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests

    def arrivals(self) -> Iterator[Request]:
        """The requests in non-decreasing `arrival_ps`, the first at 0."""
        return iter(self._requests)

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        """None: a trace does not wait for answers."""
        return None


class TraceSource:
    """One replay of a `TraceWorkload`."""

    def __init__(self, workload: TraceWorkload) -> None:
        self._path = workload.path
        self._options = workload.options
        self._rows = TraceRows(
            workload.path, workload.options.skip_bad_rows, dict(workload.options.columns)
        )

    @property
    def format_name(self) -> str:
        """Name of the recognised format."""
        return self._rows.format.name

    @property
    def skipped_rows(self) -> list[tuple[int, str]]:
        """Line and reason of the bad rows met so far, the first 1,000."""
        return self._rows.skipped_rows

    @property
    def skipped_count(self) -> int:
        """How many bad rows were met so far."""
        return self._rows.skipped_count

    def arrivals(self) -> Iterator[Request]:
        """The requests in non-decreasing `arrival_ps`, the first at 0."""
        return self.replay(self.ordered_rows())

    def follow_up(self, request: Request, finish_ps: int) -> Request | None:
        """None: a trace does not wait for answers."""
        return None

    def ordered_rows(self) -> Iterator[RequestRow]:
        """The rows of the file in order of time, then of line.

        The rows of the last `sort_window_ps` are held: whatever may still come is younger than
        what leaves them. Those that came in order wait in a row, the others in a heap. Raises
        `InputError` where a row comes later than that.
        """
        window_ps = self._options.sort_window_ps
        held: deque[RequestRow] = deque()
        late: list[RequestRow] = []
        newest_ps, newest_line = -1, 0
        held_weight, allowed = 0, limit("held_rows")
        for row in self._rows:
            time_ps = row[0]
            held_weight += _weight(row)
            if held_weight > allowed:
                raise self._too_many_held(held_weight, row)
            if time_ps >= newest_ps:
                newest_ps, newest_line = time_ps, row[1]
                held.append(row)
            elif time_ps < newest_ps - window_ps:
                raise self._too_late(row, newest_ps, newest_line)
            else:
                heapq.heappush(late, row)
            settled_ps = newest_ps - window_ps
            while late and late[0][0] <= settled_ps:
                settled = held.popleft() if held and held[0] < late[0] else heapq.heappop(late)
                held_weight -= _weight(settled)
                yield settled
            while held and held[0][0] <= settled_ps:
                settled = held.popleft()
                held_weight -= _weight(settled)
                yield settled
        yield from heapq.merge(held, sorted(late))

    def replay(self, rows: Iterator[RequestRow]) -> Iterator[Request]:
        """The requests made of ordered `rows`, after window, spread, scale and count."""
        kept = self._in_window(rows)
        span_ps = self._options.spread_bunch_ps
        if span_ps is not None:
            rng = stream(self._options.seed, "workload/spread")
            kept = _spread(kept, span_ps, rng)
        return islice(self._requests(kept), self._options.first_n)

    def _in_window(self, rows: Iterator[RequestRow]) -> Iterator[RequestRow]:
        start_ps, end_ps = self._options.window_start_ps, self._options.window_end_ps
        if start_ps is None and end_ps is None:
            return rows
        return _cut(rows, start_ps or 0, end_ps)

    def _requests(self, rows: Iterator[RequestRow]) -> Iterator[Request]:
        scale = Fraction(str(self._options.rate_scale))
        multiplier, divisor = scale.denominator, scale.numerator
        scaled = multiplier != divisor
        first_ps: int | None = None
        for request_id, (time_ps, _, input_tokens, output_tokens, labels) in enumerate(rows):
            if first_ps is None:
                first_ps = time_ps
            arrival_ps = time_ps - first_ps
            if scaled:
                arrival_ps = -(-arrival_ps * multiplier // divisor)
            if labels:
                yield Request(request_id, arrival_ps, input_tokens, output_tokens, *labels)
            else:
                yield Request(request_id, arrival_ps, input_tokens, output_tokens)

    def _too_many_held(self, held: int, row: RequestRow) -> InputError:
        what = f"held to be put in order over {format_time(self._options.sort_window_ps)}"
        problem = over_limit("held_rows", held, what, place=str(self._path), line=row[1])
        hint = "sort the file by time and set workload.sort_window_ps=0, or raise the limit: "
        hint += raised("held_rows", 10 * held)
        return InputError([] if problem is None else replace(problem, suggestion=hint))

    def _too_late(self, row: RequestRow, newest_ps: int, newest_line: int) -> InputError:
        late = format_time(newest_ps - row[0])
        window = format_time(self._options.sort_window_ps)
        message = f"arrives {late} before line {newest_line}, which stands above it; "
        message += f"rows are put in order over {window} only"
        hint = "sort the file by time, or raise sort_window_ps"
        return InputError(Problem(message, str(self._path), row[1], suggestion=hint))


def _weight(row: RequestRow) -> int:
    """What a row takes of memory, in rows without labels; hashes are what may be many."""
    labels = row[4]
    return 1 + len(labels[0]) // 8 if labels else 1


def _cut(rows: Iterator[RequestRow], start_ps: int, end_ps: int | None) -> Iterator[RequestRow]:
    """The rows from `start_ps` up to, not including, `end_ps`, both from the first row on."""
    zero_ps: int | None = None
    for row in rows:
        if zero_ps is None:
            zero_ps = row[0]
        if end_ps is not None and row[0] - zero_ps >= end_ps:
            return
        if row[0] - zero_ps >= start_ps:
            yield row


def _spread(
    rows: Iterator[RequestRow], span_ps: int, rng: np.random.Generator
) -> Iterator[RequestRow]:
    """The rows with bunches of equal time spread over `span_ps`, the order kept."""
    bunch: list[RequestRow] = []
    for row in rows:
        if bunch and row[0] != bunch[0][0]:
            yield from _spread_bunch(bunch, min(span_ps, row[0] - bunch[0][0]), rng)
            bunch = []
        bunch.append(row)
    yield from _spread_bunch(bunch, span_ps, rng)


def _spread_bunch(
    bunch: list[RequestRow], width_ps: int, rng: np.random.Generator
) -> Iterator[RequestRow]:
    if len(bunch) < 2:  # nothing says that a request alone at its time was not there
        yield from bunch
        return
    offsets_ps = np.sort(rng.integers(0, width_ps, size=len(bunch))).tolist()
    for offset_ps, row in zip(offsets_ps, bunch, strict=True):
        yield (row[0] + offset_ps, *row[1:])
