"""Limits of work: how much one command may be asked to do, in one table.

Each limit is far above what a rack of today needs and below what a mistyped number asks for (a
billion layers, a zstd file that unpacks for ever). It is checked before the work begins. Who needs
more raises it for one command or a shell: ``RACK_SIM_LIMITS="layers=2000,trace_rows=1e9"``.

`limit` reads one, `over_limit` says what is wrong with a number (None where nothing is),
`refuse_over` raises it. docs/limits.md is made from this table.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from rack_sim.foundation.errors import InputError, Problem, suggest

VARIABLE = "RACK_SIM_LIMITS"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: its name in `RACK_SIM_LIMITS`, what is allowed unless raised, and what it guards.

    `unit` is what is counted, in the plural; a number that equals the limit is allowed. `least`
    says that smaller numbers are refused, not larger ones. Nobody can raise it above `farthest`,
    where there is one.
    """

    name: str
    default: int
    unit: str
    guards: str
    least: bool = False
    farthest: int | None = None


# assumed: every default, as a round number some ten times what the largest published machine,
# model or trace needs, and which a laptop still survives. None is a limit of the method.
LIMITS: tuple[Limit, ...] = (
    Limit("chips", 100_000, "chips", "the chips of one system"),
    Limit("cables", 1_000_000, "cables", "the cables of a topology, up to chips squared"),
    Limit("replicas", 20_000, "replicas", "the copies of the model that serve side by side"),
    Limit("layers", 2_000, "layers", "num_hidden_layers of a model"),
    Limit("experts", 16_384, "experts", "the experts of one layer of a model"),
    Limit("hidden_size", 1_048_576, "numbers", "every width of a model: hidden, heads, vocabulary"),
    Limit("prompt_tokens", 20_000_000, "tokens", "the prompt of one request"),
    Limit("output_tokens", 20_000_000, "tokens", "the answer of one request"),
    Limit("slots", 1_000_000, "slots", "the slots that revolve on one pipeline"),
    Limit("tasks", 50_000_000, "tasks", "the operators and vectors of one compiled step"),
    Limit("requests", 1_000_000_000, "requests", "request_count of a workload that is drawn"),
    Limit("points", 1_000_000, "points", "the points of a sweep, grid or search"),
    Limit("document_bytes", 50_000_000, "bytes", "a scenario, preset, model or journal file"),
    Limit("document_values", 1_000_000, "values", "what such a file holds, aliases written out"),
    Limit("document_depth", 100, "levels", "how deep such a file nests"),
    Limit("number_digits", 1_000, "digits", "one number as it is written, in any file or option"),
    Limit("line_bytes", 50_000_000, "bytes", "one line of a trace or table"),
    Limit("trace_rows", 200_000_000, "rows", "the rows of a trace"),
    Limit("held_rows", 10_000_000, "rows", "the rows of a trace in memory to be put in order"),
    Limit("group_values", 200_000_000, "numbers", "the lists of one row group of a Parquet trace"),
    Limit("unpacked_bytes", 100_000_000_000, "bytes", "what a compressed trace unpacks to"),
    Limit("unpacking_ratio", 1_000, "bytes", "what a byte of a packed trace may unpack to"),
    Limit("wall_s", 86_400, "seconds", "the estimated time of a run; above it, refused"),
    Limit("wall_note_s", 60, "seconds", "the estimated time of a run; above it, a note"),
    Limit("memory_bytes", 64_000_000_000, "bytes", "the estimated memory of a run; above, refused"),
    Limit("memory_note_bytes", 4_000_000_000, "bytes", "the estimated memory; above it, a note"),
    Limit("latency_s", 10, "seconds", "one hop, operator or launch"),
    # The clock counts picoseconds in 64 bits: 106 days. A step leaves room to add up several.
    Limit("step_s", 86_400, "seconds", "one step or iteration of a model", farthest=10**6),
    Limit("least_flop_per_s", 10**9, "FLOP/s", "the rate of a matrix or vector unit", least=True),
    Limit("least_bytes_per_s", 10**6, "bytes/s", "the rate of a memory or link", least=True),
)
_BY_NAME: Mapping[str, Limit] = {entry.name: entry for entry in LIMITS}
# Digits, a decimal part, a power of ten: each of bounded length, so that no pattern runs long.
_NUMBER = re.compile(r"(\d{1,30})(?:\.(\d{1,30}))?(?:[eE]\+?(\d{1,2}))?")


def limit(name: str) -> int:
    """The limit called `name`: its default, or what `RACK_SIM_LIMITS` raises or lowers it to."""
    entry = _BY_NAME[name]
    return _stated(os.environ.get(VARIABLE, "")).get(name, entry.default)


def over_limit(
    name: str,
    given: int | float,
    what: str = "",
    *,
    place: str = "",
    line: int | None = None,
    column: int | None = None,
    field: str = "",
) -> Problem | None:
    """What is wrong with `given`, the size of `what`; None where the limit `name` allows it.

    `what` may be empty where a field says it.
    """
    allowed = limit(name)
    if given <= allowed:
        return None
    unit = _BY_NAME[name].unit
    return Problem(
        f"{_of(what)}{_readable(given)} {unit}, more than the limit of {_readable(allowed)}",
        place=place,
        line=line,
        column=column,
        field=field,
        suggestion=_way_out(name, given),
    )


def under_limit(name: str, given: int | float, what: str = "") -> Problem | None:
    """What is wrong with `given`, the rate of `what`; None where the least rate allows it."""
    allowed = limit(name)
    if given >= allowed:
        return None
    return Problem(
        f"{_of(what)}{_readable(given)} {_BY_NAME[name].unit}, less than the limit of "
        f"{_readable(allowed)}",
        suggestion=f"is a unit wrong? if not, lower it: {VARIABLE}={name}={max(int(given), 1)}",
    )


