"""JSON schema: what files may say, for editors that complete and check YAML while it is written.

Made from the same models that read the files. A quantity may be given in any unit of its
dimension, so each has a property for every spelling, with its range in that unit; a file may give
one of them. Draft 7 of JSON Schema, which is the one that editors know; every schema stands alone.

What a schema cannot say is checked by the loader alone: whether values suit each other, whether
files are there, that `4.0` is no count and infinity no number. A range is that of the number as it
is written; the loader rounds up to whole base units first.
"""

import json
from collections.abc import Mapping
from posixpath import relpath

from pydantic.json_schema import models_json_schema

from rack_sim.foundation.units import BASE_SUFFIX, UNITS, Unit, split_unit, suffixes_of
from rack_sim.scenario.fields import Model, Sourced, SourcedNumber
from rack_sim.scenario.hardware_schema import ChipSchema, SystemSchema
from rack_sim.scenario.json_rules import (
    Json,
    config_keys,
    default_in,
    keyed,
    one_of,
    range_in,
    shorter,
)
from rack_sim.scenario.library import SCHEMA_FILES, SCHEMA_MARK, presets
from rack_sim.scenario.power_schema import ApiPriceSchema
from rack_sim.scenario.reference import inner_models, models_of, reference_kind, title_of
from rack_sim.scenario.registered import by_kind, whole_annotation
from rack_sim.scenario.schema import ScenarioSchema
from rack_sim.scenario.study_kinds import STUDIES

DRAFT = "http://json-schema.org/draft-07/schema#"

_TITLES = {
    "scenario": "Scenario of rack-sim",
    "study": "Study of rack-sim",
    "model": "Model of rack-sim",
    "chip": "Chip of rack-sim",
    "system": "System of rack-sim",
    "price": "Price of rack-sim",
}
# Which kind of preset each model is; what a model's name stands for when presets are changed.
_KINDS: dict[str, type[Model]] = {
    "scenario": ScenarioSchema,
    "system": SystemSchema,
    "chip": ChipSchema,
    "price": ApiPriceSchema,
}
_PATH = r"/|\.(yaml|yml|json)$"


def json_schema(kind: str) -> Json:
    """The schema of a kind of file, a key of `library.SCHEMA_FILES`."""
    return _Builder().whole(kind)


def json_schema_text(kind: str) -> str:
    """The content of a schema's file."""
    return json.dumps(json_schema(kind), indent=1, ensure_ascii=False) + "\n"


