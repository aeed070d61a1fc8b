"""Study page: the question of a study, its answer, its figures and its tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rack_sim.metrics.column import Column
from rack_sim.metrics.words import METRICS
from rack_sim.record.kinds import AXIS
from rack_sim.record.record import Record
from rack_sim.report.draw.plotly import draw_all
from rack_sim.report.html.inputs import assumptions_section, inputs_section, weak
from rack_sim.report.html.page import Page, Section, Table
from rack_sim.report.html.quantity import cell, counted, figure, number_of, share
from rack_sim.report.kinds import story_of

if TYPE_CHECKING:
    import pandas as pd

_RESULTS = "results.csv"  # the table of a grid
_ROWS_SHOWN = 500
_GOOD_STATUS = "ok"


@dataclass(frozen=True)
class _Kind:
    """What the page of one kind of study asks, answers and warns of."""

    question: str
    answers: Callable[[Record], Iterator[str]]
    warnings: Callable[[Record], Iterator[str]]


def study_page(study: Record) -> Page:
    """The page of a study of any kind that leaves tables."""
    kind = _KINDS.get(study.kind, _OTHER)
    manifest = study.facts
    charts = draw_all(story_of(study.kind).charts(study))
    warnings = (*kind.warnings(study), *_input_warnings(manifest))
    machines = manifest.get("machines")
    count = len(machines) if isinstance(machines, list) else 0
    also = manifest.get("assumed_by_the_study")
    answers = tuple(kind.answers(study)) or ("The tables below have every number.",)
    sections = (
        Section("answer", "The answer", points=answers),
        Section("figures", "Figures", charts=charts) if charts else None,
        Section(
            "tables",
            "Tables",
            tables=tuple(_table(study, name) for name in study.tables),
        ),
        _failed(study),
        inputs_section(manifest, {}),
        assumptions_section(manifest, also if isinstance(also, list) else ()),
        Section(
            "warnings",
            "Warnings",
            sentences=() if warnings else ("None.",),
            points=warnings,
        ),
    )
    return Page(
        title=f"Study: {study.name}",
        subtitle=str(manifest.get("description") or kind.question),
        facts=(
            f"Kind: {study.kind}" + (f", {counted(count, 'machine')}" if count else ""),
            f"Study {manifest.get('study_hash')}",
        ),
        sections=tuple(section for section in sections if section is not None),
        origin=f"Written by rack-sim {manifest.get('version')} from the files of the study "
        f"{manifest.get('study_hash')}. resolved.yaml runs it again.",
    )


def _named_by(facts: Mapping[str, Any], key: str) -> dict[str, str]:
    """A mapping of names to words in a manifest; empty where it has none such."""
    found = facts.get(key)
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): str(words) for name, words in pairs}


def _columns_by_name(study: Record, file: str) -> dict[str, Column]:
    return {column.name: column for column in study.tables[file].columns}


def plain(value: object) -> str:
    """A cell of a table for people: without the apostrophe that keeps it from being a formula."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return cell(value).removeprefix("'")


def _table(study: Record, name: str) -> Table:
    frame, known = study.frame(name), _columns_by_name(study, name)
    filled = [str(column) for column in frame.columns if frame[column].notna().any()]
    headings = []
    for column in filled:
        unit = known[column].unit if column in known else ""
        words = column.removeprefix(AXIS).replace("_", " ")
        number = known[column].is_numeric if column in known else frame[column].dtype.kind in "if"
        headings.append(f"{'#' if number else ''}{words}{f' ({unit})' if unit else ''}")
    rows = tuple(
        tuple(plain(value) for value in row)
        for row in frame[filled].head(_ROWS_SHOWN).astype(object).to_numpy().tolist()
    )
    note = f"The first {_ROWS_SHOWN} of {len(frame):,} rows. " if len(frame) > _ROWS_SHOWN else ""
    empty = len(frame.columns) - len(filled)
    if empty:
        note += f"{counted(empty, 'column')} without any value are left out."
    return Table(name, tuple(headings), rows, is_open=len(frame) <= 12, note=note)


def _failed(study: Record) -> Section | None:
    rows = []
    for frame in map(study.frame, study.tables):
        if "status" not in frame.columns:
            continue
        for row in frame[frame["status"] != _GOOD_STATUS].to_dict("records"):
            name = row.get("point_name", row.get("point"))
            rows.append((plain(name), plain(row["status"]), plain(row.get("reason"))))
    if not rows:
        return None
    return Section(
        "failed",
        "Points without numbers",
        sentences=(f"{counted(len(rows), 'point')} gave no numbers; the others are unharmed.",),
        tables=(Table("Points and reasons", ("Point", "Status", "Reason"), tuple(rows), True),),
    )


