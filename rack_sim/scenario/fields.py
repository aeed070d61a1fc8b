"""Fields: the base of every scenario model: units in keys, sources beside numbers, no unknown keys.

A field is named in its base unit (``latency_ps``); a file may give it in any unit of the same
dimension (``latency_ns: 240``). A sourced field takes a mapping with ``value`` and either
``source`` and ``grade`` or ``assumed``; a bare number there is taken as assumed.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rack_sim.foundation.errors import Problem, suggest
from rack_sim.foundation.keys import LARGEST, Amount, Count, NonNegativeInt
from rack_sim.foundation.units import BASE_SUFFIX, Unit, split_unit, suffixes_of, to_base
from rack_sim.scenario.document import Mark, Marks
from rack_sim.workload.arrivals import MAX_RATE_RPS, MIN_RATE_RPS
from rack_sim.workload.request import MAX_TOKENS

UNSOURCED = "given without a source"

Grade = Literal["A", "A-", "B", "C", "D", "M", "der", "fitted"]
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def control_character(text: str) -> str | None:
    """The first character of `text` that is no letter, sign or space but a command, if any."""
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def _printable(text: str) -> str:
    wrong = control_character(text)
    if wrong:
        raise PydanticCustomError("control", f"must have no control characters ({wrong})")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
FilePath = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_printable)]
Rate = Annotated[float, Field(ge=MIN_RATE_RPS, le=MAX_RATE_RPS)]
MeanTokens = Annotated[float, Field(ge=1, le=MAX_TOKENS)]


@dataclass
class Validation:
    """What validation knows besides the values: where they stand, and what was wrong so far."""

    marks: Marks = field(default_factory=Marks)
    problems: list[Problem] = field(default_factory=list)
    # Fields whose key was wrong, by the place of their mapping: that they are missing is no news.
    excused: set[tuple[Mark | None, str]] = field(default_factory=set)

    def complain(
        self, container: Any, key: str | int | None, message: str, *, suggestion: str = ""
    ) -> None:
        """Notes a problem where `key` of `container` stands."""
        mark = self.marks.get(container, key) or Mark("", None, None)
        self.problems.append(mark.problem(message, suggestion=suggestion))


class Model(BaseModel):
    """The base of every scenario model: frozen, strict, and no key goes unread."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _read_keys(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict):
            return cls._from_bare(data)
        if not isinstance(info.context, Validation):
            return data
        reading = info.context
        read: dict[str, Any] = {}
        own = reading.marks.get(data)
        if own:
            reading.marks.put(read, None, own)
        for key, value in data.items():
            name, unit = cls._field_of(key, data, reading)
            if name is None:
                continue
            if name in read:
                reading.complain(data, key, f"{key!r} is given already in another unit")
                continue
            read[name] = value if unit is None else _converted(value, unit, reading.marks)
            reading.marks.copy(data, key, read, name)
        return read

    @classmethod
    def _from_bare(cls, value: Any) -> Any:
        """What a value that is not a mapping means; models that allow one say so here."""
        return value

    @classmethod
    def _field_of(
        cls, key: str, data: dict[str, Any], reading: Validation
    ) -> tuple[str | None, Unit | None]:
        """The field that `key` names and the unit to convert from; notes what is wrong with it."""
        if key in cls.model_fields:
            return key, None
        given = split_unit(key)
        for name in cls.model_fields:
            base = split_unit(name)
            if base is None or base[1].suffix != BASE_SUFFIX[base[1].dimension]:
                continue
            stem, dimension = base[0], base[1].dimension
            if given and given[0] == stem and given[1].dimension == dimension:
                return name, given[1]
            if key == stem or key.startswith(stem + "_"):
                allowed = ", ".join(f"{stem}_{suffix}" for suffix in suffixes_of(dimension))
                reading.complain(
                    data,
                    key,
                    f"{key!r} is in no unit of {dimension}",
                    suggestion=f"allowed: {allowed}",
                )
                reading.excused.add((reading.marks.get(data), name))
                return None, None
        message, hint = cls._unknown(key)
        reading.complain(data, key, message, suggestion=hint)
        return None, None

    @classmethod
    def _unknown(cls, key: str) -> tuple[str, str]:
        """What is said of a key that is none of this model's, and a suggestion."""
        return f"unknown key {key!r}", suggest(key, cls.model_fields)


class OneOfSeveral(Model):
    """The base of a base: models of which one is meant, by the word at `kind`.

    Whoever changes the kind and leaves the other keys is told so, and not of misspelt words.
    """

    @classmethod
    def kinds(cls) -> Iterable[type[Model]]:
        """The models of which one is meant."""
        found: Iterable[type[Model]] = cls.__mro__[1].__subclasses__()
        return found

    @classmethod
    def _unknown(cls, key: str) -> tuple[str, str]:
        stem = (split_unit(key) or (key,))[0]
        owners = [
            kind_of(other)
            for other in cls.kinds()
            if any(stem == (split_unit(name) or (name,))[0] for name in other.model_fields)
        ]
        if not owners:
            return super()._unknown(key)
        needed = [name for name, of in cls.model_fields.items() if of.is_required()][1:]
        own = ", ".join([f"kind: {kind_of(cls)}", *(f"{name}: …" for name in needed)])
        said = f"{key!r} is a key of kind {' and '.join(owners)}, not of {kind_of(cls)}"
        return said, f"give the whole of it: {{{own}}}"


