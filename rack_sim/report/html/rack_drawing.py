"""Rack drawing: racks, nodes, chips and busy links as shapes with words, and what the page needs
to say more about the one that is pointed at.

Shapes are drawn into the page, so that they are there before any script runs, and in print. A
shape's colour is one of ten steps of a scale, named by its class: the style sheet knows them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property
from math import inf
from typing import Any

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.report.figures.rack_layout import NODE_SIDE, lay_out
from rack_sim.report.figures.rack_load import number_runs
from rack_sim.report.figures.rack_scale import LINK_BOUNDS
from rack_sim.report.html.rack import FILLS, Chip, Flow, Line, Rack
from rack_sim.report.numbers import counted, share, size

_STEP_COUNT = 10
_KINDS = list(TRAFFICS)
_WIDTH_PX, _NODE_PX_MAX = 1_000.0, 260.0
# Roles of chips of which the tables say nothing more -> words.
_UNTOLD = {
    "spare": "spare",
    "idle": "not used",
    "replica": "holds another replica, which is filled like the first",
}
_HEADER_PX = 26.0
_SWITCH_PX, _SWITCH_ROOM_PX = 92.0, 70.0
_SWITCH_WORDS_PX_MIN = 62.0
# A chip this wide has room for its number.
_CHIP_WORDS_PX_MIN = 30.0
_NODE_WORDS_PX_MIN = 34.0
_BADGE_CHARACTERS = 6


@dataclass(frozen=True)
class ShareSteps:
    """Steps of a share, the same on every page: a link that is hardly busy never looks busy.

    `bounds` are where one step ends and the next begins, `marks` the shares that are named below.
    """

    bounds: tuple[float, ...]
    marks: tuple[float, ...]

    def step(self, value: float | None) -> int:
        """The step of a value."""
        return bisect_right(self.bounds, value or 0.0)

    def limits(self) -> list[str]:
        """The marks in words."""
        return [share(mark).replace(".0", "") for mark in self.marks]


_TENTHS = ShareSteps(
    tuple(number / _STEP_COUNT for number in range(1, _STEP_COUNT)), (0.0, 0.5, 1.0)
)
_SCALES = {
    "memory": _TENTHS,
    "load": _TENTHS,
    "links": ShareSteps(LINK_BOUNDS, (0.0, *LINK_BOUNDS, 1.0)),
}


class _Sheet:
    """Where everything of a rack is drawn, in pixels."""

    def __init__(self, rack: Rack) -> None:
        numbers = sorted(rack.racks)
        self.rack = rack
        self.unit = min(_NODE_PX_MAX, _WIDTH_PX / lay_out(rack, numbers).width)
        self.layout = lay_out(rack, numbers, _HEADER_PX / self.unit)
        self.width = self.layout.width * self.unit
        self.height = self.layout.height * self.unit
        self.lines, self.between_nodes = rack.lines

    @cached_property
    def spots(self) -> dict[int, tuple[float, float]]:
        """Centres of chips and switches."""
        found = {chip: self.at(centre) for chip, centre in self.layout.chip_centres.items()}
        switches = self.rack.switches
        for place, number in enumerate(switches):
            x = (place + 0.5) * self.width / len(switches)
            found[number] = (x, self.height + _SWITCH_ROOM_PX * 0.6)
        return found

    @cached_property
    def ends(self) -> dict[int, tuple[float, float]]:
        """Where lines end: at chips and switches, or at nodes, and at switches by -1 less."""
        if not self.between_nodes:
            return self.spots
        nodes = {node: self.at(centre) for node, centre in self.layout.node_centres.items()}
        return nodes | {-1 - number: spot for number, spot in self.spots.items()}

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point of the layout."""
        return point[0] * self.unit, point[1] * self.unit

    def square(self, centre: tuple[float, float], side: float) -> dict[str, float]:
        """A square of the layout."""
        x, y = self.at(centre)
        side *= self.unit
        return {"x": _px(x - side / 2), "y": _px(y - side / 2), "side": _px(side)}


