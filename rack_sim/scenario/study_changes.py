"""Study changes: what a grid study lays on its scenarios, and where two of them clash."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rack_sim.foundation.errors import Problem
from rack_sim.scenario.document import Mark, Marks, quantity_of
from rack_sim.scenario.loader import REFERENCES, path_anchored
from rack_sim.scenario.studies import change_text


@dataclass(frozen=True)
class KeyChange:
    """A key and the value it gets; `group` is whose change it is, `mark` where it stands.

    Groups: "" for every point, ``grid`` for a key of the grid, a number for a named point.
    """

    key: str
    value: Any
    group: str | int
    mark: Mark

    @property
    def text(self) -> str:
        """As `--set` takes it."""
        return change_text(self.key, self.value)

    @property
    def quantities(self) -> tuple[str, ...]:
        """The keys on the way, without units."""
        return tuple(quantity_of(part) for part in self.key.split("."))


def anchor_changes(tree: dict[str, Any], folder: Path) -> None:
    """Writes paths among a study's changes in full: they start at the study's own `folder`.

    The form of the study has not been checked yet.
    """
    points = tree.get("points")
    holders = [tree, *(points if isinstance(points, list) else ())]
    for holder in holders:
        if isinstance(holder, dict) and isinstance(holder.get("overrides"), dict):
            path_anchored(("overrides",), holder["overrides"], folder)
    grid = tree.get("grid")
    for name, given in grid.items() if isinstance(grid, dict) else ():
        bundled = isinstance(given, dict)
        keys = given.get("keys") if bundled else [name]
        values = given.get("values") if bundled else given
        for key in keys if isinstance(keys, list) else ():
            path_anchored(tuple(str(key).split(".")), values, folder)


def changes_of(
    mapping: Mapping[str, Any] | None, group: str | int, marks: Marks
) -> list[KeyChange]:
    """The changes that a mapping of keys and values makes."""
    nowhere = Mark("", None, None)
    return [
        KeyChange(key, value, group, marks.get(mapping, key) or nowhere)
        for key, value in (mapping or {}).items()
    ]


@dataclass(frozen=True)
class AxisValue:
    """A value of an axis: what it changes, all at once, and where it stands."""

    value: Any
    changes: tuple[KeyChange, ...]
    mark: Mark


@dataclass(frozen=True)
class AxisValues:
    """An axis of a grid as it is given: its name, its keys, its values, and where it stands."""

    name: str
    keys: tuple[str, ...]
    values: tuple[AxisValue, ...]
    mark: Mark

    @property
    def changes(self) -> list[KeyChange]:
        """What it changes, at the place of the axis."""
        return [replace(change, mark=self.mark) for change in self.values[0].changes]


def axes_of(grid: Mapping[str, Any] | None, marks: Marks) -> list[AxisValues]:
    """The axes of a grid whose form is right."""
    nowhere = Mark("", None, None)
    axes = []
    for name, given in (grid or {}).items():
        bundled = isinstance(given, dict)
        values = given["values"] if bundled else given
        keys = tuple(given["keys"]) if bundled else (name,)
        at = marks.get(grid, name) or nowhere
        found = []
        for number, value in enumerate(values):
            mark = marks.get(values, number) or at
            changes = tuple(KeyChange(key, value, "grid", mark) for key in keys)
            found.append(AxisValue(value, changes, mark))
        axes.append(AxisValues(name, keys, tuple(found), at))
    return axes


def clashes(changes: Sequence[KeyChange]) -> Iterator[Problem]:
    """Keys that are set twice on the way to one point, also where one holds the other.

    A preset may be chosen and one of its values changed: that is no clash.
    """
    for number, one in enumerate(changes):
        for other in changes[:number]:
            apart = isinstance(one.group, int) and isinstance(other.group, int)
            if apart and one.group != other.group:
                continue
            shorter, longer = sorted((one, other), key=lambda change: len(change.quantities))
            inside = longer.quantities[: len(shorter.quantities)] == shorter.quantities
            refines = shorter.quantities in REFERENCES and shorter.quantities != longer.quantities
            if inside and not refines:
                yield one.mark.problem(
                    f"{one.key} clashes with {other.key}, which {_place(other)} sets",
                    suggestion="each key may be set once on the way to a point",
                )


def placed(problems: Sequence[Problem], changes: Sequence[KeyChange], whose: str) -> list[Problem]:
    """Problems of what was laid on a scenario at its place in the study; others say of which."""
    marks = {f"--set {change.text}": change.mark for change in changes}
    found = []
    for problem in problems:
        mark = marks.get(problem.place)
        if mark is not None:
            moved = replace(problem, place=mark.place, line=mark.line, column=mark.column)
            found.append(moved)
        else:
            message = f"{problem.message} [{whose}]" if whose else problem.message
            found.append(replace(problem, message=message))
    return found


def _place(change: KeyChange) -> str:
    return str(replace(change.mark.problem(""), message="")).rstrip(": ")
