"""Timeline: a compiled program and a replay as a trace that ui.perfetto.dev shows.

Three groups of events follow each other on one axis, and `otherData` says where each begins:

- one token: a step from its entry to the token's return, every task on its unit or link, with
  arrows along messages to whoever waits for them
- a window of serving: what the same units and links do during one interval while steps keep
  entering; a step that entered k intervals before is in its k-th interval, so every task of the
  program is seen once
- serving: which requests are on which slot, during the first part of a replay
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from rack_sim.compiler.program import Part, Program
from rack_sim.foundation.units import PS_PER_MS
from rack_sim.metrics.critical_path import where_of
from rack_sim.metrics.latency import finished_rows
from rack_sim.metrics.log import RequestLog
from rack_sim.report.trace_events import TraceFile, Track, details
from rack_sim.timing.tasks import UNITS

# Numbers of processes and threads; a thread has its number in the whole trace to itself.
_TOKEN_PROCESS, _SERVING_PROCESS, _FIRST_PLACE = 1, 2, 10
_FIRST_THREAD = 10**7
_OVERVIEW = "overview"


@dataclass(frozen=True)
class Movie:
    """What a timeline shows: a program, how far apart its steps enter, and perhaps a replay.

    A program that `ran` as it was not compiled does not repeat, so there is no window of serving.
    """

    program: Program
    interval_ps: int
    log: RequestLog | None = None
    window_ps: int = 0
    ran: bool = False

    @property
    def window_at_ps(self) -> int:
        """Where the window of serving begins on the axis: a whole millisecond, after the token."""
        return (self.program.latency_ps // PS_PER_MS + 1) * PS_PER_MS

    @property
    def serving_at_ps(self) -> int:
        """Where the replay begins on the axis: a whole millisecond, after the window."""
        longest_ps = int(self.program.duration_ps.max(initial=0))
        end_ps = self.window_at_ps + self.interval_ps + longest_ps
        return (end_ps // PS_PER_MS + 1) * PS_PER_MS


@dataclass(frozen=True)
class TimelineFacts:
    """What was written."""

    event_count: int
    task_count: int
    arrow_count: int
    request_count: int
    latency_ps: int
    interval_ps: int


def write_timeline(file: BinaryIO, movie: Movie, facts: Mapping[str, object]) -> TimelineFacts:
    """Writes the trace to `file`; `facts` (scenario, digest, version) go into `otherData`."""
    trace = TraceFile(file)
    tracks = _tracks(trace, movie.program)
    overview = _write_overview(trace, movie.program)
    arrows = _Arrows(movie.program)
    tasks = _Tasks(movie, tracks, arrows)
    task_count = tasks.write_token(trace)
    if not movie.ran:
        tasks.write_window(trace)
    request_count = _write_serving(trace, movie) if movie.log is not None else 0
    program = movie.program
    trace.close(
        {
            **facts,
            "program": program.title,
            "latency_ps": program.latency_ps,
            "interval_ps": movie.interval_ps,
            "units": "ts and dur in microseconds, cut down to whole nanoseconds; *_ps in args are "
            "exact picoseconds",
            "one_token": {
                "begins_at_ps": 0,
                "tasks": task_count,
                "overview_slices": overview,
                "meaning": "one step, from its entry until the token is back at the first stage"
                + "; tasks as they ran, the overview as compiled" * movie.ran,
            },
            "window_of_serving": None
            if movie.ran
            else {
                "begins_at_ps": movie.window_at_ps,
                "ends_at_ps": movie.window_at_ps + movie.interval_ps,
                "tasks": task_count,
                "meaning": "every task that starts during one interval in steady state, drawn at "
                "begins_at_ps + start_ps - args.step * interval_ps; step k entered k intervals "
                "before the newest, which is on slot 0; arrows out of the interval are left out",
            },
            "serving": {
                "begins_at_ps": movie.serving_at_ps,
                "window_ps": movie.window_ps,
                "requests": request_count,
                "meaning": "requests of the replay, by the slot they decode on; simulated time is "
                "counted from begins_at_ps",
            }
            if movie.log is not None
            else None,
        }
    )
    return TimelineFacts(
        event_count=trace.event_count,
        task_count=task_count,
        arrow_count=trace.counts["s"],
        request_count=request_count,
        latency_ps=program.latency_ps,
        interval_ps=movie.interval_ps,
    )


def _tracks(trace: TraceFile, program: Program) -> list[Track]:
    """Names the chips in pipeline order, their units and links; returns each resource's track."""
    topology = program.plan.system.topology
    stage_of = {chip: stage.number for stage in program.plan.stages for chip in stage.chips}
    by_place: dict[int, list[tuple[int, int, str, int]]] = {}
    for number, (first, second) in enumerate(program.resources):
        if isinstance(first, str):
            unit = [*UNITS].index(first)  # type: ignore[arg-type] # the first of a unit's is one
            by_place.setdefault(second, []).append((0, unit, first, number))
        else:
            kind = "" if second < topology.chip_count else "switch "
            by_place.setdefault(first, []).append((1, second, f"link to {kind}{second}", number))
    after_all = len(program.plan.stages)
    places = sorted(by_place, key=lambda place: (stage_of.get(place, after_all), place))
    tracks: dict[int, Track] = {}
    for order, place in enumerate(places):
        if place >= topology.chip_count:
            name = f"switch {place}"
        elif place in stage_of:
            name = f"chip {place} (stage {stage_of[place]})"
        else:
            name = f"chip {place} (passes on)"
        process = _FIRST_PLACE + place
        trace.name_process(process, name, _FIRST_PLACE + order)
        for row, (_, _, words, number) in enumerate(sorted(by_place[place])):
            tracks[number] = Track(process, _FIRST_THREAD + number)
            trace.name_thread(tracks[number], words, row)
    return [tracks[number] for number in range(len(program.resources))]