def kind_of(model: type[Model]) -> str:
    """The word at `kind` that means this model."""
    return str(get_args(model.model_fields["kind"].annotation)[0])


# What `Sourced._one_origin` checks, for editors.
_ONE_ORIGIN: dict[str, Any] = {
    "oneOf": [
        {
            "required": ["source", "grade"],
            "properties": {
                "source": {"type": "string"},
                "grade": {"type": "string"},
                "assumed": {"type": "null"},
            },
        },
        {
            "required": ["assumed"],
            "properties": {"assumed": {"type": "string"}, "source": {"type": "null"}},
        },
    ],
    # Its range has two ends or none.
    "anyOf": [
        {
            "required": ["low", "high"],
            "properties": {"low": {"type": "number"}, "high": {"type": "number"}},
        },
        {"properties": {"low": {"type": "null"}, "high": {"type": "null"}}},
    ],
}


class Sourced(Model):
    """A number and where it comes from."""

    model_config: ClassVar[ConfigDict] = ConfigDict(json_schema_extra=_ONE_ORIGIN)

    source: str | None = None
    """Where the number was published."""
    grade: Grade | None = None
    """How good the source is (see docs/model-assumptions.md)."""
    assumed: str | None = None
    """Why this number was chosen where there is no source."""
    note: str | None = None
    """Anything else worth knowing: conflicting values, bounds."""
    low: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    """The least that the number may be, in its own unit: of a fitted one the 95 % confidence."""
    high: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    """The most that it may be."""

    @classmethod
    def _from_bare(cls, value: Any) -> Any:
        return {"value": value, "assumed": UNSOURCED}

    @model_validator(mode="after")
    def _one_origin(self) -> Any:
        if (self.source is None) == (self.assumed is None):
            raise PydanticCustomError("origin", "give either source and grade, or assumed: why")
        if self.source is not None and self.grade is None:
            raise PydanticCustomError("origin", "a source needs a grade (A, A-, B, C, D, M, der)")
        if (self.low is None) != (self.high is None):
            raise PydanticCustomError("range", "low and high go together")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PydanticCustomError("range", "low is above high")
        return self


class SourcedAmount(Sourced):
    """A whole number of base units with its source."""

    value: Amount


class SourcedCount(Sourced):
    """A count of at least one with its source."""

    value: Count


class SourcedWhole(Sourced):
    """A count that may be zero, with its source."""

    value: NonNegativeInt


class SourcedNumber(Sourced):
    """A number that need not be whole (watts, dollars), with its source."""

    value: Annotated[float, Field(ge=0, le=1e12)]


class SourcedYears(Sourced):
    """A number of years, from some hours to a century, with its source."""

    value: Annotated[float, Field(ge=0.001, le=100)]


class SourcedShare(Sourced):
    """A share above 0 and of at most 1 with its source."""

    value: Annotated[float, Field(gt=0, le=1)]


class SourcedRatio(Sourced):
    """A whole over a part of it, so at least 1, with its source."""

    value: Annotated[float, Field(ge=1, le=1e3)]


class SourcedFactor(Sourced):
    """A multiple above nothing with its source."""

    value: Annotated[float, Field(ge=1e-6, le=1e12)]


class SourcedExponent(Sourced):
    """An exponent with its source. Beyond 10, powers of a few hundred leave what floats hold."""

    value: Annotated[float, Field(ge=0, le=10)]


def _auto_count(value: Any) -> int | str:
    if value == "auto" or (
        isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9
    ):
        return value  # type: ignore[no-any-return]
    raise PydanticCustomError("auto_count", "must be 'auto' or a whole number of at least 1")


AutoCount = Annotated[
    int | str,
    PlainValidator(_auto_count),
    WithJsonSchema(
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 10**9}]}
    ),
]


def _converted(value: Any, unit: Unit, marks: Marks) -> Any:
    """`value` in base units: a number, a sourced number, or a list or mapping of either."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            return value
        # Less than nothing stays that, however little, and is refused where it may not be.
        return to_base(value, unit) if value >= 0 else -to_base(-value, unit)
    if isinstance(value, dict):
        read: dict[str, Any] = {}
        own = marks.get(value)
        if own:
            marks.put(read, None, own)
        for key, item in value.items():
            sourced = "value" in value
            counts = not sourced or key in ("value", "low", "high")
            read[key] = _converted(item, unit, marks) if counts else item
            marks.copy(value, key, read, key)
        return read
    if isinstance(value, list):
        items = [_converted(item, unit, marks) for item in value]
        for number in range(len(items)):
            marks.copy(value, number, items, number)
        return items
    return value
