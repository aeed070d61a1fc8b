"""Document: a YAML (or JSON) file as plain Python, with the place of every key and value.

Stricter than YAML 1.1 and closer to what people mean: ``1e9`` is a number, ``yes`` and ``on`` are
words, a key given twice is an error, merge keys and tags are errors. JSON files read the same way,
pairs of surrogates in them as the one character they are. What reading takes grows with the length
of the text, which has a limit, as have its depth, its values and its numbers (`work_limits`).
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.units import split_unit
from rack_sim.foundation.work_limits import limit, over_limit, raised, refuse_over

Tree = Any
Keys = dict[str, Any]
"""The keys of a mapping in a file, and their values."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?")
# Floats beyond have gaps of more than one: a whole number there is read digit by digit.
_EXACT_FLOAT_MAX = 2**53


class Mark(NamedTuple):
    """Where something stands; line and column count from 1."""

    place: str
    line: int | None
    column: int | None

    def problem(self, message: str, *, field: str = "", suggestion: str = "") -> Problem:
        """A problem at this place."""
        return Problem(message, self.place, self.line, self.column, field, suggestion)

    def names(self, path: Path, error: InputError) -> InputError:
        """The error of a file that is named here; what is wrong with all of it stands here."""
        return InputError(
            self.problem(
                ": ".join(part for part in (problem.place, problem.message) if part),
                suggestion=problem.suggestion,
            )
            if problem.line is None and problem.place in ("", str(path))
            else problem
            for problem in error.problems
        )


@dataclass
class Marks:
    """The places of keys and values, by the container (its identity) and the key in it.

    Containers are kept alive here, so an identity is never reused while its marks are asked for.
    """

    _by_key: dict[tuple[int, str | int | None], Mark] = field(default_factory=dict)
    _alive: list[Any] = field(default_factory=list)

    def put(self, container: Any, key: str | int | None, mark: Mark) -> None:
        """Notes where `key` of `container` stands; key None is the container itself."""
        self._by_key[id(container), key] = mark
        self._alive.append(container)

    def get(self, container: Any, key: str | int | None = None) -> Mark | None:
        """Where `key` of `container` stands, else where the container does."""
        return self._by_key.get((id(container), key)) or self._by_key.get((id(container), None))

    def copy(self, source: Any, source_key: str | int, target: Any, key: str | int) -> None:
        """`key` of `target` came from `source_key` of `source`."""
        mark = self.get(source, source_key)
        if mark:
            self.put(target, key, mark)


