"""Registered: schemas of what stands in a registry, made from what is said there.

A policy, a topology builder or a router is not listed among the schemas: whatever its registry
holds when a file is read, a file may name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from typing import Annotated, Any, Literal, Optional, TypeVar, get_args, get_origin

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError, core_schema

from rack_sim.foundation.keys import Count, Key, NonNegativeInt, keys_of
from rack_sim.scenario.fields import Model, Sourced, SourcedCount, SourcedWhole

Base = TypeVar("Base", bound=Model)

# The schema of a number with a source, by its range.
_SOURCED: Mapping[Any, type[Sourced]] = {Count: SourcedCount, NonNegativeInt: SourcedWhole}


@dataclass(frozen=True)
class ByKind:
    """Marks a field that takes one of the models of a registry, by the word at `kind`."""

    models: Callable[[], Mapping[str, type[Model]]]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "object"}  # `json_schema` refers to the models, each defined once

    def _read(self, value: object, info: ValidationInfo) -> Model:
        if isinstance(value, Model):
            return value
        if not isinstance(value, dict):
            raise PydanticKnownError("model_attributes_type")
        if "kind" not in value:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
        models, kind = self.models(), value["kind"]
        if not isinstance(kind, str) or kind not in models:
            told = {"discriminator": "'kind'", "tag": str(kind), "expected_tags": _quoted(models)}
            raise PydanticKnownError("union_tag_invalid", told)
        return models[kind].model_validate(value, context=info.context)


@dataclass(frozen=True)
class NameIn:
    """Marks a field that takes a name in a registry."""

    names: Callable[[], Iterable[str]]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(self.names()), "type": "string"}

    def _read(self, value: object) -> str:
        names = list(self.names())
        if isinstance(value, str) and value in names:
            return value
        raise PydanticKnownError("literal_error", {"expected": _quoted(names)})


def by_kind(annotation: Any) -> ByKind | None:
    """The mark of a field that takes one of a registry's models, or of a part of its annotation."""
    if isinstance(annotation, ByKind):
        return annotation
    return next(filter(None, map(by_kind, get_args(annotation))), None)


def whole_annotation(field: FieldInfo) -> Any:
    """The annotation of a field with what pydantic took off it."""
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


@cache
def schema_of(
    kind: str, item: Callable[..., object], base: type[Base], *, sourced: bool = False
) -> type[Base]:
    """The schema of a registered class or function: its kind, and its keys.

    Where numbers are `sourced` each may say where it comes from, and what is left out is none.
    """
    fields: dict[str, Any] = {"kind": (Literal[kind], ...)}
    for key in keys_of(item):
        fields[key.name] = _sourced_field(key) if sourced else _field(key)
    name = "".join(word.capitalize() for word in kind.split("_"))
    model = create_model(f"{name}Schema", __base__=base, __module__=__name__, **fields)
    model.__doc__ = cleandoc(item.__doc__ or "").split("\n\n")[0]
    return model


def arguments_of(schema: Model, item: Callable[..., object]) -> dict[str, Any]:
    """What `item` is to be called with for what a file says; what was left out is left out."""
    given = {key.name: getattr(schema, key.name) for key in keys_of(item)}
    return {name: _plain(value) for name, value in given.items() if value is not None}


def _field(key: Key) -> tuple[Any, Any]:
    said: dict[str, Any] = {"description": key.meaning}
    if isinstance(key.default, tuple):
        said["default_factory"] = list(key.default).copy
    elif not key.is_required:
        said["default"] = key.default
    return _listed(key.value), Field(**said)


def _sourced_field(key: Key) -> tuple[Any, Any]:
    said: dict[str, Any] = {"description": key.meaning}
    value = _with_source(key.value, key.name)
    if not key.is_required:
        said["default"], value = None, Optional[value]  # noqa: UP045 - a type known at run time
    return value, Field(**said)


def _with_source(value: Any, name: str) -> Any:
    """A number with its source, a list of such, or a table that has one for all of it."""
    if value in _SOURCED:
        return _SOURCED[value]
    inner, ranges = _apart(value)
    parts = get_args(inner)
    if get_origin(inner) is Literal:
        return inner
    if type(None) in parts:
        return _with_source(parts[0], name)
    if not parts:
        raise TypeError(f"{name}: no file has a source for {value}")
    if parts[0] in _SOURCED:
        return _ranged(_list_of(_SOURCED[parts[0]]), ranges)
    return create_model(
        f"Sourced{name.capitalize()}", __base__=Sourced, value=(_listed(value), ...)
    )


def _listed(value: Any) -> Any:
    """The same, where every sequence is a list, as in a file."""
    inner, ranges = _apart(value)
    origin = get_origin(inner)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        inner = _list_of(_listed(get_args(inner)[0]))
    return _ranged(inner, ranges)


def _list_of(item: Any) -> Any:
    return list.__class_getitem__(item)


def _apart(value: Any) -> tuple[Any, tuple[object, ...]]:
    """A type, and what it is annotated with."""
    if get_origin(value) is not Annotated:
        return value, ()
    inner, *ranges = get_args(value)
    return inner, tuple(ranges)


def _ranged(inner: Any, ranges: tuple[object, ...]) -> Any:
    return Annotated[(inner, *ranges)] if ranges else inner


def _plain(value: Any) -> Any:
    """A value without its source, lists as tuples."""
    if isinstance(value, Sourced):
        return _plain(value.value)  # type: ignore[attr-defined]  # every subclass has one
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
