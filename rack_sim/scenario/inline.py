"""Inline: a system in one line, where a file would say no more.

``torus:4x8,latency_ns=700,failed=0-1`` is a kind of topology, its sizes, and ``key=value`` for what
is not as usual. The line becomes the tree that a file of the same content would give, and goes the
way of that tree: what is checked there is checked here. What the line does not say of links is
taken from the preset `groq-node-8`, and chips have the ports that the topology needs.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

from rack_sim.foundation.errors import InputError, suggest
from rack_sim.foundation.units import split_unit, suffixes_of
from rack_sim.hardware.builders import BUILDERS
from rack_sim.hardware.system import System
from rack_sim.scenario.build import build_system_alone
from rack_sim.scenario.document import Mark, Marks, quantity_of, read_document
from rack_sim.scenario.fields import SourcedCount, SourcedWhole, Validation
from rack_sim.scenario.library import find, is_path
from rack_sim.scenario.loader import load_system_tree
from rack_sim.scenario.topology_schema import ShapeSchema, topology_models

_GIVEN = "given on the command line"
_CHIP = "groq-lpu-v1"
_LINKS_OF = "groq-node-8"
# While it is not known how many ports are needed: the most that a chip may have.
_PORTS_PLENTY = 10**9
# A line may be longer than a name in a file; where problems stand, its beginning is enough.
_SHOWN_MAX = 200

Container = TypeVar("Container")


class _Kind(NamedTuple):
    """A kind of topology: its keys, and what the sizes are that may be given."""

    schema: type[ShapeSchema]
    sizes: tuple[tuple[str, ...], ...]
    example: str

    def own_keys(self) -> Iterator[str]:
        """Keys of the kind that are no sizes."""
        known = {"kind", *ShapeSchema.model_fields, *(name for form in self.sizes for name in form)}
        return (name for name in self.schema.model_fields if name not in known)


def _kinds() -> dict[str, _Kind]:
    """The builders that a line may name."""
    return {
        kind: _Kind(topology_models()[kind], builder.sizes, builder.example)
        for kind, builder in BUILDERS.items()
        if builder.example
    }


class _Quantity(NamedTuple):
    """What a key with a unit says of links: of which, and under which key of a file."""

    dimension: str
    scope: str
    stem: str
    example: str


# Links inside a node are those of "local"; "global" starts as a copy of them.
_QUANTITIES = {
    "link": _Quantity("bandwidth", "local", "rate", "link_gbytes_per_s"),
    "latency": _Quantity("time", "local", "latency", "latency_ns"),
    "global_link": _Quantity("bandwidth", "global", "rate", "global_link_gbytes_per_s"),
    "global_latency": _Quantity("time", "global", "latency", "global_latency_ns"),
    "payload": _Quantity("size", "local", "payload", "payload_bytes"),
    "wire": _Quantity("size", "local", "wire", "wire_bytes"),
}


def is_inline(reference: str) -> bool:
    """Whether `reference` is meant as a system in one line, not as a file or a preset."""
    if _kind_name(re.split("[:,]", reference, maxsplit=1)[0]) in _kinds():
        return True
    return ":" in reference and not is_path(reference)


def inline_system(text: str, reading: Validation) -> System:
    """The system that `text` describes, called by that text.

    Raises InputError with every problem found.
    """
    line = _Line(text, reading)
    tree = line.read()
    try:
        whole = load_system_tree(tree, reading)
    except InputError as error:
        raise InputError([*reading.problems, *error.problems]) from None
    system = build_system_alone(whole, reading)
    topology, ports = system.topology, system.chip.port_count
    if "ports" not in line.given:
        ports = max(1, *topology.ports_used())
    return replace(
        system,
        name=text,
        chip=replace(system.chip, port_count=ports),
        topology=replace(topology, name=text, port_count=ports),
    )


class _Line:
    """Reads one line into the tree that a file would give, and notes what is wrong with it."""

    def __init__(self, text: str, reading: Validation) -> None:
        self.text = text
        self.reading = reading
        self.shown = text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 1] + "…"
        self.mark = Mark(self.shown, None, None)
        # Quantities and words given so far, and the key each was given as.
        self.given: dict[str, str] = {}
        self.shape = self._marked(dict[str, Any]())
        self.chip = self._marked({"preset": _CHIP, "port_count": _PORTS_PLENTY})
        self.links: dict[str, dict[str, Any]] = {"local": {}, "global": {}}

    def read(self) -> dict[str, Any]:
        """The tree of the line; problems are noted in the reading."""
        head, *options = self.text.split(",")
        word, _, sizes = head.partition(":")
        name = _kind_name(word)
        kinds = _kinds()
        kind = kinds.get(name)
        tree = self._marked({"name": self.shown, "chip": self.chip})
        if kind:
            tree["topology"] = self.shape
            self.shape["kind"] = name
            self._read_sizes(kind, sizes.strip())
        else:
            words = [other.replace("_", "-") for other in kinds]
            self._complain("", f"kind {word.strip()!r} is not known", suggest(word.strip(), words))
            self.reading.excused.add((self.mark, "topology"))
        own: dict[str, type[ShapeSchema]] = {}
        for known in [kind] if kind else kinds.values():
            own |= dict.fromkeys(known.own_keys(), known.schema)
        for option in options:
            self._read_option(option, own)
        tree["links"] = self._all_links()
        tree["host_watts_per_node"] = {"value": 0, "assumed": "an inline system has no host"}
        return tree

    def _read_sizes(self, kind: _Kind, sizes: str) -> None:
        texts = [size.strip() for size in sizes.split("x")] if sizes else []
        forms = {len(form): form for form in kind.sizes}
        wanted = " or ".join(str(count) for count in forms)
        if len(texts) not in forms:
            message = f"takes {wanted} sizes, not {len(texts)}" if texts else "sizes are missing"
            self._complain("", message.replace("1 sizes", "one size"), f"as in {kind.example}")
            for form in kind.sizes:
                self.reading.excused |= {(self.mark, name) for name in form}
            return
        for name, text in zip(forms[len(texts)], texts, strict=True):
            number = int(text) if re.fullmatch("[0-9]{1,18}", text) else 0
            if not number:
                self._complain(
                    "",
                    f"size {text!r} is not a whole number of at least 1",
                    f"as in {kind.example}",
                )
                self.reading.excused.add((self.mark, name))
            elif name == "sides":
                self.shape.setdefault(name, self._marked([])).append(self._sourced(number))
            else:
                self.shape[name] = self._sourced(number)
        if len(self.shape.get("sides", texts)) < len(texts):
            del self.shape["sides"]  # so that what is wrong is not counted again as too few

    def _read_option(self, option: str, own: dict[str, type[ShapeSchema]]) -> None:
        key, equals, value = (part.strip() for part in option.partition("="))
        if not key:
            self._complain("", f"{option!r} has no key", "key=value, as in latency_ns=700")
            return
        stem = _quantity_stem(key)
        known = stem or key in own or key in {"chip", "ports", "failed", "reroute"}
        if not known:
            words = [*own, "chip", "ports", "failed", "reroute"]
            examples = [quantity.example for quantity in _QUANTITIES.values()]
            self._complain(key, f"unknown key {key!r}", suggest(key, [*words, *examples]))
            return
        name = stem or key
        if name in self.given:
            first = self.given[name]
            message = "is given twice" if first == key else f"is given already as {first!r}"
            self._complain(key, f"{key!r} {message}")
            return
        self.given[name] = key
        if not equals or not value:
            self._complain(key, f"{key!r} has no value", f"{key}=…")
            self.reading.excused.add((self.mark, key))
        elif stem:
            self._read_quantity(stem, key, value)
        elif key == "chip":
            self.chip["preset"] = value
        elif key == "ports":
            self.chip["port_count"] = self._number(key, value, whole=True, least=1) or _PORTS_PLENTY
        elif key == "failed":
            self._read_failed(value)
        elif key == "reroute":
            if value in ("true", "false"):
                self.shape["reroute"] = value == "true"
            else:
                self._complain(key, f"{value!r} is not true or false")
        else:
            self._read_own(own[key], key, value)

    def _read_quantity(self, stem: str, key: str, value: str) -> None:
        quantity, found = _QUANTITIES[stem], split_unit(key)
        if not found or (found[0], found[1].dimension) != (stem, quantity.dimension):
            allowed = ", ".join(f"{stem}_{suffix}" for suffix in suffixes_of(quantity.dimension))
            self._complain(
                key, f"{key!r} is in no unit of {quantity.dimension}", f"allowed: {allowed}"
            )
            return
        number = self._number(key, value, whole=found[1].factor == 1)
        if number is not None:
            in_file = f"{quantity.stem}_{found[1].suffix}"
            self.links[quantity.scope][in_file] = self._sourced(number)

    def _read_own(self, schema: type[ShapeSchema], key: str, value: str) -> None:
        """A key of the builder: a count, a count that may be zero, or a word."""
        annotation = schema.model_fields[key].annotation
        types = (annotation, *get_args(annotation))
        if SourcedCount not in types and SourcedWhole not in types:
            self.shape[key] = value
            return
        number = self._number(key, value, whole=True, least=0 if SourcedWhole in types else 1)
        if number is None:
            self.reading.excused.add((self.mark, key))
        else:
            self.shape[key] = self._sourced(number)

    def _read_failed(self, value: str) -> None:
        found = self._marked([])
        for part in value.split("+"):
            if re.fullmatch("[0-9]{1,9}(-[0-9]{1,9}){1,2}", part.strip()):
                found.append([int(number) for number in part.split("-")])
            else:
                self._complain(
                    "failed",
                    f"{part.strip()!r} is not a failed link",
                    "two chips, and how many cables if not all, as in failed=0-1+3-4-1",
                )
        self.shape["failed_links"] = found

    def _number(
        self, key: str, text: str, *, whole: bool, least: int | None = None
    ) -> int | float | None:
        """A number that is at least `least`, or above zero where that is not given."""
        try:
            number = int(text) if re.fullmatch("[-+]?[0-9]{1,18}", text) else float(text)
        except ValueError:
            self._complain(key, f"{text!r} is not a number")
            return None
        if not math.isfinite(number):
            self._complain(key, f"{text!r} is not a finite number")
        elif number < (least or 0) or (least is None and number == 0):
            bound = "above 0" if least is None else f"at least {least}"
            self._complain(key, f"{text!r} is out of range: it must be {bound}")
        elif whole and number % 1:
            self._complain(key, f"{text!r} is not a whole number")
        else:
            return int(number) if number % 1 == 0 else number
        return None

    def _all_links(self) -> dict[str, Any]:
        usual = read_document(find("system", _LINKS_OF, Path()), Marks())["links"]["local"]
        local = self._laid(usual, self.links["local"])
        links = self._marked({"local": local})
        if self.links["global"]:
            links["global"] = self._laid(local, self.links["global"])
        return links

    def _laid(self, base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        """`base` with quantities replaced, whatever their unit, with the source of each."""
        replaced = {quantity_of(key) for key in over}
        kept = {key: item for key, item in base.items() if quantity_of(key) not in replaced}
        return self._marked({**kept, **over})

    def _sourced(self, number: int | float) -> dict[str, Any]:
        return self._marked({"value": number, "assumed": _GIVEN})

    def _marked(self, container: Container) -> Container:
        self.reading.marks.put(container, None, self.mark)
        return container

    def _complain(self, field: str, message: str, suggestion: str = "") -> None:
        self.reading.problems.append(self.mark.problem(message, field=field, suggestion=suggestion))


def _kind_name(word: str) -> str:
    return word.strip().replace("-", "_")


def _quantity_stem(key: str) -> str | None:
    """The quantity that `key` means, in a unit or in none."""
    for stem in _QUANTITIES:
        if key == stem or key.startswith(stem + "_"):
            return stem
    return None