class _Builder:
    """Turns what pydantic says of the models into what files may say.

    Definitions are made when they are first referred to. Those whose name ends in Changes are of
    mappings that are laid on a preset: any keys of it, none of them required.
    """

    def __init__(self) -> None:
        models = _all_models()
        refs, found = models_json_schema([(model, "validation") for model in models])
        self._raw: dict[str, Json] = found["$defs"]
        self._models = {_end(refs[model, "validation"]["$ref"]): model for model in models}
        self._names = {model: name for name, model in self._models.items()}
        self._definitions: dict[str, Json] = {}

    def whole(self, kind: str) -> Json:
        """A schema that stands alone."""
        head = {"$schema": DRAFT, "title": _TITLES[kind]}
        if kind == "study":
            body: Json = {"oneOf": [self._model(study.schema) for study in STUDIES.values()]}
        elif kind == "model":
            body = config_keys(required=True)
        else:
            model = _KINDS[kind]
            body = self._object(self._names[model], changes=False)
        body.pop("title", None)
        return {**head, **body, "definitions": dict(sorted(self._definitions.items()))}

    def _model(self, model: type[Model], *, changes: bool = False) -> Json:
        return self._of_raw(self._names[model], None, changes=changes)

    def _of_raw(self, name: str, unit: Unit | None, *, changes: bool) -> Json:
        """A reference to the definition of a model, made where it is not there yet."""
        model = self._models[name]
        own = model.__name__.removesuffix("Schema")
        if issubclass(model, Sourced):
            own += f"_{unit.suffix}" if unit else ""
        own += "Changes" if changes else ""
        if own not in self._definitions:
            self._definitions[own] = {}  # it may refer to itself
            self._definitions[own] = (
                self._sourced(name, unit, changes=changes)
                if issubclass(model, Sourced)
                else self._object(name, changes=changes)
            )
        return {"$ref": f"#/definitions/{own}"}

    def _object(self, name: str, *, changes: bool) -> Json:
        raw, model = self._raw[name], self._models[name]
        properties: Json = {}
        choices: list[Json] = []
        required: list[str] = []
        for key, value in raw["properties"].items():
            needed = key in raw.get("required", ()) and not changes
            spellings = _spellings(key)
            for spelling, unit in spellings.items():
                properties[spelling] = self._property(model, key, value, unit, changes=changes)
            if len(spellings) > 1:
                choices.append(one_of(spellings, needed=needed))
            elif needed:
                required.append(key)
        if changes and model in _KINDS.values() and model is not ScenarioSchema:
            properties = {"preset": self._name_of(_kind_of(model)), **properties}
        return {
            "title": title_of(model) + (" laid on a preset" if changes else ""),
            "description": _line(model.__doc__),
            "type": "object",
            "additionalProperties": False,
            **({"required": required} if required else {}),
            "properties": properties,
            **({"allOf": choices} if choices else {}),
        }

    def _property(
        self, model: type[Model], key: str, raw: Json, unit: Unit | None, *, changes: bool
    ) -> Json:
        registered = by_kind(whole_annotation(model.model_fields[key]))
        if kind := reference_kind(model, key):
            found = self._reference(kind, changes=changes)
            if {"type": "null"} in raw.get("anyOf", ()):
                found = {"anyOf": [*found["anyOf"], *_words(raw), {"type": "null"}]}
        elif registered:
            # Without its kind, what is laid on a preset may be any of several.
            word = "anyOf" if changes else "oneOf"
            models = registered.models().values()
            found = {word: [self._model(one, changes=changes) for one in models]}
            if {"type": "null"} in raw.get("anyOf", ()):
                found = {"anyOf": [found, {"type": "null"}]}
        else:
            found = self._node(raw, unit, changes=changes)
        field = model.model_fields[key]
        text = _line(field.description) or title_of(model)
        default = default_in(raw.get("default"), unit)
        return {
            "description": text,
            **found,
            **({} if default is None else {"default": default}),
        }

    def _node(self, raw: Json, unit: Unit | None, *, changes: bool) -> Json:
        """A part of a property: its type and range, in `unit` where it has one."""
        if "$ref" in raw:
            return self._of_raw(_end(raw["$ref"]), unit, changes=changes)
        parts = raw.get("anyOf") or raw.get("oneOf")
        if parts:
            # Without its kind, what is laid on a preset may be any of several.
            word = "oneOf" if "oneOf" in raw and not changes else "anyOf"
            return shorter({word: [self._node(part, unit, changes=changes) for part in parts]})
        made = {
            name: value for name, value in raw.items() if name not in ("title", "default", "format")
        }
        if unit and made.get("type") in ("integer", "number"):
            return range_in(made, unit)
        for name in ("items", "additionalProperties"):
            if isinstance(made.get(name), dict):
                # A list replaces a list whole, so what is in it is whole.
                inside = changes and name != "items"
                made[name] = self._node(made[name], unit, changes=inside)
        if "patternProperties" in made:
            made["additionalProperties"] = False
        names = made.get("propertyNames", {}).get("enum")
        return keyed(made, names) if names else made

    def _sourced(self, name: str, unit: Unit | None, *, changes: bool) -> Json:
        """A number by itself, or with where it comes from."""
        value = self._node(self._raw[name]["properties"]["value"], unit, changes=changes)
        whole: Json = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "value": {"description": "The number.", **value},
                **{key: self._origin(key) for key in Sourced.model_fields},
            },
        }
        if changes:
            return {"title": "sourced number laid on another", "anyOf": [value, whole]}
        origin = {word: self._raw[name][word] for word in ("oneOf", "anyOf")}
        self._definitions.setdefault("Origin", origin)
        whole |= {"required": ["value"], "allOf": [{"$ref": "#/definitions/Origin"}]}
        return {"title": "sourced number", "anyOf": [value, whole]}

    def _origin(self, key: str) -> Json:
        """What is said of where a number comes from, defined once for all numbers."""
        raw = self._raw[self._names[SourcedNumber]]["properties"][key]
        text = _line(Sourced.model_fields[key].description)
        self._definitions.setdefault(
            key, {"description": text, **self._node(raw, None, changes=False)}
        )
        return {"$ref": f"#/definitions/{key}"}

    def _reference(self, kind: str, *, changes: bool) -> Json:
        """A preset by name, a file, or the keys themselves; with changes where they are laid."""
        if kind == "model":
            forms = [config_keys(required=not changes)]
            if not changes:
                forms.append({**config_keys(required=False), "required": ["preset"]})
        elif kind == "scenario":
            # What is missing may stand in the overrides of every point.
            forms = [self._model(ScenarioSchema, changes=True)]
        else:
            laid = self._model(_KINDS[kind], changes=True)
            whole = {"allOf": [laid], "required": ["preset"]}
            forms = [laid] if changes else [whole, self._model(_KINDS[kind])]
        return {"anyOf": [self._name_of(kind), *forms]}

    def _name_of(self, kind: str) -> Json:
        """The name of a preset, or a path."""
        name = f"{kind.capitalize()}Name"
        self._definitions.setdefault(
            name,
            {
                "title": f"name of a {kind}, or a file",
                "anyOf": [
                    {"enum": list(presets(kind))},
                    {"type": "string", "pattern": _PATH},
                ],
            },
        )
        return {"$ref": f"#/definitions/{name}"}


