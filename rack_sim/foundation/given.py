"""Given: what the caller of a public function passed, checked by type before it is used."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path

from rack_sim.foundation.errors import InputError, Problem

_SHOWN_CHARACTERS = 60


class Given:
    """A collector of arguments of wrong types of one function.

    Call a method for each argument, then `finish`, which raises one InputError with every problem:
    the argument's name, what was given, and what is allowed.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._problems: list[Problem] = []

    def kind(self, name: str, value: object, kinds: type | tuple[type, ...], allowed: str) -> None:
        """Check that `value` is an instance of one of `kinds`."""
        self._that(isinstance(value, kinds), name, value, allowed)
        if isinstance(value, str | Path) and "\0" in str(value):
            self._that(False, name, value, f"{allowed}, without the character NUL")

    def flag(self, name: str, value: object) -> None:
        """Check that `value` is True or False."""
        self._that(isinstance(value, bool), name, value, "True or False")

    def whole(self, name: str, value: object, *, or_none: str = "") -> None:
        """Check that `value` is a whole number, or None, which means what `or_none` says."""
        self._that(
            _is_whole(value) or (bool(or_none) and value is None),
            name,
            value,
            "a whole number" + (f", or None: {or_none}" if or_none else ""),
        )

    def number(self, name: str, value: object, *, or_none: str) -> None:
        """Check that `value` is a number, or None, which means what `or_none` says."""
        usable = value is None or _is_number(value)
        self._that(usable, name, value, f"a number, or None: {or_none}")

    def wholes(self, name: str, value: object, *, or_none: str) -> None:
        """Check that `value` is whole numbers, or None, which means what `or_none` says."""
        usable = value is None or (
            isinstance(value, Iterable | Collection)
            and not isinstance(value, str | bytes | Mapping)
            and all(map(_is_whole, value))
        )
        self._that(usable, name, value, f"a list of whole numbers, or None: {or_none}")

    def function(self, name: str, value: object, *, or_none: bool = False) -> None:
        """Check that `value` can be called, or is None where that is allowed."""
        usable = isinstance(value, Callable) or (or_none and value is None)  # type: ignore[arg-type]
        self._that(usable, name, value, "a function" + (", or None" if or_none else ""))

    def finish(self) -> None:
        """Raise InputError with every problem noted so far, if there is one."""
        if self._problems:
            raise InputError(self._problems)

    def _that(self, usable: bool, name: str, value: object, allowed: str) -> None:
        if not usable:
            message = f"{_shown(value)} was given; it is {allowed}"
            self._problems.append(Problem(message, self._function, field=name))


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    """Whether it is a number that floats have; no infinity, and nothing beyond their range."""
    if isinstance(value, bool):
        return False
    try:
        return isinstance(value, Real) and math.isfinite(float(value))
    except OverflowError:
        return False


def _shown(value: object) -> str:
    """A small value as it is, of any other its type."""
    if value is None or isinstance(value, str | int | float | list | tuple):
        text = repr(value[:20] if isinstance(value, list | tuple) else value)
        if len(text) <= _SHOWN_CHARACTERS:
            return text
    return type(value).__name__