def _input_warnings(manifest: Mapping[str, Any]) -> Iterator[str]:
    assumed = manifest.get("assumed")
    if isinstance(assumed, list) and assumed:
        yield f"{counted(len(assumed), 'input')} without a source, assumed: see Assumptions."
    low = weak(manifest)
    if low:
        yield (
            f"{counted(len(low), 'input')} from a weak source or from memory (grades D and M): "
            f"{', '.join(dict.fromkeys(low))}."
        )


def _load_answers(study: Record) -> Iterator[str]:
    for row in study.frame("knee.csv").to_dict("records"):
        machine, asked = plain(row["machine"]), number_of(row["attainment_asked"])
        met, failed = number_of(row["slo_met_rps"]), number_of(row["slo_failed_rps"])
        if asked is not None:
            by = str(row["slo_limited_by"])
            limited = METRICS[by].short if by in METRICS else by
            words = f"{machine}: {share(asked)} of the requests that fit meet the SLO "
            if met is None:
                yield f"{words}at none of the rates that were replayed."
            else:
                yield (
                    f"{words}up to {figure(met, 4)} requests/s"
                    + (f", and no longer at {figure(failed, 4)}" if failed is not None else "")
                    + (f"; what fails there is {limited}" if failed else "")
                    + "."
                )
        kept, lost = number_of(row["kept_up_rps"]), number_of(row["not_kept_up_rps"])
        if kept is not None:
            yield (
                f"{machine} keeps up with {figure(kept, 4)} requests/s"
                + (f", and falls behind at {figure(lost, 4)}" if lost is not None else "")
                + f"; every row in use would be {figure(row['capacity_limit_rps'], 4)}."
            )


def _load_warnings(study: Record) -> Iterator[str]:
    for row in study.frame("knee.csv").to_dict("records"):
        if str(row["is_short"]).lower() == "true":
            yield (
                f"{plain(row['machine'])}: at the rate it does not keep up with, requests arrived "
                "for too short a time for the backlog to become steady; more would tell better."
            )


def _jitter_answers(study: Record) -> Iterator[str]:
    frame = study.frame("jitter.csv")
    for machine, rows in frame.groupby("machine", sort=False):
        ordered = rows.sort_values("operator_jitter_ns", kind="stable")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        yield (
            f"{plain(machine)}, {counted(int(first['chip_count']), 'chip')}: "
            f"{figure(float(first['tok_s_per_user']))} tokens/s per user as compiled, "
            f"{figure(float(last['tok_s_per_user']))} where an operator takes "
            f"{figure(float(last['operator_jitter_ns']))} ns more on average: "
            f"{share(float(last['kept_share']))} of it is kept."
        )


def _grid_answers(study: Record) -> Iterator[str]:
    frame = study.frame(_RESULTS)
    done = _done(frame)
    yield f"{counted(len(frame), 'point')}, {len(done):,} of them with numbers."
    for column, title in _named_by(study.facts, "collect").items():
        if column not in done.columns or done[column].dtype.kind not in "if":
            continue
        known = done[done[column].notna()]
        if known.empty:
            continue
        low, high = known[column].min(), known[column].max()
        unit = _columns_by_name(study, _RESULTS)[column].unit
        if low == high:
            yield f"{title}: {figure(float(low), 4)} {unit} at every point."
            continue
        ends = (
            f"{figure(float(end), 4)} at {_points_with(known, column, end)}" for end in (low, high)
        )
        yield f"{title} ({unit or 'number'}): from {' to '.join(ends)}."


def _points_with(frame: "pd.DataFrame", column: str, value: Any) -> str:  # noqa: ANN401 - a number
    names = frame.loc[frame[column] == value, "point_name"].tolist()
    others = f" and {counted(len(names) - 1, 'other')}" if len(names) > 1 else ""
    return f"{plain(names[0])}{others}"


def _grid_warnings(study: Record) -> Iterator[str]:
    frame = study.frame(_RESULTS)
    lost = len(frame) - len(_done(frame))
    if lost:
        yield f"{counted(lost, 'point')} of {len(frame):,} gave no numbers."


def _done(frame: "pd.DataFrame") -> "pd.DataFrame":
    return frame[frame["status"] == _GOOD_STATUS] if "status" in frame.columns else frame


def _nothing(_study: Record) -> Iterator[str]:
    return iter(())


_KINDS: Mapping[str, _Kind] = {
    "load": _Kind(
        "How many requests a second does it serve before the SLO breaks, and before the queue "
        "grows?",
        _load_answers,
        _load_warnings,
    ),
    "jitter": _Kind(
        "What is left of the speed where operators take longer than they were compiled for?",
        _jitter_answers,
        _nothing,
    ),
    "grid": _Kind(
        "What changes, where the keys of the grid change?",
        _grid_answers,
        _grid_warnings,
    ),
}
_OTHER = _Kind("What came out?", _nothing, _nothing)