def _write_overview(trace: TraceFile, program: Program) -> int:
    """Stages, their blocks and the critical path of one token, each on a track of its own."""
    trace.name_process(_TOKEN_PROCESS, "one token", 0)
    stages, blocks, critical = (Track(_TOKEN_PROCESS, _FIRST_THREAD - n) for n in (3, 2, 1))
    trace.name_thread(stages, "stages", 0)
    trace.name_thread(blocks, "blocks and transfers", 1)
    trace.name_thread(critical, "critical path", 2)
    before = trace.counts["X"]
    for number, parts in _by_stage(program.parts).items():
        end_ps = parts[-1].start_ps + parts[-1].placed.duration_ps
        start_ps = parts[0].start_ps
        trace.slice(stages, f"stage {number}", _OVERVIEW, start_ps, end_ps - start_ps)
    for part in program.parts:
        if part.placed.tasks:
            about = details([("stage", part.stage)])
            trace.slice(blocks, part.name, _OVERVIEW, part.start_ps, part.placed.duration_ps, about)
    for step in program.critical_path():
        terms = ((f"{name}_ps", spent) for name, spent in step.terms.by_name().items() if spent)
        where = where_of(step)
        at = "{}->{}".format(*step.resource) if where == "link" else step.resource[1]
        about = details(
            [("stage", step.part.stage), ("block", step.part.name), (where, at), *terms]
        )
        trace.slice(critical, step.name, _OVERVIEW, step.start_ps, step.terms.total_ps, about)
    return trace.counts["X"] - before


def _by_stage(parts: Iterable[Part]) -> dict[int, list[Part]]:
    """The blocks of every stage, what follows it left out."""
    found: dict[int, list[Part]] = {}
    for part in parts:
        if part.block >= 0:
            found.setdefault(part.stage, []).append(part)
    return found


class _Arrows:
    """Which tasks an arrow begins, passes and ends at; arrow n is that of the n-th message.

    It ends at the first task that waits for the message, or where nobody does (a token that is
    back) at its last link. A message of one link that nobody waits for has none.
    """

    def __init__(self, program: Program) -> None:
        message = program.message
        last = np.flatnonzero((message >= 0) & (np.append(message[1:], -1) != message))
        waits: dict[int, int] = {}
        other = message[program.need_of] != message[program.need_task]
        seen = program.duration_ps > 0  # what takes no time is not drawn
        carried = other & (message[program.need_task] >= 0) & seen[program.need_of]
        start = program.start_ps
        for of, need in zip(
            program.need_of[carried].tolist(), program.need_task[carried].tolist(), strict=True
        ):
            if need not in waits or (start[of], of) < (start[waits[need]], waits[need]):
                waits[need] = of
        # task -> (phase, arrow), in the order of arrows
        self.at: dict[int, list[tuple[str, int]]] = {}
        # For every arrow its tasks, first to last.
        self.tasks: list[list[int]] = []
        for end in last.tolist():
            links = list(range(int(message[end]), end + 1))
            tasks = [*links, waits[end]] if end in waits else links
            if len(tasks) > 1 and seen[tasks].all():
                self.tasks.append(tasks)
                number = len(self.tasks)
                for task in tasks:
                    phase = "s" if task == tasks[0] else "f" if task == tasks[-1] else "t"
                    self.at.setdefault(task, []).append((phase, number))