class _Composer(yaml.composer.Composer):
    """Nodes of events: without tags, of limited depth."""

    _depth = 0
    _depth_max = 0

    def get_single_node(self) -> yaml.Node | None:
        self._depth_max = limit("document_depth")
        return super().get_single_node()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[attr-defined]
        tag = getattr(event, "tag", None)
        if tag:
            raise yaml.MarkedYAMLError(
                problem=f"tag {tag!r} is not supported", problem_mark=event.start_mark
            )
        if self._depth > self._depth_max:
            too_deep = _too_deep(self._depth_max)
            raise yaml.MarkedYAMLError(problem=too_deep, problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Loader(_Composer, yaml.SafeLoader):
    """SafeLoader with the scalars of the YAML 1.2 core schema; what is refused is said by it."""

    def scan_to_next_token(self) -> None:
        """JSON may be indented with tabs."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()


def _too_deep(levels: int) -> str:
    """What is wrong with a file of more levels than these, and how to allow more."""
    more = raised("document_depth", levels + 100)
    return f"is nested deeper than {levels} levels (if that is meant, raise it: {more})"


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", "n~\0"),
    ("int", r"[-+]?[0-9]+(?:_[0-9]+)*", "-+0123456789"),
    (
        "float",
        # Each character fits in one place only, so that no text is tried in many ways.
        r"[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan|NaN|nan|"
        r"[-+]?Infinity|[-+]?inf",
        "-+.0123456789NnIi",
    ),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"^(?:{_pattern})$"),
        list(_first.replace("\0", "")),
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
IMPLICIT_RESOLVERS = _Loader.yaml_implicit_resolvers
"""Which plain words are not text, by first character."""

if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _FastLoader(_Composer, CParser, yaml.resolver.Resolver):
        """The same on the parser of libyaml, where it is there: five times as fast."""

        yaml_implicit_resolvers = IMPLICIT_RESOLVERS

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _Composer.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    # What it reads otherwise than _Loader; tests/properties/test_yaml_parsers.py looks for more.
    _READ_OTHERWISE = re.compile(r"[\t?\ufeff]|[|>]\S*#")


def read_document(path: Path, marks: Marks, duplicates: list[Problem] | None = None) -> Tree:
    """The content of a file; see `parse_document`. Raises InputError where it cannot be read."""
    place = str(path)
    try:
        if path.is_file() and path.stat().st_size > limit("document_bytes"):
            refuse_over("document_bytes", path.stat().st_size, "the file", place=place)
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(Problem("no such file", place)) from None
    except IsADirectoryError:
        raise InputError(Problem("is a directory, a file is needed", place)) from None
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", place)) from None
    except ValueError:
        raise InputError(Problem("no file has such a name", place)) from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line, column = _position(data[: error.start].decode())
        message = f"is not UTF-8 text (byte {error.start})"
        raise InputError(
            Problem(message, place, line, column, suggestion="save it as UTF-8")
        ) from None
    return parse_document(_LINE_ENDS.sub("\n", text), place, marks, duplicates)


def parse_document(
    text: str, place: str, marks: Marks, duplicates: list[Problem] | None = None
) -> Tree:
    """The content of `text`. Raises InputError with every problem of its form.

    Keys given twice do not hide what else is wrong: where a list of `duplicates` is given they are
    noted there, the first value counts, and the caller raises them with whatever it finds.
    """
    node = _composed(text, place)
    if node is None:
        raise InputError(Problem("is empty", place, 1, 1))
    builder = _Builder(place, marks)
    tree = builder.build(node, 0)
    if builder.problems or (duplicates is None and builder.duplicates):
        raise InputError([*builder.problems, *builder.duplicates])
    if duplicates is not None:
        duplicates += builder.duplicates
    return tree


def _composed(text: str, place: str) -> yaml.Node | None:
    """The nodes of `text`. Raises InputError where it has not the form of YAML."""
    if yaml.__with_libyaml__ and not _READ_OTHERWISE.search(text):
        with suppress(yaml.YAMLError, ValueError, OverflowError, RecursionError):
            return _FastLoader(text).get_single_node()  # else the other says what is wrong
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        message = error.problem or error.context or "is not YAML"
        raise InputError(
            Problem(message, place, at.line + 1 if at else None, at.column + 1 if at else None)
        ) from None
    except yaml.reader.ReaderError as error:
        line, column = _position(text[: error.position])
        message = f"character U+{ord(text[error.position]):04X} cannot stand here as it is"
        hint = "in double quotes it is written \\uXXXX"
        raise InputError(Problem(message, place, line, column, suggestion=hint)) from None
    except RecursionError:
        raise InputError(Problem("is nested too deep to be read", place, 1, 1)) from None
    except (ValueError, OverflowError) as error:  # an escape that names no character
        line, column = (loader.line + 1, loader.column + 1) if loader else (1, 1)
        raise InputError(Problem(f"cannot be read: {error}", place, line, column)) from None


def _position(before: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows on `before`."""
    lines = _LINE_ENDS.sub("\n", before).split("\n")
    return len(lines), len(lines[-1]) + 1


class _Builder:
    """Turns YAML nodes into Python values and notes their places."""

    def __init__(self, place: str, marks: Marks) -> None:
        self.place = place
        self.marks = marks
        self.problems: list[Problem] = []
        self.duplicates: list[Problem] = []
        self.value_count = 0
        self.values_max = limit("document_values")
        self.depth_max = limit("document_depth")

    def build(self, node: yaml.Node, depth: int) -> Tree:
        self.value_count += 1
        if self.value_count > self.values_max:
            found = over_limit(
                "document_values",
                self.value_count,
                "the file, aliases written out",
                **self._mark(node)._asdict(),
            )
            raise InputError(found or ())
        if depth > self.depth_max:
            self._complain(node, _too_deep(self.depth_max))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            items: list[Tree] = []
            self.marks.put(items, None, self._mark(node))
            for number, child in enumerate(node.value):
                items.append(self.build(child, depth + 1))
                self.marks.put(items, number, self._mark(child))
            return items
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Tree]:
        found: dict[str, Tree] = {}
        self.marks.put(found, None, self._mark(node))
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(key_node, "a key must be a word")
                continue
            key = self._text(key_node)
            if key == "<<":
                self._complain(key_node, "merge keys are not supported; write the values out")
            elif key in found:
                first = self.marks.get(found, key)
                line = first.line if first else None
                message = f"key {key!r} is given twice (first on line {line})"
                self.duplicates.append(self._mark(key_node).problem(message))
            else:
                found[key] = self.build(value_node, depth + 1)
                self.marks.put(found, key, self._mark(key_node))
        return found

    def _scalar(self, node: yaml.Node) -> Tree:
        tag = node.tag.rpartition(":")[2]
        text = str(node.value)
        if tag == "bool":
            return text == "true"
        if tag == "null":
            return None
        if tag in ("int", "float"):
            return self._number(node, text)
        if tag != "str":
            self._complain(node, f"tag {node.tag!r} is not supported")
        return self._text(node)

    def _number(self, node: yaml.Node, text: str) -> int | float | None:
        at = self._mark(node)
        too_long = over_limit("number_digits", len(text), "a number", **at._asdict())
        if too_long:
            self.problems.append(too_long)
            return None
        lowered = text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
        if lowered.lstrip("+-").isdecimal():
            try:
                return int(lowered)
            except ValueError:  # Python has a limit of its own
                self._complain(node, f"a number of {len(lowered):,} digits is too long")
                return None
        number = float(lowered)
        # 1e6 is how people write a count.
        if "e" not in lowered or "." in lowered or number % 1 != 0:
            return number
        return int(number) if abs(number) < _EXACT_FLOAT_MAX else int(Decimal(lowered))

    def _text(self, node: yaml.Node) -> str:
        """A word, pairs of surrogates (as JSON escapes what is beyond 16 bits) put together."""
        text = str(node.value)
        if not _SURROGATE.search(text):
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._complain(node, "half a pair of surrogates is no character")
            return ""

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.place, node.start_mark.line + 1, node.start_mark.column + 1)

    def _complain(self, node: yaml.Node, message: str) -> None:
        self.problems.append(self._mark(node).problem(message))


def merged(base: Tree, over: Tree, marks: Marks) -> Tree:
    """`base` with `over` laid on top, mapping by mapping; places follow their values.

    Quantities replace each other whatever their unit: ``latency_ns`` over ``latency_us`` leaves
    only the former.
    """
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    replaced = {quantity_of(key) for key in over if key not in base}
    result: dict[str, Tree] = {}
    own = marks.get(over) or marks.get(base)
    if own:
        marks.put(result, None, own)
    for key, value in base.items():
        if key not in over and quantity_of(key) in replaced and quantity_of(key) != key:
            continue
        result[key] = value
        marks.copy(base, key, result, key)
    for key, value in over.items():
        result[key] = merged(base[key], value, marks) if key in base else value
        marks.copy(over, key, result, key)
    return result


def quantity_of(key: str) -> str:
    """`key` without its unit, where it ends in one."""
    found = split_unit(key)
    return found[0] if found else key
