"""Trace events: the JSON object format of Chrome's trace viewer, which Perfetto reads, in gzip.

Events are written one by one, in the order given; a viewer takes those of one instant in the order
of the file. Times are microseconds with three decimals, whole nanoseconds, because a viewer rounds
to those: if starts and durations were rounded there, each for itself, neighbours would seem to
overlap, and overlapping slices are thrown away. Both ends are cut down to the nanosecond here, so
what does not overlap in picoseconds does not overlap there. Exact picoseconds stand in `args`.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from rack_sim.foundation.json_text import json_text
from rack_sim.foundation.units import PS_PER_NS
from rack_sim.foundation.visible import visible

_LINES_AT_ONCE = 2000
_NS_PER_US = 1000


class Track(NamedTuple):
    """A row of the viewer: a thread of a process."""

    process: int
    thread: int


class TraceFile:
    """A trace being written to `file`; equal events give equal bytes."""

    def __init__(self, file: BinaryIO) -> None:
        # No name and no date of its own in the header of the gzip.
        self._file = gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
        self._lines: list[str] = []
        self._separator = '{"displayTimeUnit":"ns","traceEvents":[\n'
        self.counts: Counter[str] = Counter()

    @property
    def event_count(self) -> int:
        """Events written."""
        return sum(self.counts.values())

    def name_process(self, process: int, name: str, order: int) -> None:
        """Says what a process is called and where it stands."""
        for kind, value in (("name", quoted(name)), ("sort_index", str(order))):
            self._add(
                "M",
                f'"name":"process_{kind}","pid":{process},"tid":0,"args":{{"{kind}":{value}}}',
            )

    def name_thread(self, track: Track, name: str, order: int) -> None:
        """Says what a thread is called and where it stands in its process."""
        for kind, value in (("name", quoted(name)), ("sort_index", str(order))):
            self._add(
                "M",
                f'"name":"thread_{kind}","pid":{track.process},"tid":{track.thread},'
                f'"args":{{"{kind}":{value}}}',
            )

    def slice(
        self,
        track: Track,
        name: str,
        category: str,
        start_ps: int,
        duration_ps: int,
        details: str = "",
        *,
        shown_ps: int | None = None,
    ) -> None:
        """Adds a complete event; `details` are further args as JSON text, without braces.

        It is drawn at `shown_ps`, if that is not where it is (`start_ps`).
        """
        at_ps = start_ps if shown_ps is None else shown_ps
        at_ns = at_ps // PS_PER_NS
        span_ns = (at_ps + duration_ps) // PS_PER_NS - at_ns
        more = f",{details}" if details else ""
        self._add(
            "X",
            f'"name":{quoted(name)},"cat":"{category}","pid":{track.process},"tid":{track.thread},'
            f'"ts":{_microseconds(at_ns)},"dur":{_microseconds(span_ns)},"args":'
            f'{{"start_ps":{start_ps},"duration_ps":{duration_ps}{more}}}',
        )

    def flow(self, phase: str, number: int, track: Track, category: str, at_ps: int) -> None:
        """Adds the begin (s), a step (t) or the end (f) of an arrow, at a slice of its thread."""
        ends = ',"bp":"e"' if phase == "f" else ""
        self._add(
            phase,
            f'"name":"message","cat":"{category}","id":{number}{ends},"pid":{track.process},'
            f'"tid":{track.thread},"ts":{_microseconds(at_ps // PS_PER_NS)}',
        )

    def close(self, other: Mapping[str, object]) -> None:
        """Ends the trace with what else there is to say of it."""
        self._store()
        text = json_text(other, indent=1)
        # A trace without an event has not even begun.
        begin = self._separator if self._separator.startswith("{") else "\n"
        self._file.write(f'{begin}],"otherData":{text}}}\n'.encode())
        self._file.close()

    def _add(self, phase: str, fields: str) -> None:
        self.counts[phase] += 1
        self._lines.append(f'{{"ph":"{phase}",{fields}}}')
        if len(self._lines) >= _LINES_AT_ONCE:
            self._store()

    def _store(self) -> None:
        if self._lines:
            self._file.write((self._separator + ",\n".join(self._lines)).encode())
            self._separator = ",\n"
            self._lines = []


def details(pairs: Iterable[tuple[str, object]]) -> str:
    """Args as JSON text without braces.

    >>> details([("stage", 1), ("block", "head")])
    '"stage":1,"block":"head"'
    """
    return ",".join(
        f"{quoted(name)}:{value if isinstance(value, int) else quoted(str(value))}"
        for name, value in pairs
    )


@lru_cache(maxsize=4096)
def quoted(text: str) -> str:
    """A JSON string; names of tasks come tens of thousands of times, and are few.

    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    return json.dumps(visible(text))


def _microseconds(ns: int) -> str:
    """Nanoseconds as microseconds, exact."""
    return f"{ns // _NS_PER_US}.{ns % _NS_PER_US:03d}"
