"""Problems: what validation says, in words that name the place, the value and what is allowed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.units import BASE_SUFFIX, split_unit, suffixes_of
from rack_sim.scenario.document import Mark
from rack_sim.scenario.fields import Validation

Built = TypeVar("Built")

_NOUNS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "string_type": "a word",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def from_validation(error: ValidationError, tree: Any, reading: Validation) -> Iterator[Problem]:
    """Each error of pydantic as a Problem at the key it belongs to."""
    for item in error.errors(include_url=False):
        container, key, given, path = _locate(tree, item["loc"])
        kind, context = item["type"], item.get("ctx", {})
        if kind == "missing":
            name = str(item["loc"][-1])
            holder = given if isinstance(given, dict) else container
            if (reading.marks.get(holder), name) in reading.excused:
                continue
            mark = reading.marks.get(container, key) if key is not None else reading.marks.get(tree)
            yield _at(mark, f"key {_spelt(name)} is missing", path)
            continue
        mark = reading.marks.get(container, key)
        if item["loc"][-1] == "[key]":
            given = key
        if kind in _BOUNDS and split_unit(str(key)) and str(item["loc"][-1]) != key:
            unit = split_unit(str(item["loc"][-1]))
            context = {**context, "base": f" {unit[1].suffix}" if unit else " in base units"}
        yield _at(mark, *_describe(kind, context, given, item["msg"]), path)


def _describe(kind: str, context: dict[str, Any], given: Any, message: str) -> tuple[str, ...]:
    if kind in _NOUNS:
        return (f"{_shown(given)} is not {_NOUNS[kind]}",)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return (
            f"{_shown(given)} is out of range: it must be {words} {context[name]}"
            f"{context.get('base', '')}",
        )
    if kind == "literal_error":
        allowed = [
            word.strip("'\"") for word in context["expected"].replace(" or ", ", ").split(", ")
        ]
        return (f"{_shown(given)} is not known", suggest(str(given), allowed))
    if kind == "union_tag_invalid":
        allowed = [word.strip("'\"") for word in context["expected_tags"].split(", ")]
        return (f"kind {context['tag']!r} is not known", suggest(str(context["tag"]), allowed))
    if kind == "union_tag_not_found":
        return ("key 'kind' is missing",)
    if kind == "string_pattern_mismatch":
        return (f"{_shown(given)} must match {context['pattern']}",)
    if kind == "too_short":
        return (f"needs at least {context['min_length']} entries",)
    if kind == "too_long":
        return (f"has {context['actual_length']} entries, not {context['max_length']}",)
    return (f"{message}; given {_shown(given)}",)


def _at(mark: Mark | None, message: str, *rest: str) -> Problem:
    suggestion, path = (rest[0], rest[1]) if len(rest) == 2 else ("", rest[0])
    return (mark or Mark("", None, None)).problem(message, field=path, suggestion=suggestion)


def _locate(tree: Any, loc: Sequence[int | str]) -> tuple[Any, str | int | None, Any, str]:
    """Container, key, value and dotted path in the tree as given, of a location in the model.

    A field in base units is found under the key it was given as; union tags are skipped.
    """
    container: Any = None
    key: str | int | None = None
    value = tree
    path: list[str] = []
    for part in loc:
        found: str | int | None = None
        if isinstance(value, dict):
            found = _key_like(str(part), value)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            found = part
        if found is None:
            continue
        container, key, value = value, found, value[found]
        path.append(str(found))
    return container, key, value, ".".join(path)


def _key_like(name: str, mapping: dict[str, Any]) -> str | None:
    if name in mapping:
        return name
    base = split_unit(name)
    for key in mapping:
        given = split_unit(key)
        if base and given and given[0] == base[0] and given[1].dimension == base[1].dimension:
            return key
    return None


def _spelt(name: str) -> str:
    base = split_unit(name)
    if base and BASE_SUFFIX[base[1].dimension] == base[1].suffix:
        others = [suffix for suffix in suffixes_of(base[1].dimension) if suffix != base[1].suffix]
        return f"{name!r} (or in another unit: {base[0]}_{others[0]}, {base[0]}_{others[1]}, …)"
    return repr(name)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


class ProblemPlaces:
    """Collects problems of the parts, each at its place in the file."""

    def __init__(self, tree: dict[str, Any], reading: Validation) -> None:
        self.tree = tree
        self.reading = reading
        self.problems: list[Problem] = []

    def attempt(self, keys: tuple[str, ...], build: Callable[[], Built]) -> Built | None:
        """The part that `build` makes; its problems are noted where `keys` (and fields) stand."""
        try:
            return build()
        except InputError as error:
            for problem in error.problems:
                if problem.place:
                    self.problems.append(problem)
                else:
                    path = (*keys, *problem.field.split(".")) if problem.field else keys
                    self.complain(path, problem.message, problem.suggestion)
            return None

    def complain(self, keys: tuple[str, ...], message: str, suggestion: str = "") -> None:
        """Notes a problem at the deepest of `keys` that the file has."""
        self.problems.append(replace(self.at(keys), message=message, suggestion=suggestion))

    def at(self, keys: tuple[str, ...]) -> Problem:
        """A problem without words at the deepest of `keys` that the file has."""
        container: Any = None
        key: str | int | None = None
        value: Any = self.tree
        path = []
        for part in keys:
            name: str | int
            if isinstance(value, dict) and (given := _key_like(part, value)) is not None:
                name, inner = given, value[given]
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                name, inner = int(part), value[int(part)]
            elif part == "value":  # a sourced value that is given bare
                continue
            else:
                break
            container, key, value = value, name, inner
            path.append(str(name))
        mark = self.reading.marks.get(container, key) or self.reading.marks.get(self.tree)
        return (mark or Mark("", None, None)).problem("", field=".".join(path))


def in_order(problems: list[Problem]) -> list[Problem]:
    """Problems by file and line, those of one place in the order found."""
    files = {problem.place: number for number, problem in reversed(list(enumerate(problems)))}
    return sorted(problems, key=lambda p: (files[p.place], p.line or 0, p.column or 0))
