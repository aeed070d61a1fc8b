"""Timelines: a strict reader of Chrome's trace format, and what a program says of itself."""

import gzip
import io
import json
from collections import Counter, defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest

import rack_sim
from rack_sim.compiler.step import program_of
from rack_sim.report.timeline import Movie, write_timeline
from rack_sim.report.trace_events import TraceFile, Track

RACK = [
    "system=groq-rack-72",
    "model=llama-2-7b",
    "partition.stages=auto",
    "serving.max_context_tokens=2048",
    "serving.concurrent_sequences=4",
    "workload.request_count=60",
]
ONE_CHIP = [
    "system=groq-node-8",
    "model={model_type: llama, name: tiny-llama, num_hidden_layers: 8, hidden_size: 1024, "
    "num_attention_heads: 16, num_key_value_heads: 8, intermediate_size: 2816, "
    "vocab_size: 32000, max_position_embeddings: 4096, tie_word_embeddings: false}",
    "serving.max_context_tokens=2048",
    "partition.tensor_parallel=1",
    "partition.stages=1",
    "serving.concurrent_sequences=1",
    "workload.request_count=20",
]
SWITCHED = [
    *(
        override.replace("=1", "=2") if override.startswith("partition.tensor") else override
        for override in ONE_CHIP
    ),
    "system.topology={kind: switched, chips: 8, switches: 3, links_per_chip: 7}",
]
WINDOW_PS = 5 * 10**12
NEEDED = {
    "X": {"name", "cat", "pid", "tid", "ts", "dur", "args"},
    "s": {"name", "cat", "id", "pid", "tid", "ts"},
    "t": {"name", "cat", "id", "pid", "tid", "ts"},
    "f": {"name", "cat", "id", "pid", "tid", "ts", "bp"},
    "M": {"name", "pid", "tid", "args"},
}
GROUPS = ("one_token", "window_of_serving", "serving")


def traced(result, kind="decode", rows=None, window_ps=WINDOW_PS):
    """A movie and its trace, read by a parser that keeps every digit."""
    program, interval_ps = program_of(result.explanation.step, kind, rows)
    movie = Movie(program, interval_ps, result.collector.requests if window_ps else None, window_ps)
    file = io.BytesIO()
    facts = write_timeline(file, movie, {"scenario": result.explanation.scenario.name})
    trace = json.loads(gzip.decompress(file.getvalue()), parse_float=Decimal)
    return movie, facts, trace, file.getvalue()


@pytest.fixture(scope="module")
def rack():
    return rack_sim.simulate(rack_sim.load("llama70b", RACK))


@pytest.fixture(scope="module")
def decode(rack):
    return traced(rack)


@pytest.fixture(
    scope="module", params=["decode", "three rows", "prefill", "one chip", "switches", "no serving"]
)
def any_trace(request, rack, decode):
    if request.param == "decode":
        return decode
    if request.param == "three rows":
        return traced(rack, "decode", 3)
    if request.param == "prefill":
        return traced(rack, "prefill", 4)
    if request.param == "no serving":
        return traced(rack, window_ps=0)
    overrides = SWITCHED if request.param == "switches" else ONE_CHIP
    return traced(rack_sim.simulate(rack_sim.load("llama70b", overrides)))


def picoseconds(microseconds):
    whole = microseconds * 10**6
    assert whole == int(whole)
    return int(whole)


def group_of(trace, event):
    """Which group a slice belongs to, from where it begins."""
    at_ps = picoseconds(event["ts"]) + 1000  # cut down to the nanosecond
    starts = [(trace["otherData"][name] or {}).get("begins_at_ps") for name in GROUPS]
    return max(
        (start, name)
        for start, name in zip(starts, GROUPS, strict=True)
        if start is not None and start <= at_ps
    )[1]


def slices(trace, group=None, *, overview=False):
    return [
        event
        for event in trace["traceEvents"]
        if event["ph"] == "X"
        and (group is None or group_of(trace, event) == group)
        and (group is None or (event["cat"] == "overview") == overview)
    ]


def test_every_event_is_well_formed(any_trace):
    _, facts, trace, _ = any_trace
    assert set(trace) == {"displayTimeUnit", "traceEvents", "otherData"}
    assert trace["displayTimeUnit"] == "ns"
    assert len(trace["traceEvents"]) == facts.event_count
    for event in trace["traceEvents"]:
        assert set(event) - {"ph"} == NEEDED[event["ph"]], event
        for key in ("pid", "tid", "id"):
            assert isinstance(event.get(key, 0), int)
        for key in ("ts", "dur"):
            if key in event:
                assert isinstance(event[key], Decimal)
                assert event[key] >= 0
                assert event[key].as_tuple().exponent == -3, "whole nanoseconds, three decimals"