def drawing_of(rack: Rack) -> dict[str, Any]:
    """The shapes of the drawing, for the template."""
    sheet = _Sheet(rack)
    layout, unit = sheet.layout, sheet.unit
    return {
        "memory": rack.memory_name,
        "by_node": rack.is_by_node,
        "width": _px(sheet.width + 2),
        "height": _px(sheet.height + (_SWITCH_ROOM_PX if rack.switches else 0) + 2),
        "scales": {name: scale.limits() for name, scale in _SCALES.items()},
        "racks": [
            {
                "x": _px(x * unit),
                "y": _px(y * unit),
                "width": _px(layout.rack_width * unit),
                "height": _px(layout.rack_height * unit),
                "words": _rack_words(rack, number, layout.rack_width * unit),
                "full_words": _rack_words(rack, number, inf),
            }
            for number, (x, y) in layout.rack_corners.items()
        ],
        "nodes": [_node_shape(sheet, *pair) for pair in rack.nodes.items()],
        "switches": list(_switches(sheet)),
        "lines": [
            {
                "number": number,
                "step": _SCALES["links"].step(line.utilisation_max),
                "ends": [
                    _px(part) for end in (line.first, line.second) for part in sheet.ends[end]
                ],
                "words": line_words(line, sheet.between_nodes),
            }
            for number, line in enumerate(sheet.lines)
        ],
        "between_nodes": sheet.between_nodes,
        "has_lines": bool(sheet.lines),
        "roles": [
            (role, words)
            for role, words in _UNTOLD.items()
            if any(chip.role == role for chip in rack.chips.values())
        ],
        "by_kind": any(profile.by_kind for profile in rack.profiles),
    }


def _switches(sheet: _Sheet) -> Iterator[dict[str, Any]]:
    switches = sheet.rack.switches
    width = min(_SWITCH_PX, 0.88 * sheet.width / max(1, len(switches)))
    for number in switches:
        x, y = sheet.spots[number]
        yield {
            "number": number,
            "x": _px(x - width / 2),
            "y": _px(y - 13),
            "width": _px(width),
            "words": f"switch {number}" if width >= _SWITCH_WORDS_PX_MIN else str(number),
        }


def data_of(rack: Rack) -> dict[str, Any]:
    """What the page's script says of a chip, a node or a line; columns, so that it is short."""
    sheet = _Sheet(rack)
    content: dict[str, Any] = {
        "memory": rack.memory_name,
        "roles": _UNTOLD,
        "fills": list(FILLS.values()),
        "kinds": list(TRAFFICS.items()),
        "betweenNodes": sheet.between_nodes,
        "byNode": rack.is_by_node,
        "switches": list(rack.switches),
        "lines": [
            [line.first, line.second, *map(_flow_data, (line.there, line.back))]
            for line in sheet.lines
        ],
        "nodes": [
            [number, rack.chips[chips[0]].rack, list(chips) if not rack.is_by_node else len(chips)]
            for number, chips in rack.nodes.items()
        ],
        "fillRows": [
            [*row.values(), *tiers] for row, tiers in zip(rack.fills, rack.tiers, strict=True)
        ],
    }
    if rack.is_by_node:
        return content | {"nodeRows": [_node_row(rack, chips) for chips in rack.nodes.values()]}

    def spot(number: int) -> list[float]:
        return [_px(part) for part in sheet.spots[number]]

    columns = zip(
        *((one.source, one.target, one.lane, one.profile) for one in rack.links), strict=True
    )
    return content | {
        # The fields of a chip, in their order.
        "chips": [[*astuple(chip), *spot(chip.number)] for chip in rack.chips.values()],
        "switchSpots": [spot(number) for number in rack.switches],
        "profiles": [
            [
                profile.kind,
                profile.payload_bytes,
                profile.busy_ms,
                profile.utilisation,
                _SCALES["links"].step(profile.utilisation),
                [[_KINDS.index(name), *load] for name, load in profile.by_kind.items()],
            ]
            for profile in rack.profiles
        ],
        "links": [list(column) for column in columns] or [[], [], [], []],
    }


def line_words(line: Line, between_nodes: bool) -> str:
    """A line in words, for who does not see it."""
    noun = "Node" if between_nodes else "Chip"
    names = [
        f"{noun} {end}" if end >= 0 else f"Switch {-1 - end}" for end in (line.first, line.second)
    ]
    return (
        f"{names[0]} – {names[1].lower()}: busiest cable {share(line.utilisation_max)} of the "
        f"time, {size(line.there.payload_bytes)} there, {size(line.back.payload_bytes)} back"
    )


def chip_words(chip: Chip, memory: str) -> str:
    """A chip in words."""
    head = f"Chip {chip.number}, node {chip.node}, rack {chip.rack}"
    if chip.role in _UNTOLD:
        return f"{head}: {_UNTOLD[chip.role]}"
    stage = "" if chip.stage is None else f", stage {chip.stage}"
    return (
        f"{head}{stage}: {size(chip.used_bytes)} of {size(chip.capacity_bytes)} of {memory} "
        f"in use, busy {share(chip.load)} of the time"
    )


