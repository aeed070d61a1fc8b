"""Difference: what changed between two runs, key by key, inputs and outputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.compare_columns import COMPARED, LIMITS
from rack_sim.metrics.summary import Value
from rack_sim.metrics.words import PHASES, TERMS

# Of a sourced number, what says where it comes from.
_ORIGIN = ("source", "grade", "assumed", "note")
# mean latency -> words, and how the columns of its parts begin and end
_PARTS = {
    "ttft_ms_mean": ("the mean TTFT", "ttft_", "_ms_mean"),
    "itl_ms_mean": ("the mean gap between tokens", "tpot_", "_ms"),
}
# A part, as its column is named.
_PART_WORDS = {
    **{name: words.phrase for name, words in PHASES.items()},
    **{name: words.name for name, words in TERMS.items()},
}
_IDENTITY = {"scenario_hash", "version", "scenario"}


@dataclass(frozen=True)
class RunChange:
    """One key that differs; None where one side has no such key, or no value."""

    kind: str
    key: str
    before: object
    after: object

    @property
    def share(self) -> float | None:
        """By which part of what it was it grew; None where it is no number, or was nothing."""
        before, after = self.before, self.after
        if isinstance(before, bool) or isinstance(after, bool):
            return None
        if isinstance(before, int | float) and isinstance(after, int | float) and before:
            return after / before - 1
        return None


@dataclass(frozen=True)
class RunSide:
    """One of two runs: its scenario with every default, and its summary, if it could run."""

    resolved: Mapping[str, Any]
    summary: Mapping[str, Value] | None


def changes(before: RunSide, after: RunSide) -> tuple[RunChange, ...]:
    """What differs between two runs.

    Numbers count by their values: a source changes nothing, and is listed only where the value
    stayed. Inputs come first, then every column of the summary.
    """
    return (*_input_changes(before, after), *_output_changes(before, after))


def headlines(found: tuple[RunChange, ...]) -> list[str]:
    """The changes of what is compared first, each in words."""
    by_key = {change.key: change for change in found if change.kind == "output"}
    said = [_sentence(words, by_key[key]) for key, words in COMPARED.items() if key in by_key]
    return [*said, *reasons(found)]


def reasons(found: tuple[RunChange, ...]) -> list[str]:
    """What is behind the changes of what is compared: what binds, and which part moved most."""
    by_key = {change.key: change for change in found if change.kind == "output"}
    said = []
    for key, words in LIMITS.items():
        if key in by_key:
            change = by_key[key]
            said.append(
                f"{words}: from {change.before or 'nothing'} to {change.after or 'nothing'}"
            )
    return [*(line.replace("_", " ") for line in said), *causes(found)]


def causes(found: tuple[RunChange, ...]) -> list[str]:
    """Of a mean latency that changed, which part of it changed most, in words.

    The parts add up to the mean, so their changes add up to its change.
    """
    by_key = {change.key: change for change in found if change.kind == "output"}
    said = []
    for metric, (words, prefix, suffix) in _PARTS.items():
        whole = by_key.get(metric)
        grown = _difference(whole) if whole else None
        if not grown:
            continue
        parts = {
            key.removeprefix(prefix).removesuffix(suffix): part
            for key, change in by_key.items()
            if key.startswith(prefix)
            and key.endswith(suffix)
            and key.removeprefix(prefix).removesuffix(suffix) in _PART_WORDS
            and (part := _difference(change)) is not None
        }
        # What moves the other way explains nothing.
        with_it = {name: part for name, part in parts.items() if part * grown > 0}
        if with_it:
            most = max(with_it, key=lambda name: abs(with_it[name]))
            said.append(
                f"{words} changes by {grown:+.4g} ms; {with_it[most]:+.4g} ms of it is "
                f"{_PART_WORDS[most]}"
            )
    return said


def _difference(change: RunChange) -> float | None:
    before, after = change.before, change.after
    if isinstance(before, int | float) and isinstance(after, int | float):
        return after - before
    return None


def _sentence(words: str, change: RunChange) -> str:
    before, after, share = change.before, change.after, change.share
    if share is None:
        return f"{words}: from {_plain(before)} to {_plain(after)}"
    verb = "rises" if share > 0 else "falls"
    return f"{words}: {verb} from {_plain(before)} to {_plain(after)} ({share:+.1%})"


def _plain(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value)


def _input_changes(before: RunSide, after: RunSide) -> Iterator[RunChange]:
    old = dict(_flat(before.resolved, ""))
    new = dict(_flat(after.resolved, ""))
    changed = {key for key in {**old, **new} if old.get(key) != new.get(key)}
    for key in {**old, **new}:
        stem, _, last = key.rpartition(".")
        if key not in changed or (last in _ORIGIN and f"{stem}.value" in changed):
            continue
        yield RunChange("input", key.removesuffix(".value"), old.get(key), new.get(key))


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - a tree of YAML
    """Every leaf by its dotted path; a list of plain values is one leaf."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{path}.{number}")
    else:
        yield path, value


def _output_changes(before: RunSide, after: RunSide) -> Iterator[RunChange]:
    if before.summary is None or after.summary is None:
        return
    for column in SUMMARY:
        old, new = before.summary[column.name], after.summary[column.name]
        if old != new and column.name not in _IDENTITY:
            yield RunChange("output", column.name, old, new)