class _Tasks:
    """The tasks of a program as slices, drawn in one place or another."""

    def __init__(self, movie: Movie, tracks: list[Track], arrows: _Arrows) -> None:
        self.movie, self.program = movie, movie.program
        self.arrows = arrows
        program = movie.program
        self.tracks = [tracks[number] for number in program.resource.tolist()]
        self.categories = list(map(self._category, range(len(program))))
        self.details = list(map(self._details, range(len(program))))
        self.names = [program.names[number] for number in program.work.tolist()]

    def write_token(self, trace: TraceFile) -> int:
        """One step from its entry; returns how many tasks that are."""
        return self._write(trace, self.program.start_ps, None, 0)

    def write_window(self, trace: TraceFile) -> None:
        """The steps in flight during one interval."""
        step = self.program.start_ps // self.movie.interval_ps
        shown_ps = self.movie.window_at_ps + self.program.start_ps - step * self.movie.interval_ps
        self._write(trace, shown_ps, step.tolist(), len(self.arrows.tasks))

    def _write(
        self, trace: TraceFile, shown_ps: np.ndarray, steps: list[int] | None, past: int
    ) -> int:
        """Slices in order of time, each followed by what arrows do there."""
        program = self.program
        starts, durations = program.start_ps.tolist(), program.duration_ps.tolist()
        shown = shown_ps.tolist()
        slot_count = -(-program.latency_ps // self.movie.interval_ps)
        count = 0
        for task in np.argsort(shown_ps, kind="stable").tolist():
            if not durations[task]:
                continue
            count += 1
            about = self.details[task]
            if steps is not None:
                # The newest step is on slot 0; the one before it on the last slot, and so on.
                slot = (slot_count - steps[task]) % slot_count
                about = f'{about},"step":{steps[task]},"slot":{slot}'
            track = self.tracks[task]
            trace.slice(
                track,
                self.names[task],
                self.categories[task],
                starts[task],
                durations[task],
                about,
                shown_ps=shown[task],
            )
            for phase, number in self.arrows.at.get(task, ()):
                along = self.arrows.tasks[number - 1]
                if steps is None or len({steps[other] for other in along}) == 1:
                    category = self.categories[along[0]]
                    trace.flow(phase, past + number, track, category, shown[task])
        return count

    def _category(self, task: int) -> str:
        program = self.program
        traffic = program.traffics[int(program.traffic[task])]
        if traffic:
            return traffic
        kind = program.works[int(program.work[task])].kind
        return "weights" if kind in ("weights", "weights_ahead") else "operator"

    def _details(self, task: int) -> str:
        program = self.program
        part = program.parts[int(program.part[task])]
        pairs: list[tuple[str, object]] = [("stage", part.stage), ("block", part.name)]
        if program.message[task] >= 0:
            pairs += [
                ("bytes", int(program.payload_bytes[task])),
                ("vectors", int(program.vectors[task])),
                ("from_chip", int(program.source[task])),
                ("to_chip", int(program.target[task])),
                ("arrives_ps", int(program.start_ps[task] + program.done_ps[task])),
            ]
        return details(pairs)


def _write_serving(trace: TraceFile, movie: Movie) -> int:
    """Requests by slot during the first part of the replay; returns how many."""
    shift_ms = movie.serving_at_ps // PS_PER_MS
    trace.name_process(_SERVING_PROCESS, f"serving (simulated time + {shift_ms} ms)", 1)
    lanes: dict[int, list[int]] = {}
    tracks: dict[tuple[int, int], Track] = {}
    found = sorted(_served(movie), key=lambda row: (row["prefill_start_ps"], row["request_id"]))
    placed = []
    for row in found:
        ends = lanes.setdefault(row["slot"], [])
        lane = next(
            (n for n, end_ps in enumerate(ends) if end_ps <= row["prefill_start_ps"]), len(ends)
        )
        ends[lane : lane + 1] = [row["finish_ps"]]
        placed.append((row, (row["slot"], lane)))
    first_thread = _FIRST_THREAD + len(movie.program.resources)
    for order, place in enumerate(sorted({place for _, place in placed})):
        slot, lane = place
        tracks[place] = Track(_SERVING_PROCESS, first_thread + order)
        name = f"slot {slot}" if not lane else f"slot {slot}, row {lane + 1}"
        trace.name_thread(tracks[place], name, order)
    for row, place in placed:
        about = details(
            [
                ("request", row["request_id"]),
                ("slot", row["slot"]),
                ("input_tokens", row["input_tokens"]),
                ("output_tokens", row["output_tokens"]),
                ("arrival_ps", row["arrival_ps"]),
                ("queue_wait_ps", row["prefill_start_ps"] - row["arrival_ps"]),
            ]
        )
        for words, begin, end in (
            ("prefill", "prefill_start_ps", "first_token_ps"),
            ("decode", "first_token_ps", "finish_ps"),
        ):
            duration_ps = row[end] - row[begin]
            if duration_ps:  # an output of one token has no decode
                trace.slice(
                    tracks[place],
                    f"request {row['request_id']}: {words}",
                    words,
                    row[begin],
                    duration_ps,
                    about,
                    shown_ps=movie.serving_at_ps + row[begin],
                )
    return len(placed)


def _served(movie: Movie) -> Iterator[dict[str, int]]:
    """Finished requests that were served during the window."""
    for chunk in movie.log.chunks() if movie.log is not None else ():
        rows = finished_rows(chunk)
        inside = rows["prefill_start_ps"] < movie.window_ps
        columns = {name: values[inside].tolist() for name, values in rows.items()}
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))