def _all_models() -> list[type[Model]]:
    """Every model that a file is made of, the numbers with a source among them."""
    found: dict[type[Model], None] = {}
    roots: list[type[Model]] = [ScenarioSchema, *(study.schema for study in STUDIES.values())]
    for root in roots:
        for model in models_of(root):
            found[model] = None
            for field in model.model_fields.values():
                found |= dict.fromkeys(inner_models(whole_annotation(field)))
    return list(found)


def _spellings(key: str) -> dict[str, Unit | None]:
    """Every way to write a key, its base unit first; a unit where the number is to be converted."""
    found = split_unit(key)
    if found is None or BASE_SUFFIX[found[1].dimension] != found[1].suffix:
        return {key: None}
    stem, unit = found
    others = [suffix for suffix in suffixes_of(unit.dimension) if suffix != unit.suffix]
    return {key: None, **{f"{stem}_{suffix}": UNITS[suffix] for suffix in others}}


def _kind_of(model: type[Model]) -> str:
    return next(kind for kind, other in _KINDS.items() if other is model)


def _words(raw: Json) -> list[Json]:
    """The words that a property may be besides what it refers to, at any depth of its choices."""
    if "const" in raw:
        return [{"const": raw["const"]}]
    return [
        word for part in (*raw.get("anyOf", ()), *raw.get("oneOf", ())) for word in _words(part)
    ]


def _end(ref: str) -> str:
    return ref.rpartition("/")[2]


def _line(text: str | None) -> str:
    """Words of a docstring in one line; as Markdown, which editors show."""
    return " ".join((text or "").replace("``", "`").split())


def schema_line(kind: str, folder: str) -> str:
    """The first line of a YAML file in `folder` (below the data root) that names its schema."""
    return f"{SCHEMA_MARK}{relpath(SCHEMA_FILES[kind], folder)}"


def schemas() -> Mapping[str, str]:
    """Every schema's file and its content."""
    return {file: json_schema_text(kind) for kind, file in SCHEMA_FILES.items()}
