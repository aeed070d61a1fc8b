"""Reference: the documentation of every key of a scenario, written from the schema."""

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rack_sim.foundation.units import BASE_SUFFIX, split_unit, suffixes_of
from rack_sim.model.config_keys import OPTIONAL_KEYS, REQUIRED_KEYS
from rack_sim.model.huggingface import KNOWN_MODEL_TYPES, TEXT_PARTS
from rack_sim.scenario.fields import Model, Sourced
from rack_sim.scenario.registered import ByKind, NameIn, whole_annotation
from rack_sim.scenario.schema import ScenarioSchema
from rack_sim.scenario.study_kinds import STUDIES

REFERENCES = {
    ("ScenarioSchema", "system"): "system",
    ("ScenarioSchema", "model"): "model",
    ("SystemSchema", "chip"): "chip",
    ("SpeculationSchema", "draft_model"): "model",
    ("CostSchema", "api_price"): "price",
    ("StudySchema", "scenario"): "scenario",
    ("StudyPointSchema", "scenario"): "scenario",
}
"""Where a word names a preset: model and field -> kind of preset."""


def reference_markdown() -> str:
    """The text of docs/scenario-reference.md."""
    of_scenarios = models_of(ScenarioSchema)
    of_studies: list[type[Model]] = []
    for kind in STUDIES.values():
        models_of(kind.schema, of_studies)
    sections = "\n".join(_section(model) for model in of_scenarios)
    studies = "\n".join(_section(model) for model in of_studies if model not in of_scenarios)
    return f"""# Scenario reference

Written by `scripts/refresh` from the schema; do not edit.

A scenario is a YAML file (JSON reads the same). A key that ends in a unit may be given in any unit
of the same dimension: `latency_ns: 533` and `latency_us: 0.533` are the same; the range
below is that of the key's own unit, and only there must a number be whole. A *sourced* number is
a mapping with `value` and either `source` and `grade` or `assumed` (why it was chosen); a bare
number counts as assumed. `system`, `system.chip` and `model` take a preset's name, a file, or the
keys themselves; `{{preset: NAME, …}}` takes a preset and changes some of its keys. A relative path
in a file starts at that file, one in an option (`--set model=mine.json`) where you stand. Grades: A
primary log or vendor document, B vendor claim or press, C digest of a primary source, D weak, M
from memory, der arithmetic from other values, fitted (see validation.md).

Editors that know JSON Schema (VS Code with the YAML extension, for one) complete and check these
files: the first line of each that comes with rack-sim names its schema. In a file of your own that
line is `# yaml-language-server: $schema=PATH`, and
`python -c 'import rack_sim; print(rack_sim.schema_file("scenario"))'` prints the path (other
kinds: `study`, `model`, `chip`, `system`, `price`). What a schema cannot say (whether values suit
each other, whether a file is there) `rack-sim validate FILE` does.

{sections}
## Keys of a model

Those of a Hugging Face `config.json`, which can be given as it is. Every key is read, or known to
change no size (tokens, generation, runtime, numbers that scale), or refused: a key that nobody
reads is a slip of the pen or another machine. If you know that one changes no size, say so:
`model: {{preset: mine/config.json, ignore: [some_key]}}`. Required:
{_words(REQUIRED_KEYS)}. Optional: {_words(OPTIONAL_KEYS)}. `model_type`
is one of {_words(KNOWN_MODEL_TYPES)}; each has the keys of its family besides (experts, windows,
latent attention). Of a model that also sees, the text part is read ({_words(TEXT_PARTS)}), and
`--set model.KEY` and keys laid on such a preset reach it; `quantization_config` and `dtype` are
read where weights are taken as shipped (`precision.weights: checkpoint`). `name`, `description`,
`source`, `grade` and `ignore` may be added.

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
        takes = _takes(whole_annotation(field))
        if kind := reference_kind(model, name):
            takes = _referred(kind)
        default = _default(field)
        said = field.description or ("Says that it is this." if name == "kind" else "")
        what = " ".join(said.replace("``", "`").split())
        lines.append(f"| `{name}` | {takes} | {default} | {what} |")
    for name in model.model_fields:
        found = split_unit(name)
        if found and _dimension(name):
            spelt = [f"{found[0]}_{suffix}" for suffix in suffixes_of(_dimension(name))]
            others = _words([other for other in spelt if other != name])
            lines.append(f"\n`{name}` in other units: {others}.")
    return "\n".join(lines) + "\n"


def models_of(model: type[Model], seen: list[type[Model]] | None = None) -> list[type[Model]]:
    """The models that a model is made of, itself first, in order of first use."""
    found = [] if seen is None else seen
    if model not in found:
        found.append(model)
        for field in model.model_fields.values():
            for inner in inner_models(whole_annotation(field)):
                if not issubclass(inner, Sourced):
                    models_of(inner, found)
    return found


def reference_kind(model: type[Model], field: str) -> str | None:
    """The kind of preset that a word in this field names; None where it names none."""
    found = (REFERENCES.get((base.__name__, field)) for base in model.__mro__)
    return next((kind for kind in found if kind), None)


def _referred(kind: str) -> str:
    if kind == "model":
        return "a preset, a file or [keys of a model](#keys-of-a-model)"
    title = {"price": "api price"}.get(kind, kind)
    return f"a preset, a file or [{title}](#{_anchor(title)})"


def inner_models(annotation: Any) -> Iterator[type[Model]]:
    """The models that a field's annotation names, at any depth of it."""
    for mark in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if isinstance(mark, ByKind):
            yield from mark.models().values()
            return
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from inner_models(part)


