"""Inputs: what went in, where each number comes from, and what was assumed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rack_sim.foundation.sourced import GRADES
from rack_sim.foundation.units import split_unit
from rack_sim.report.html.page import Section, Table
from rack_sim.report.html.quantity import cell, milliseconds, size

# Parts of a resolved scenario whose values have no source of their own: they are the user's.
_CHOSEN = ("precision", "partition", "serving", "workload", "slo", "metrics", "seed")
# A list longer than this is told by its ends.
_LIST_MAX = 8
# Grades that a careful reader should not build on, the weakest first.
WEAK_GRADES = ("D", "M")


def inputs_section(manifest: Mapping[str, Any], resolved: Mapping[str, Any]) -> Section:
    """The scenario as resolved, and every sourced number."""
    sourced = _entries(manifest, "sourced")
    used = [grade for grade in GRADES if any(item.get("grade") == grade for item in sourced)]
    grades = Table(
        "What the grades mean",
        ("Grade", "Meaning", "#inputs"),
        tuple(
            (grade, GRADES[grade], str(sum(item.get("grade") == grade for item in sourced)))
            for grade in used
        ),
        is_open=True,
    )
    model = manifest.get("model")
    model = model if isinstance(model, Mapping) else {}
    rows = [
        (
            str(item.get("name")),
            value_words(str(item.get("name")), item.get("value")),
            str(item.get("grade")),
            str(item.get("source")),
        )
        for item in sourced
    ]
    if model.get("source"):
        name, grade = str(model.get("name")), str(model.get("grade") or "–")
        rows.insert(0, ("model", name, grade, str(model["source"])))
    chosen = tuple(_chosen(resolved))
    tables = [Table("Numbers with a source", ("Input", "#Value", "Grade", "Source"), tuple(rows))]
    if chosen:
        tables.insert(0, Table("The scenario, every default written out", ("Key", "Value"), chosen))
    return Section(
        "inputs",
        "Inputs and their sources",
        sentences=(
            f"{len(sourced)} numbers of the hardware, the model and the prices have a source, "
            f"{len(_entries(manifest, 'assumed'))} are assumed (next section). Values are "
            "rounded for reading; resolved.yaml has them as they were used.",
        ),
        tables=(grades, *tables) if used else tuple(tables),
    )


def assumptions_section(manifest: Mapping[str, Any], also: Sequence[str] = ()) -> Section:
    """What nobody has published and was chosen, with the reason; and what a study assumes."""
    rows = tuple(
        (
            str(item.get("name")),
            value_words(str(item.get("name")), item.get("value")),
            str(item.get("why")),
        )
        for item in _entries(manifest, "assumed")
    )
    return Section(
        "assumptions",
        "Assumptions",
        sentences=(
            "Change these first: they have no source." if rows else "No input is assumed.",
            "What the simulator leaves out is written in docs/model-assumptions.md of its source.",
        ),
        points=tuple(also),
        tables=(Table("Assumed inputs", ("Input", "#Value", "Why"), rows, is_open=True),)
        if rows
        else (),
    )


def value_words(name: str, value: object) -> str:
    """A value with its unit, read from the last part of its name.

    >>> value_words("cost.utilisation", "1.0"), value_words("system.chip.price_usd", "20000.0")
    ('1', '20,000 USD')
    """
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    last = name.rpartition(".")[2]
    if last.endswith("_bytes"):
        return size(number)
    if last.endswith("_ps"):
        return milliseconds(number / 1e9)
    found = split_unit(last)
    if last.endswith("bytes_per_s"):
        return f"{size(number)}/s"
    if "flop_per_s" in name:
        return f"{cell(number / 1e12)} TFLOP/s"
    for suffix, words in (("usd_per_kwh", "USD/kWh"), ("watts", "W"), ("usd", "USD")):
        if last == suffix or f"_{suffix}" in last:
            return f"{cell(number)} {words}"
    return f"{cell(number)} {found[1].suffix}" if found else cell(number)


def weak(manifest: Mapping[str, Any]) -> list[str]:
    """Names of the inputs with a source that is weak, or from memory."""
    return [
        str(item.get("name"))
        for item in _entries(manifest, "sourced")
        if item.get("grade") in WEAK_GRADES
    ]


def _entries(manifest: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = manifest.get(key)
    if not isinstance(found, list):
        return []
    return [item for item in found if isinstance(item, Mapping)]


def _chosen(resolved: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in ("system", "model"):
        given = resolved.get(part)
        if isinstance(given, Mapping):
            for key in ("name", "description"):
                if given.get(key):
                    yield f"{part}.{key}", str(given[key])
    for part in _CHOSEN:
        if part in resolved:
            yield from _leaves(part, resolved[part])


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a tree of YAML
    if isinstance(value, Mapping) and "value" in value:
        yield path, value_words(path, value["value"])
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, list) and len(value) > _LIST_MAX:
        yield path, f"{len(value)} entries, from {_short(value[0])} to {_short(value[-1])}"
    elif isinstance(value, list):
        yield path, ", ".join(map(_short, value)) or "none"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value_words(path, value)
    else:
        yield path, _short(value)


def _short(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
