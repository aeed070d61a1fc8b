"""Plausible sizes: what a file asks for, checked against the limits of work before any work.

A field's name says which limit holds for it (`replicas`), or its unit does (a rate, a latency), so
that a new field of a known unit is checked without being listed here.
"""

from collections.abc import Iterator

from rack_sim.foundation.errors import Problem
from rack_sim.foundation.units import PS_PER_S
from rack_sim.foundation.work_limits import over_limit, under_limit
from rack_sim.scenario.fields import Model, Sourced

Path = tuple[str, ...]

_LIMIT_OF = {
    "replicas": "replicas",
    "prefill_replicas": "replicas",
    "stages": "layers",
    "tensor_parallel": "chips",
    "slot_rows": "slots",
    "concurrent_sequences": "slots",
    "max_sequences": "slots",
    "max_context_tokens": "prompt_tokens",
    "token_budget": "prompt_tokens",
    "request_count": "requests",
    "users": "requests",
    "sessions": "requests",
}
_LENGTHS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "output_tokens",
    "shared_prefix": "prompt_tokens",
}
_LEAST_OF = {"_flop_per_s": "least_flop_per_s", "_bytes_per_s": "least_bytes_per_s"}
# Times of one operator, hop or launch; timeouts and objectives of users may be as long as they say.
_SHORT_TIMES = ("latency_ps", "_host_ps", "_jitter_ps")


def implausible(value: object, path: Path = ()) -> Iterator[tuple[Path, Problem]]:
    """Every number below `value` that is over a limit or under one, with its path."""
    if isinstance(value, Sourced):
        value = getattr(value, "value")  # noqa: B009 - every subclass has one
    if isinstance(value, Model):
        for name in type(value).model_fields:
            yield from implausible(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from implausible(item, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from implausible(item, (*path, str(number)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        problem = _judged(value, path)
        if problem is not None:
            yield path, problem


def _judged(number: int | float, path: Path) -> Problem | None:
    """What is wrong with a number; None where nothing is, or no limit holds for it."""
    name = next((part for part in reversed(path) if not part.isdigit()), "")
    lengths = next((_LENGTHS[part] for part in path if part in _LENGTHS), None)
    if lengths:
        counted = name.endswith("tokens") or (name == "quantiles" and path[-1] == "1")
        return over_limit(lengths, number) if counted else None
    if name in _LIMIT_OF:
        return over_limit(_LIMIT_OF[name], number)
    for key in path:
        for suffix, limit_name in _LEAST_OF.items():
            if key.endswith(suffix):
                whose = ".".join(path[:-1]).removeprefix("system.")
                zero = Problem(f"the rate of {whose} is zero")
                return under_limit(limit_name, number) if number else zero
    if name.endswith(_SHORT_TIMES):
        return over_limit("latency_s", number / PS_PER_S)
    return None