def _takes(annotation: Any, rules: Sequence[object] = ()) -> str:
    """What a field takes, with its `rules`: its range, its length."""
    origin = get_origin(annotation)
    if origin is Annotated:
        taken, *extras = get_args(annotation)
        for extra in extras:
            if isinstance(extra, ByKind):
                return " or ".join(_takes(model) for model in extra.models().values())
            if isinstance(extra, NameIn):
                return " or ".join(f"`{name}`" for name in extra.names())
        return _takes(taken, [r for extra in extras for r in getattr(extra, "metadata", [extra])])
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in get_args(annotation))
    if origin in (Union, UnionType):
        parts = [part for part in get_args(annotation) if part is not NoneType]
        if set(parts) == {int, str}:
            return "a whole number (≥ 1) or `auto`"
        return " or ".join(_takes(part, rules) for part in parts)
    if origin is list:
        return f"a list{_length(rules)} of {_takes(get_args(annotation)[0])}"
    if origin is dict:
        key, value = get_args(annotation)
        return f"a mapping of {_takes(key)} to {_takes(value)}"
    if isinstance(annotation, type) and issubclass(annotation, Sourced):
        value = annotation.model_fields["value"]
        return f"sourced: {_takes(value.annotation, value.metadata)}"
    if isinstance(annotation, type) and issubclass(annotation, Model):
        title = title_of(annotation)
        return f"[{title}](#{_anchor(title)})"
    if annotation is str:
        return f"a word{_length(rules)}"
    names = {int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(annotation, "anything") + _limits(rules)


def _anchor(title: str) -> str:
    """The anchor that Markdown renderers give to a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _limits(rules: Sequence[object]) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {_number(getattr(rule, name))}"
        for rule in rules
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _length(rules: Sequence[object]) -> str:
    ends = {
        name: getattr(rule, name)
        for rule in rules
        for name in ("min_length", "max_length")
        if getattr(rule, name, None) is not None
    }
    low, high = ends.get("min_length"), ends.get("max_length")
    if low is None and high is None:
        return ""
    if high is None:
        return f" (at least {low} long)"
    return f" ({low} long)" if low == high else f" ({low or 0} to {high} long)"


def _number(limit: float) -> str:
    """A limit as a person would write it, nothing rounded."""
    if limit == 2**63 - 1:
        return "2^63 - 1"
    for digits in range(5, 20):
        if limit == 10**digits:
            return f"1e{digits}"
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined:  # an empty list, made anew each time
        return "none"
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
