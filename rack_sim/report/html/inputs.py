"""Inputs: what went in, where each number comes from, and what was assumed."""

from collections.abc import Iterator, Mapping
from typing import Any

from rack_sim.foundation.sourced import GRADES
from rack_sim.foundation.units import split_unit
from rack_sim.record.kinds import Facts
from rack_sim.report.html.page import HtmlTable, Section
from rack_sim.report.numbers import cell, counted, milliseconds, size

# Parts of a resolved scenario whose values have no source of their own: they are the user's.
_CHOSEN = ("precision", "partition", "serving", "workload", "slo", "metrics", "seed")
# A list longer than this is told by its ends.
_LIST_MAX = 8
# Grades that a careful reader should not build on, the weakest first.
_WEAK_GRADES = ("D", "M")
_NAMES_SHOWN = 6


def inputs_sections(facts: Facts, resolved: Mapping[str, Any]) -> tuple[Section, Section]:
    """The scenario as resolved and every number with a source; what was assumed instead."""
    return _inputs(facts, resolved), _assumptions(facts)


def input_warnings(facts: Facts) -> Iterator[str]:
    """What a reader should know of the inputs before using a number."""
    assumed = {item["name"] for item in facts["assumed"]}
    if assumed:
        yield f"{counted(len(assumed), 'input')} without a source: the section Assumptions has all."
    weak = [item["name"] for item in facts["sourced"] if item["grade"] in _WEAK_GRADES]
    names = list(dict.fromkeys(weak))
    more = len(names) - _NAMES_SHOWN
    shown = [*names[:_NAMES_SHOWN], f"{more} more"] if more > 1 else names
    if names:
        words = "from a weak source or from memory (grades D and M)"
        yield f"{counted(len(names), 'input')} {words}: {', '.join(shown)}."


def _inputs(facts: Facts, resolved: Mapping[str, Any]) -> Section:
    sourced = facts["sourced"]
    graded = {grade: sum(item["grade"] == grade for item in sourced) for grade in GRADES}
    grades = tuple((grade, GRADES[grade], str(count)) for grade, count in graded.items() if count)
    model = facts.get("model") or {}
    rows = [
        (item["name"], value_words(item["name"], item["value"]), item["grade"], item["source"])
        for item in sourced
    ]
    if model.get("source"):
        head = (str(model["name"]), model["grade"] or "–", model["source"])
        rows.insert(0, ("model", *head))
    chosen = tuple(_chosen(resolved))
    tables = (
        HtmlTable("What the grades mean", ("Grade", "Meaning", "#inputs"), grades, is_open=True),
        HtmlTable("The scenario, every default written out", ("Key", "Value"), chosen),
        HtmlTable("Numbers with a source", ("Input", "#Value", "Grade", "Source"), tuple(rows)),
    )
    return Section(
        "inputs",
        "Inputs and their sources",
        sentences=(
            f"{len(sourced)} numbers of the hardware, the model and the prices have a source, "
            f"{len(facts['assumed'])} are assumed (next section). Values are "
            "rounded for reading; resolved.yaml has them as they were used.",
        ),
        tables=tuple(table for table in tables if table.rows),
    )


def _assumptions(facts: Facts) -> Section:
    """What nobody has published and was chosen, with the reason; and what a study assumes."""
    rows = tuple(
        (item["name"], value_words(item["name"], item["value"]), item["why"])
        for item in facts["assumed"]
    )
    return Section(
        "assumptions",
        "Assumptions",
        sentences=(
            "Change these first: they have no source." if rows else "No input is assumed.",
            "What the simulator leaves out is written in docs/model-assumptions.md of its source.",
        ),
        points=tuple(
            said for key in facts if key.startswith("assumed_by_the_") for said in facts[key]
        ),
        tables=(HtmlTable("Assumed inputs", ("Input", "#Value", "Why"), rows, is_open=True),)
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
