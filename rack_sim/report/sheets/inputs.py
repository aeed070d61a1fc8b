"""Inputs: every number that went in, with its source and grade; what is assumed comes first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rack_sim.foundation.sourced import GRADES
from rack_sim.report.sheets.sheet import (
    ASSUMED,
    HEADER,
    WRAPPED,
    Book,
    Cell,
    Sheet,
    number_or_text,
)

_HEADER_ROW = 3
_VALUE = {"valign": "top", "num_format": "#,##0.######"}
_HEADINGS = ("kind", "input", "value", "source, or why it is assumed", "grade", "what it means")
# Keys whose values say where something comes from, or how to call it, and set nothing.
_WORDS = {"source", "grade", "note", "assumed", "description"}


def write_inputs(
    book: Book, manifest: Mapping[str, Any], chosen: Sequence[tuple[str, Any]]
) -> Sheet:
    """Numbers of the manifest and what the scenario chose, a row each, in base units.

    `chosen` are keys and values without a source of their own, because the user set them.
    """
    sheet = book.sheet(
        "Inputs",
        "Inputs",
        "Everything that went in, in base units. Assumed numbers have no source and come first; "
        "filter by the first column.",
    )
    sheet.link(2, 0, "Summary", "to the summary")
    sheet.widths(12, 48, 28, 90, 8, 44)
    sheet.put_row(_HEADER_ROW, 0, _HEADINGS, HEADER)
    row = _HEADER_ROW
    for row, (kind, cells) in enumerate(_rows(manifest, chosen), start=_HEADER_ROW + 1):
        tint = ASSUMED if kind.startswith("assumed") else {}
        text = isinstance(cells[1], str)
        styles = [
            {"valign": "top", "bold": bool(tint), **tint},
            {"valign": "top", **tint},
            {**_VALUE, "align": "left" if text else "right", **tint},
            {**WRAPPED, **tint},
            {"valign": "top", "align": "center", **tint},
            {**WRAPPED, **tint},
        ]
        sheet.put_row(row, 0, (kind, *cells), styles)
    sheet.page.freeze_panes(_HEADER_ROW + 1, 2)
    sheet.page.autofilter(_HEADER_ROW, 0, max(row, _HEADER_ROW + 1), len(_HEADINGS) - 1)
    sheet.page.repeat_rows(_HEADER_ROW)
    return sheet


def _rows(
    manifest: Mapping[str, Any], chosen: Sequence[tuple[str, Any]]
) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    for what in ("study", "search"):
        for text in manifest.get(f"assumed_by_the_{what}") or ():
            yield "assumed", (f"by the {what}", None, str(text), None, None)
    for item in manifest.get("assumed") or ():
        value = number_or_text(str(item["value"]))
        yield "assumed", (item["name"], value, item["why"], None, None)
    for item in manifest.get("sourced") or ():
        value = number_or_text(str(item["value"]))
        grade = str(item["grade"])
        yield "sourced", (item["name"], value, item["source"], grade, GRADES.get(grade))
    model = manifest.get("model")
    if model and model.get("source"):
        grade = str(model.get("grade") or "")
        named = (str(model.get("name")), str(model["source"]), grade, GRADES.get(grade))
        yield "sourced", ("model", *named)
    trace = manifest.get("trace")
    for name, value in (trace or {}).items():
        yield "trace", (f"trace.{name}", _value(value), None, None, None)
    for name, value in chosen:
        yield "chosen", (name, _value(value), None, None, None)


def chosen_of(resolved: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The keys of a resolved scenario or study that carry no source: the user's own choices."""
    return list(_leaves("", resolved))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever YAML holds
    if isinstance(value, Mapping):
        if "value" in value and ({"source", "assumed"} & value.keys()):
            return  # it stands among the sourced or assumed numbers
        for key, inner in value.items():
            if key not in _WORDS:
                yield from _leaves(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(f"{path}.{number}", item)
    else:
        yield path, value


def _value(value: Any) -> Cell:  # noqa: ANN401 - whatever JSON holds
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return number_or_text(str(value))
    return json.dumps(value, ensure_ascii=False)