def refuse_over(
    name: str, given: int | float, what: str, *, place: str = "", field: str = ""
) -> None:
    """Raise InputError where `given`, the size of `what`, is over the limit `name`."""
    problem = over_limit(name, given, what, place=place, field=field)
    if problem is not None:
        raise InputError(problem)


def raised(name: str, needed: int | float) -> str:
    """The setting that allows `needed`, to type before a command; empty where none does."""
    typed, farthest = _typed(needed), _BY_NAME[name].farthest
    if not typed or (farthest is not None and needed > farthest):
        return ""
    return f"{VARIABLE}={name}={typed}"


def limits_markdown() -> str:
    """docs/limits.md: the table of limits and how to change them."""
    rows = "\n".join(
        f"| `{entry.name}` | {'at least ' if entry.least else ''}{entry.default:,} {entry.unit} "
        f"| {entry.guards} |"
        for entry in LIMITS
    )
    return f"""# Limits

Generated from `rack_sim/foundation/work_limits.py` by `scripts/refresh`.

A mistyped number can ask for a billion layers, a small file can unpack for ever. So that nothing
runs without an end or fills the memory, each size below is checked before the work begins; what is
over its limit is refused with exit code 2, and the message says what was given, what is allowed and
how to raise it. The limits lie far above what machines, models and traces of today need; none is a
limit of the method.

To raise (or lower) some, set the variable `{VARIABLE}`:

    {VARIABLE}="layers=5000,trace_rows=1e9" rack-sim run my.yaml

Names and numbers are read strictly: a name that is not in the table, a number that is not whole and
at least 1, or a name given twice is refused. The limits change no result: a run that both allow
gives the same bytes under either.

| name | allowed unless changed | what it guards |
|---|---|---|
{rows}

Rates below the least ones are slips of a unit (FLOP/s for TFLOP/s, say): a run on such a machine
takes years of its time and may never end in ours. Whoever lowers them meets the clock, which counts
picoseconds in 64 bits: a step of more than `step_s`, which nobody can raise above
{_BY_NAME["step_s"].farthest:,}, is refused, and so is a replay as soon as it would go on after 106
days of its time.

Times and memory are estimated before a run from what it will do (tasks, requests, tokens, bins of
time), with rates measured on an AMD EPYC core; a note on stderr says the estimate where it is over
`wall_note_s` or `memory_note_bytes`. Of a sweep, a load study and a search for a system the note
counts all replays; refused over `wall_s` or `memory_bytes` is each replay by itself.
"""


@lru_cache(maxsize=8)
def _stated(text: str) -> Mapping[str, int]:
    """The limits that the variable's `text` states; every problem at once."""
    stated: dict[str, int] = {}
    problems = []
    for part in text.split(",") if text.strip() else ():
        name, _, number = (side.strip() for side in part.partition("="))
        value = _whole(number)
        if name not in _BY_NAME:
            problems.append(_problem(f"there is no limit {_shown(name)}", suggest(name, _BY_NAME)))
        elif name in stated:
            problems.append(_problem(f"{name} is given twice", "leave one"))
        elif value is None or value < 1:
            hint = f"such as {name}={_BY_NAME[name].default} or {name}=1e9"
            problems.append(
                _problem(f"{name}={_shown(number)} is not a whole number of at least 1", hint)
            )
        else:
            stated[name] = value
            problems += _too_far(_BY_NAME[name], value)
    if problems:
        raise InputError(problems)
    return stated


def _too_far(entry: Limit, value: int) -> list[Problem]:
    if entry.farthest is None or value <= entry.farthest:
        return []
    message = f"{entry.name}={_readable(value)} is more than can be simulated"
    return [_problem(message, f"at most {entry.name}={entry.farthest}")]


def _whole(text: str) -> int | None:
    """The whole number that `text` writes, None where it writes none: 2000, 1e9, 1.5e6."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    whole, part, power = found[1], found[2] or "", int(found[3] or 0)
    if len(part.rstrip("0")) > power:
        return None
    return int(whole + part.ljust(power, "0")[:power])


def _typed(needed: int | float) -> str:
    """A number as it is typed, at least `needed`: whole, or a power of ten where it is long.

    Empty where it is longer than `_whole` reads.
    """
    if needed < 10**15:
        return str(math.ceil(needed))
    return next((f"1e{power}" for power in range(15, 100) if needed <= 10**power), "")


def _way_out(name: str, needed: int | float) -> str:
    setting = raised(name, needed)
    if setting:
        return f"is a digit or a unit wrong? if not, raise it: {setting}"
    farthest = _BY_NAME[name].farthest
    end = "" if farthest is None else f" {name} is at most {_readable(farthest)}"
    return f"is a digit or a unit wrong?{end}"


def _of(what: str) -> str:
    return f"{what}: " if what else ""


def _problem(message: str, suggestion: str) -> Problem:
    return Problem(message, place=f"environment variable {VARIABLE}", suggestion=suggestion)


def _shown(text: str) -> str:
    """A foreign text as it may be printed: on one line, not long, no control character."""
    return repr(text if len(text) <= 40 else text[:40] + "…")


def _readable(number: int | float) -> str:
    """A count for people, also one of a thousand digits."""
    if isinstance(number, float):
        return f"{number:,.0f}" if number < 10**15 else f"{number:.3g}"
    if number < 10**15:
        return f"{number:,}"
    return f"about 10^{math.floor(math.log10(number))}"
