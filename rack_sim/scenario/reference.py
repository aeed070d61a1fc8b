"""Reference: the documentation of every key of a scenario, written from the schema."""

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rack_sim.foundation.units import BASE_SUFFIX, split_unit, suffixes_of
from rack_sim.model.config_keys import OPTIONAL_KEYS, REQUIRED_KEYS
from rack_sim.model.huggingface import KNOWN_MODEL_TYPES
from rack_sim.scenario.fields import Model, Sourced
from rack_sim.scenario.schema import ScenarioSchema
from rack_sim.scenario.study_schema import STUDIES


def reference_markdown() -> str:
    """The text of docs/scenario-reference.md."""
    sections = "\n".join(_section(model) for model in models_of(ScenarioSchema))
    studies = "\n".join(_section(model) for kind in STUDIES.values() for model in models_of(kind))
    return f"""# Scenario reference

Written by `scripts/refresh` from the schema; do not edit.

A scenario is a YAML file (JSON reads the same). A key that ends in a unit may be given in any unit
of the same dimension: `latency_ns: 533` and `latency_us: 0.533` are the same. A *sourced* number is
a mapping with `value` and either `source` and `grade` or `assumed` (why it was chosen); a bare
number counts as assumed. `system`, `system.chip` and `model` take a preset's name, a file, or the
keys themselves; `{{preset: NAME, …}}` takes a preset and changes some of its keys. Grades: A
primary log or vendor document, B vendor claim or press, C digest of a primary source, D weak, M
from memory, der arithmetic from other values, fitted (see validation.md).

{sections}
## Keys of a model

Those of a Hugging Face `config.json`, which can be given as it is; other keys are ignored unless
they change the shape in a way that is not modelled (then they are refused). Required:
{_words(REQUIRED_KEYS)}. Optional: {_words(OPTIONAL_KEYS)}. `model_type`
is one of {_words(KNOWN_MODEL_TYPES)}; each has the keys of its family besides (experts, windows,
latent attention). Of a model that also sees, `text_config` is read; `quantization_config` is not,
as formats are the scenario's (`precision`). `name`, `description`, `source` and `grade` may be
added.

# Studies

A study is a YAML file of its own, run by `rack-sim sweep`; `rack-sim list studies` lists those that
come with rack-sim. Its `kind` says what it asks.

{studies}"""


def _words(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _section(model: type[Model]) -> str:
    lines = [f"## {title_of(model)}", "", cleandoc(model.__doc__ or ""), ""]
    lines += ["| key | takes | default | what it is |", "|---|---|---|---|"]
    own = model.__annotations__
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] not in own):
        takes = _takes(field.annotation, field)
        default = _default(field)
        what = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | {takes} | {default} | {what} |")
    units = [name for name in model.model_fields if _dimension(name)]
    for name in units:
        stem = (split_unit(name) or ("", None))[0]
        others = ", ".join(f"`{stem}_{suffix}`" for suffix in suffixes_of(_dimension(name)))
        lines.append(f"\n`{name}` in other units: {others}.")
    return "\n".join(lines) + "\n"


def models_of(model: type[Model], seen: list[type[Model]] | None = None) -> list[type[Model]]:
    """The models that a model is made of, itself first, in order of first use."""
    found = [] if seen is None else seen
    if model not in found:
        found.append(model)
        for field in model.model_fields.values():
            for inner in inner_models(field.annotation):
                if not issubclass(inner, Sourced):
                    models_of(inner, found)
    return found


def inner_models(annotation: Any) -> Iterator[type[Model]]:
    """The models that a field's annotation names, at any depth of it."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from inner_models(part)


def _takes(annotation: Any, field: FieldInfo | None = None) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        taken, *extras = get_args(annotation)
        rules = [r for extra in extras for r in getattr(extra, "metadata", [extra])]
        return _takes(taken) + _limits(rules)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in get_args(annotation))
    if origin in (Union, UnionType):
        parts = [_takes(part) for part in get_args(annotation) if part is not NoneType]
        return (
            "a whole number or `auto`"
            if set(get_args(annotation)) == {int, str}
            else " or ".join(parts)
        )
    if origin is list:
        return f"list of: {_takes(get_args(annotation)[0])}"
    if origin is dict:
        key, value = get_args(annotation)
        return f"mapping of {_takes(key)} to {_takes(value)}"
    if isinstance(annotation, type) and issubclass(annotation, Sourced):
        return "sourced number"
    if isinstance(annotation, type) and issubclass(annotation, Model):
        title = title_of(annotation)
        return f"[{title}](#{_anchor(title)})"
    names = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}
    limits = _limits(field.metadata) if field else ""
    return names.get(annotation, "anything") + limits


def _anchor(title: str) -> str:
    """The anchor that Markdown renderers give to a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _limits(rules: Sequence[object]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):g}"
        for rule in rules
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or field.default == "":
        return "none"
    if isinstance(field.default, Sourced):
        number = field.default.model_dump(exclude_none=True)
        return f"`{number['value']:g}` (assumed: {number['assumed']})"
    if isinstance(field.default, Model):
        return "its defaults"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _dimension(name: str) -> str:
    found = split_unit(name)
    if found and BASE_SUFFIX[found[1].dimension] == found[1].suffix:
        return found[1].dimension
    return ""


def title_of(model: type[Model]) -> str:
    """What a model is called in documentation: ``closed loop (kind: closed_loop)``."""
    kind = model.model_fields.get("kind")
    words = model.__name__.removesuffix("Schema")
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in words).strip()
    tag = f" (kind: {get_args(kind.annotation)[0]})" if kind else ""
    return spaced + tag