def node_words(number: int, members: Sequence[Chip], memory: str) -> str:
    """A node in words: of its chips, the fullest and the busiest."""
    stages = _stages_of(members)
    head = f"Node {number}, rack {members[0].rack}, {counted(len(members), 'chip')}"
    if not stages:
        return f"{head}: {_UNTOLD.get(members[0].role, members[0].role)}"
    used = max(chip.used_bytes for chip in members)
    return (
        f"{head}, stage {number_runs(stages)}: fullest chip {size(used)} of "
        f"{size(members[0].capacity_bytes)} of {memory}, busiest chip "
        f"{share(max(chip.load or 0.0 for chip in members))} of the time"
    )


def _node_shape(sheet: _Sheet, number: int, chips: Sequence[int]) -> dict[str, Any]:
    rack, centre = sheet.rack, sheet.layout.node_centres[number]
    members = [rack.chips[chip] for chip in chips]
    shape: dict[str, Any] = {
        "number": number,
        **sheet.square(centre, NODE_SIDE),
        **dict(zip(("cx", "cy"), map(_px, sheet.at(centre)), strict=True)),
        "is_spare": all(chip.role == "spare" for chip in members),
        "badge": "",
        "chips": [],
    }
    if rack.is_by_node:
        used = max(_used_share(chip) for chip in members)
        load = max(chip.load or 0.0 for chip in members)
        words = node_words(number, members, rack.memory_name)
        return shape | _classes(members[0].role, used, load) | {"words": words}
    badge = number_runs(_stages_of(members))
    has_room = NODE_SIDE * sheet.unit >= _NODE_WORDS_PX_MIN and len(badge) < _BADGE_CHARACTERS
    if has_room and len(rack.nodes) > 1 and len(chips) > 1:
        shape["badge"] = badge
    return shape | {"chips": [_chip_shape(sheet, chip) for chip in members]}


def _chip_shape(sheet: _Sheet, chip: Chip) -> dict[str, Any]:
    layout = sheet.layout
    shape = sheet.square(layout.chip_centres[chip.number], layout.chip_sides[chip.number])
    return {
        "number": chip.number,
        **shape,
        "label": str(chip.number) if shape["side"] >= _CHIP_WORDS_PX_MIN else "",
        "words": chip_words(chip, sheet.rack.memory_name),
        **_classes(chip.role, _used_share(chip), chip.load or 0.0),
    }


def _used_share(chip: Chip) -> float:
    return chip.used_bytes / chip.capacity_bytes if chip.capacity_bytes else 0.0


def _stages_of(chips: Iterable[Chip]) -> list[int]:
    return sorted({chip.stage for chip in chips if chip.stage is not None})


def _classes(role: str, used: float, load: float) -> dict[str, Any]:
    if role in _UNTOLD:
        return {"classes": role}
    return {"classes": f"m{_SCALES['memory'].step(used)} u{_SCALES['load'].step(load)}"}


def _rack_words(rack: Rack, number: int, width_px: float) -> str:
    nodes = rack.racks[number]
    stages = _stages_of(rack.chips[chip] for node in nodes for chip in rack.nodes[node])
    words = f"Rack {number}" if len(nodes) > 1 else f"Node {nodes[0]}"
    long = f"{words} · stage{'s' if len(stages) > 1 else ''} {number_runs(stages)}"
    return long if stages and len(long) * 8 < width_px else words


def _node_row(rack: Rack, chips: Sequence[int]) -> list[Any]:
    """Of a node that is drawn as one: chips, stages, the fullest chip's fill, and loads."""
    members = [rack.chips[chip] for chip in chips]
    fullest = max(members, key=lambda chip: (chip.used_bytes, -chip.number))
    stages = _stages_of(members)
    return [
        f"{chips[0]}–{chips[-1]}" if len(chips) > 1 else str(chips[0]),
        members[0].role,
        number_runs(stages),
        fullest.number,
        fullest.used_bytes,
        fullest.capacity_bytes,
        fullest.fill,
        max(chip.load or 0.0 for chip in members),
        members[0].step_busy_ms,
    ]


def _flow_data(flow: Flow) -> list[Any]:
    kinds = [[_KINDS.index(name), count] for name, count in flow.step_vectors.items()]
    return [flow.link_count, flow.busy_link_count, flow.payload_bytes, flow.utilisation_max, kinds]


def _px(value: float) -> float:
    short = round(value, 1)
    return int(short) if short == int(short) else short
