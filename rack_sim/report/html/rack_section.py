"""Rack section: the drawing of the machine, and the tables that say the same."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.record.record import Record
from rack_sim.report.figures.rack_load import number_runs
from rack_sim.report.html.page import HtmlTable, Section
from rack_sim.report.html.rack import FILLS, Chip, Rack
from rack_sim.report.html.rack_drawing import data_of, drawing_of
from rack_sim.report.numbers import counted, number_text, share, size

_LINES_SHOWN = 25


def rack_section(rack: Rack, run: Record) -> tuple[Section, Mapping[str, Any]]:
    """The section, and what the page's script needs for it."""
    return (
        Section(
            "racks",
            "The racks",
            sentences=tuple(_sentences(rack, run)),
            drawing=drawing_of(rack),
            tables=(_stages(rack), *_traffic(rack), *_busiest(rack)),
        ),
        data_of(rack),
    )


def _sentences(rack: Rack, run: Record) -> list[str]:
    chips = list(rack.chips.values())
    roles = {role: sum(chip.role == role for chip in chips) for role in ("stage", "replica")}
    spare = sum(chip.role == "spare" for chip in chips)
    alone = all(len(nodes) == 1 for nodes in rack.racks.values())
    place = "node" if alone else "rack"
    racks = "" if alone else f"{counted(len(rack.racks), 'rack')}, "
    said = [
        f"{racks}{counted(len(rack.nodes), 'node')}, "
        f"{counted(len(chips), 'chip')}: {roles['stage']:,} hold the first replica"
        + (f", {roles['replica']:,} another" if roles["replica"] else "")
        + (f", {spare:,} are spare" if spare else "")
        + (f", {rest:,} are not used" if (rest := len(chips) - spare - sum(roles.values())) else "")
        + f". {counted(len(rack.links), 'link')} (one direction of one cable each) join them."
    ]
    if rack.is_by_node:
        said.append(
            f"{len(chips):,} chips are too many to point at: every square is a node, coloured by "
            "its fullest or its busiest chip. chips.csv, memory.csv and links.csv have each one."
        )
    if rack.racks_left_out:
        said.append(f"{counted(rack.racks_left_out, place)} of the system, not used, not drawn.")
    replicas = run.summary["replica_count"]
    if isinstance(replicas, int) and replicas > 1:
        said.append(
            "Drawn is one system, with the load of its first replica; "
            f"{counted(replicas, 'replica')} run on "
            f"{counted(run.summary['chip_count'], 'chip')} in all."
        )
    return said


def _stages(rack: Rack) -> HtmlTable:
    """Chips by stage, those that are filled alike in one row."""
    groups: dict[tuple[int | None, int | None, float | None], list[Chip]] = {}
    for chip in rack.chips.values():
        if chip.fill is not None:
            groups.setdefault((chip.stage, chip.fill, chip.load), []).append(chip)
    rows = []
    for (stage, fill, load), chips in sorted(groups.items(), key=lambda item: item[1][0].number):
        sizes = rack.fills[fill or 0]
        rows.append(
            (
                "–" if stage is None else str(stage),
                number_runs([chip.number for chip in chips]),
                *(size(sizes[name]) for name in FILLS),
                size(chips[0].capacity_bytes),
                share(load),
            )
        )
    return HtmlTable(
        f"{rack.memory_name} and load of every chip",
        ("#Stage", "Chips", *(f"#{words}" for words in FILLS.values()), "#holds", "#busy"),
        tuple(rows),
        note="Of the first replica; other replicas are filled alike." if rows else "",
    )


def _traffic(rack: Rack) -> Iterator[HtmlTable]:
    """What all links carry in one step, by kind."""
    links_of = Counter(link.profile for link in rack.links)
    vectors, busy = Counter[str](), dict[str, float]()
    for number, profile in enumerate(rack.profiles):
        for name, (count, held_ms) in profile.by_kind.items():
            vectors[name] += links_of[number] * count
            busy[name] = max(busy.get(name, 0.0), held_ms)
    rows = tuple(
        (
            name,
            words,
            f"{vectors[name]:,}",
            share(vectors[name] / vectors.total()),
            number_text(1000 * busy[name]),
        )
        for name, words in TRAFFICS.items()
        if name in vectors
    )
    if rows:
        heads = ("Kind", "What it is", "#vectors", "#share", "#busiest link, µs")
        yield HtmlTable("Traffic of one step on all links, by kind", heads, rows)


def _busiest(rack: Rack) -> Iterator[HtmlTable]:
    """The busiest lines of the drawing."""
    lines, between_nodes = rack.lines
    noun = "node" if between_nodes else "chip"
    order = sorted(lines, key=lambda line: (-line.utilisation_max, line.first, line.second))
    rows = tuple(
        (
            _end(line.first, noun, rack),
            _end(line.second, noun, rack),
            f"{line.there.busy_link_count + line.back.busy_link_count} of "
            f"{line.there.link_count + line.back.link_count}",
            share(line.utilisation_max),
            size(line.there.payload_bytes),
            size(line.back.payload_bytes),
        )
        for line in order[:_LINES_SHOWN]
    )
    rest = len(order) - _LINES_SHOWN
    note = f"{rest} more carry something: links.csv." if rest > 0 else ""
    heads = ("From", "To", "#busy cables", "#busiest cable", "#sent there", "#sent back")
    if rows:
        yield HtmlTable(f"Busiest links between two {noun}s, both ways", heads, rows, note=note)


def _end(number: int, noun: str, rack: Rack) -> str:
    if number < 0:
        return f"switch {-1 - number}"
    return f"switch {number}" if noun == "chip" and number in rack.switches else f"{noun} {number}"