def test_every_thread_and_process_has_one_name(any_trace):
    _, _, trace, _ = any_trace
    named = Counter()
    for event in trace["traceEvents"]:
        if event["ph"] == "M":
            place = event["pid"] if event["name"].startswith("process") else event["tid"]
            named[event["name"], place] += 1
    assert set(named.values()) == {1}
    owner = {}
    for event in trace["traceEvents"]:
        if event["ph"] != "M":
            assert named["process_name", event["pid"]]
            assert named["thread_name", event["tid"]]
            assert owner.setdefault(event["tid"], event["pid"]) == event["pid"]


def test_slices_of_a_thread_never_overlap(any_trace):
    """Neither as drawn (in nanoseconds, as a viewer rounds them) nor exactly."""
    _, _, trace, _ = any_trace
    by_thread = defaultdict(list)
    for event in slices(trace):
        by_thread[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for drawn in by_thread.values():
        drawn.sort()
        for (_, end), (start, _) in pairwise(drawn):
            assert end <= start


def test_arrows_begin_before_they_end(any_trace):
    """Every number begins once and ends once, in this order in the file and in time."""
    _, _, trace, _ = any_trace
    begun, ended, passed = {}, {}, defaultdict(list)
    last_slice = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            last_slice[event["tid"]] = event
        elif event["ph"] in "stf":
            at = last_slice[event["tid"]]
            assert at["ts"] == event["ts"], "an arrow is bound to the slice written before it"
            if event["ph"] == "s":
                assert event["id"] not in begun
                begun[event["id"]] = event
            elif event["ph"] == "t":
                passed[event["id"]].append(event)
            else:
                assert event["bp"] == "e"
                assert event["id"] not in ended
                assert event["id"] in begun
                ended[event["id"]] = event
    assert set(begun) == set(ended) >= set(passed)
    for number, event in begun.items():
        times = [event["ts"], *(step["ts"] for step in passed[number]), ended[number]["ts"]]
        assert times == sorted(times)
        assert event["cat"] == ended[number]["cat"]


def test_one_token_is_the_program(any_trace):
    """Every task with a duration once, at its time, on its unit or link."""
    movie, facts, trace, _ = any_trace
    program = movie.program
    found = slices(trace, "one_token")
    assert len(found) == int((program.duration_ps > 0).sum()) == facts.task_count
    names = {
        (event["name"], event["tid"] if event["name"].startswith("thread") else event["pid"]): event
        for event in trace["traceEvents"]
        if event["ph"] == "M"
    }

    def where(event):
        process = names["process_name", event["pid"]]["args"]["name"]
        thread = names["thread_name", event["tid"]]["args"]["name"]
        chip = int(process.split()[1])
        return (chip, int(thread.split()[-1])) if thread.startswith("link") else (thread, chip)

    shown = Counter(
        (
            where(event),
            event["name"],
            event["args"]["start_ps"],
            event["args"]["duration_ps"],
            event["args"].get("bytes", 0),
            event["args"].get("vectors", 0),
        )
        for event in found
    )
    columns = (
        program.resource, program.work, program.start_ps, program.duration_ps,
        program.payload_bytes, program.vectors,
    )  # fmt: skip
    assert shown == Counter(
        (program.resources[resource], program.names[name], *rest)
        for resource, name, start, duration, *more in zip(
            *(column.tolist() for column in columns), strict=True
        )
        for rest in [(start, duration, *more)]
        if duration
    )
    for event in found:
        start_ps, duration_ps = event["args"]["start_ps"], event["args"]["duration_ps"]
        assert picoseconds(event["ts"]) == start_ps // 1000 * 1000
        end_ps = picoseconds(event["ts"] + event["dur"])
        assert end_ps == (start_ps + duration_ps) // 1000 * 1000


def test_the_overview_ends_with_the_latency(any_trace):
    movie, _, trace, _ = any_trace
    overview = slices(trace, "one_token", overview=True)
    ends = [event["args"]["start_ps"] + event["args"]["duration_ps"] for event in overview]
    assert max(ends) == movie.program.latency_ps == trace["otherData"]["latency_ps"]
    last = max(event["ts"] + event["dur"] for event in overview)
    assert picoseconds(last) == movie.program.latency_ps // 1000 * 1000
    arrivals = [event["args"].get("arrives_ps", 0) for event in slices(trace, "one_token")]
    assert max(arrivals) <= movie.program.latency_ps


def test_arrows_lead_from_a_message_to_who_waits_for_it(decode):
    """Each message that somebody waits for has one; each transfer leads to the next stage."""
    movie, facts, trace, _ = decode
    program = movie.program
    messages = set(program.message[program.message >= 0].tolist())
    waited = set(
        program.message[program.need_task[program.message[program.need_of]
        != program.message[program.need_task]]].tolist()
    )  # fmt: skip
    links = Counter(program.message[program.message >= 0].tolist())
    wanted = {first for first in messages if first in waited or links[first] > 1}
    by_phase = defaultdict(dict)
    last = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            last[event["tid"]] = event
        elif event["ph"] in "sf" and group_of(trace, event) == "one_token":
            by_phase[event["ph"]][event["id"]] = last[event["tid"]]
    assert len(by_phase["s"]) == len(wanted)
    stage_pairs = set()
    for number, begin in by_phase["s"].items():
        end = by_phase["f"][number]
        if begin["cat"] == "transfer":
            stage_pairs.add((begin["args"]["stage"], end["args"]["stage"]))
            assert end["cat"] == "operator"
        if end["cat"] in ("operator", "weights"):
            assert end["args"]["start_ps"] >= begin["args"]["arrives_ps"]
    stages = program.plan.stage_count
    assert stage_pairs == {(number, number + 1) for number in range(stages - 1)}
    assert facts.arrow_count > len(by_phase["s"])


def test_the_window_shows_every_task_once_during_one_interval(any_trace):
    movie, facts, trace, _ = any_trace
    found = slices(trace, "window_of_serving")
    assert len(found) == facts.task_count
    begin_ps = trace["otherData"]["window_of_serving"]["begins_at_ps"]
    token_ps = max(
        event["ts"] + event["dur"]
        for event in slices(trace, "one_token") + slices(trace, "one_token", overview=True)
    )
    assert begin_ps >= picoseconds(token_ps)
    slots = -(-movie.program.latency_ps // movie.interval_ps)
    for event in found:
        args = event["args"]
        shown_ps = begin_ps + args["start_ps"] - args["step"] * movie.interval_ps
        assert begin_ps <= shown_ps < begin_ps + movie.interval_ps
        assert picoseconds(event["ts"]) == shown_ps // 1000 * 1000
        assert 0 <= args["step"] < slots
        assert (args["slot"] + args["step"]) % slots == 0


def test_serving_shows_requests_on_their_slots(decode, rack):
    _, facts, trace, _ = decode
    begin_ps = trace["otherData"]["serving"]["begins_at_ps"]
    found = slices(trace, "serving")
    rows = rack.requests().set_index("request_id")
    seen = {event["args"]["request"] for event in found}
    started_ms = rows["prefill_start_ms"].dropna()
    assert seen == set(started_ms[started_ms < WINDOW_PS / 10**9].index)
    assert facts.request_count == len(seen) > 3
    for event in found:
        row, args = rows.loc[event["args"]["request"]], event["args"]
        assert args["slot"] == row["slot"]
        assert args["input_tokens"] == row["input_tokens"]
        assert args["queue_wait_ps"] == pytest.approx(
            row["scheduling_delay_ms"] * 10**9, abs=1
        )  # a picosecond: milliseconds as floats
        first, last = (
            ("prefill_start_ms", "first_token_ms")
            if event["cat"] == "prefill"
            else ("first_token_ms", "finish_ms")
        )
        end_ps = args["start_ps"] + args["duration_ps"]
        assert args["start_ps"] == pytest.approx(row[first] * 10**9, abs=1)
        assert end_ps == pytest.approx(row[last] * 10**9, abs=1)
        assert picoseconds(event["ts"]) == (begin_ps + args["start_ps"]) // 1000 * 1000
    kinds = Counter((event["args"]["request"], event["cat"]) for event in found)
    assert set(kinds.values()) == {1}


def test_processes_stand_in_pipeline_order(decode):
    movie, _, trace, _ = decode
    meta = [event for event in trace["traceEvents"] if event["ph"] == "M"]
    order = {e["pid"]: e["args"]["sort_index"] for e in meta if e["name"] == "process_sort_index"}
    names = {e["pid"]: e["args"]["name"] for e in meta if e["name"] == "process_name"}
    chips = [names[pid] for pid in sorted(names, key=order.__getitem__) if "stage" in names[pid]]
    plan = movie.program.plan
    assert chips == [
        f"chip {chip} (stage {stage.number})"
        for stage in plan.stages
        for chip in sorted(stage.chips)
    ]


def test_equal_bytes(rack, decode):
    assert traced(rack)[3] == decode[3]


def test_an_empty_trace_is_a_trace():
    file = io.BytesIO()
    TraceFile(file).close({"why": 'nothing "happened"'})
    assert json.loads(gzip.decompress(file.getvalue())) == {
        "displayTimeUnit": "ns",
        "traceEvents": [],
        "otherData": {"why": 'nothing "happened"'},
    }


def test_names_are_text_whatever_is_in_them():
    file = io.BytesIO()
    trace = TraceFile(file)
    trace.slice(Track(1, 2), 'a"\\\n', "operator", 1_500, 1_600)
    trace.close({})
    (event,) = json.loads(gzip.decompress(file.getvalue()), parse_float=Decimal)["traceEvents"]
    assert event["name"] == 'a"\\\n'
    assert (event["ts"], event["dur"]) == (Decimal("0.001"), Decimal("0.002"))
