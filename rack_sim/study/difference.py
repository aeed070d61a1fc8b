"""Difference: what changed between two runs, key by key, inputs and outputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.compare_columns import COMPARED, LIMITS
from rack_sim.study.compare import Compared, Comparison

# Of a sourced number, what says where it comes from.
_ORIGIN = ("source", "grade", "assumed", "note")
_IDENTITY = {"scenario_hash", "version", "scenario"}


@dataclass(frozen=True)
class Change:
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


def changes(result: Comparison) -> tuple[Change, ...]:
    """What differs between two rows; nothing where there are not two.

    Numbers count by their values: a source changes nothing, and is listed only where the value
    stayed. Inputs come first, then every column of the summary.
    """
    if len(result.rows) != 2:
        return ()
    before, after = result.rows
    return (*_input_changes(before, after), *_output_changes(before, after))


def headlines(found: tuple[Change, ...]) -> list[str]:
    """The changes of what is compared first, each in words."""
    by_key = {change.key: change for change in found if change.kind == "output"}
    said = [_sentence(words, by_key[key]) for key, words in COMPARED.items() if key in by_key]
    for key in LIMITS:
        if key in by_key:
            change = by_key[key]
            said.append(f"{key}: from {change.before or 'nothing'} to {change.after or 'nothing'}")
    return said


def _sentence(words: str, change: Change) -> str:
    before, after, share = change.before, change.after, change.share
    if share is None:
        return f"{words}: from {_plain(before)} to {_plain(after)}"
    verb = "rises" if share > 0 else "falls"
    return f"{words}: {verb} from {_plain(before)} to {_plain(after)} ({share:+.1%})"


def _plain(value: object) -> str:
    if value is None:
        return "none"
    return f"{value:,.6g}" if isinstance(value, int | float) else str(value)


def _input_changes(before: Compared, after: Compared) -> Iterator[Change]:
    old = dict(_flat(before.contender.resolved, ""))
    new = dict(_flat(after.contender.resolved, ""))
    changed = {key for key in {**old, **new} if old.get(key) != new.get(key)}
    for key in {**old, **new}:
        stem, _, last = key.rpartition(".")
        if key not in changed or (last in _ORIGIN and f"{stem}.value" in changed):
            continue
        yield Change("input", key.removesuffix(".value"), old.get(key), new.get(key))


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


def _output_changes(before: Compared, after: Compared) -> Iterator[Change]:
    if before.summary is None or after.summary is None:
        return
    for column in SUMMARY:
        old, new = before.summary[column.name], after.summary[column.name]
        if old != new and column.name not in _IDENTITY:
            yield Change("output", column.name, old, new)
