"""JSON rules: the parts that schemas of files are made of: ranges in a unit, choices, mappings."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from rack_sim.foundation.units import Unit
from rack_sim.model.config_keys import OPTIONAL_KEYS, REQUIRED_KEYS
from rack_sim.model.families import FAMILIES
from rack_sim.model.huggingface import KNOWN_MODEL_TYPES, TEXT_PARTS

Json = dict[str, Any]

_PLAIN = ("integer", "number", "string", "boolean")
_COUNT = {"type": "integer", "minimum": 1}
# Keys of a config.json that every model needs whose family has no names of its own for them.
_ALWAYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_OWN_NAMES = [name for name, family in FAMILIES.items() if family.names]


def range_in(raw: Json, unit: Unit) -> Json:
    """A number in `unit` whose whole base units lie in the range of `raw`."""
    made: Json = {"type": "number"}
    for name, bound in raw.items():
        if name == "minimum" and bound == 1 and unit.factor > 1:
            made["exclusiveMinimum"] = 0  # any amount is rounded up to one base unit
        elif name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            made[name] = _plain(Fraction(bound) / unit.factor)
    return made


def default_in(value: Any, unit: Unit | None) -> Any:
    """A default in `unit`; None where there is none that an editor could write."""
    if unit is None or isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, bool | int | float | str) and value != "" else None
    return _plain(Fraction(value) / unit.factor)


def one_of(spellings: Iterable[str], *, needed: bool) -> Json:
    """That one of these keys is given, or none of them where none is needed."""
    one = [{"required": [spelling]} for spelling in spellings]
    return {"oneOf": one if needed else [*one, {"not": {"anyOf": one}}]}


def shorter(choice: Json) -> Json:
    """`anyOf` a type and null as that type or null, where it is nothing but a number or a word."""
    parts = choice.get("anyOf", ())
    if len(parts) != 2 or parts[1] != {"type": "null"} or {"enum", "const"} & parts[0].keys():
        return choice
    own = parts[0].get("type")
    return {**parts[0], "type": [own, "null"]} if own in _PLAIN else choice


def keyed(mapping: Json, names: Iterable[str]) -> Json:
    """A mapping with these keys and no others, each spelt out so that editors offer it."""
    kept = {name: rule for name, rule in mapping.items() if name != "propertyNames"}
    value = mapping["additionalProperties"]
    return {**kept, "properties": dict.fromkeys(names, value), "additionalProperties": False}


def config_keys(*, required: bool) -> Json:
    """The keys of a config.json that are known; each family has more of its own."""
    words = {key: {"type": "string"} for key in ("name", "description", "source", "grade")}
    known: Json = {
        "model_type": {"description": "The family.", "enum": list(KNOWN_MODEL_TYPES)},
        **dict.fromkeys(REQUIRED_KEYS, _COUNT),
        **{
            key: {"type": ["boolean" if key.startswith("tie_") else "integer", "null"]}
            for key in OPTIONAL_KEYS
        },
    }
    ignored: Json = {"ignore": {"type": "array", "items": {"type": "string"}}}
    has_own_names: Json = {
        "properties": {"model_type": {"enum": _OWN_NAMES}},
        "required": ["model_type"],
    }
    enough: list[Json] = [{"required": list(_ALWAYS)}, has_own_names]
    part: Json = {"type": "object", "properties": known, "anyOf": enough}
    whole: Json = {
        "title": "model",
        "description": "The keys of a Hugging Face config.json.",
        "type": "object",
        "properties": {**words, **ignored, **known, **dict.fromkeys(TEXT_PARTS, part)},
    }
    if required:
        whole["anyOf"] = [*enough, *({"required": [name]} for name in TEXT_PARTS)]
    else:
        whole["properties"] = {"preset": {"type": "string"}, **words, **ignored, **known}
    return whole


def _plain(number: Fraction) -> int | float:
    return int(number) if number.denominator == 1 else float(number)
