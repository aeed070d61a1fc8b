"""Rack drawing: racks, nodes, chips and busy links as shapes with words, and what the page needs
to say more about the one that is pointed at.

Shapes are drawn into the page, so that they are there before any script runs, and in print. A
shape's colour is one of ten steps of a scale, named by its class: the style sheet knows them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.report.figures.rack_layout import NODE_SIDE, RackLayout, lay_out
from rack_sim.report.figures.rack_load import number_runs
from rack_sim.report.figures.rack_scale import LINK_BOUNDS
from rack_sim.report.html.rack import FILLS, Chip, Flow, Line, Rack
from rack_sim.report.numbers import counted, share, size

STEP_COUNT = 10
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


@dataclass(frozen=True)
class Scale:
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


_TENTHS = Scale(tuple(number / STEP_COUNT for number in range(1, STEP_COUNT)), (0.0, 0.5, 1.0))
_SCALES = {
    "memory": _TENTHS,
    "load": _TENTHS,
    "links": Scale(LINK_BOUNDS, (0.0, *LINK_BOUNDS, 1.0)),
}


def drawing_of(rack: Rack) -> dict[str, Any]:
    """The shapes of the drawing, for the template."""
    scales = _SCALES
    layout, unit = _layout(rack)
    lines, between_nodes = rack.lines()
    spots = _spots(rack, layout, unit)
    ends = _node_spots(layout, unit, spots) if between_nodes else spots
    height = layout.height * unit + (_SWITCH_ROOM_PX if rack.switches else 0)
    width = layout.width * unit
    switch_px = min(_SWITCH_PX, 0.88 * width / max(1, len(rack.switches)))
    return {
        "memory": rack.memory_name,
        "by_node": rack.is_by_node,
        "width": _px(width + 2),
        "height": _px(height + 2),
        "scales": {name: scale.limits() for name, scale in scales.items()},
        "racks": [
            {
                "x": _px(x * unit),
                "y": _px(y * unit),
                "width": _px(layout.rack_width * unit),
                "height": _px(layout.rack_height * unit),
                "words": _rack_words(rack, number, layout.rack_width * unit),
                "full_words": _rack_words(rack, number, 1e9),
            }
            for number, (x, y) in layout.rack_corners.items()
        ],
        "nodes": list(_nodes(rack, layout, unit, scales)),
        "switches": [
            {
                "number": number,
                "x": _px(spots[number][0] - switch_px / 2),
                "y": _px(spots[number][1] - 13),
                "width": _px(switch_px),
                "words": f"switch {number}" if switch_px >= _SWITCH_WORDS_PX_MIN else str(number),
            }
            for number in rack.switches
        ],
        "lines": [
            {
                "number": number,
                "step": scales["links"].step(line.utilisation_max),
                "ends": [_px(part) for end in (line.first, line.second) for part in ends[end]],
                "words": line_words(line, between_nodes),
            }
            for number, line in enumerate(lines)
        ],
        "between_nodes": between_nodes,
        "has_lines": bool(lines),
        "roles": [
            (role, words)
            for role, words in _UNTOLD.items()
            if any(chip.role == role for chip in rack.chips.values())
        ],
        "by_kind": any(profile.by_kind for profile in rack.profiles),
    }


def data_of(rack: Rack) -> dict[str, Any]:
    """What the page's script says of a chip, a node or a line; columns, so that it is short."""
    layout, unit = _layout(rack)
    lines, between_nodes = rack.lines()
    scale = _SCALES["links"]
    content: dict[str, Any] = {
        "memory": rack.memory_name,
        "roles": _UNTOLD,
        "fills": list(FILLS.values()),
        "kinds": list(TRAFFICS.items()),
        "betweenNodes": between_nodes,
        "byNode": rack.is_by_node,
        "switches": list(rack.switches),
        "lines": [
            [line.first, line.second, *map(_flow_data, (line.there, line.back))] for line in lines
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
        content["nodeRows"] = [_node_row(rack, chips) for chips in rack.nodes.values()]
        return content
    spots = _spots(rack, layout, unit)
    names = list(TRAFFICS)
    content["chips"] = [
        [
            chip.number,
            chip.node,
            chip.rack,
            chip.role,
            chip.stage,
            chip.used_bytes,
            chip.capacity_bytes,
            chip.step_busy_ms,
            chip.load,
            chip.fill,
            *(_px(part) for part in spots[chip.number]),
        ]
        for chip in rack.chips.values()
    ]
    content["switchSpots"] = [[_px(part) for part in spots[number]] for number in rack.switches]
    content["profiles"] = [
        [
            profile.kind,
            profile.payload_bytes,
            profile.busy_ms,
            profile.utilisation,
            scale.step(profile.utilisation),
            [[names.index(name), *load] for name, load in profile.by_kind.items()],
        ]
        for profile in rack.profiles
    ]
    content["links"] = [
        [link.source for link in rack.links],
        [link.target for link in rack.links],
        [link.lane for link in rack.links],
        [link.profile for link in rack.links],
    ]
    return content


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


def _layout(rack: Rack) -> tuple[RackLayout, float]:
    """Places, in units, and how many pixels a unit is."""
    numbers = sorted(rack.racks)
    width = lay_out(rack, numbers).width
    unit = min(_NODE_PX_MAX, _WIDTH_PX / width)
    return lay_out(rack, numbers, _HEADER_PX / unit), unit


def _spots(rack: Rack, layout: RackLayout, unit: float) -> dict[int, tuple[float, float]]:
    """Centres of chips and switches, in pixels."""
    spots = {chip: (x * unit, y * unit) for chip, (x, y) in layout.chip_centres.items()}
    width, top = layout.width * unit, layout.height * unit
    room = width / max(1, len(rack.switches))
    for place, number in enumerate(rack.switches):
        spots[number] = ((place + 0.5) * room, top + _SWITCH_ROOM_PX * 0.6)
    return spots


def _node_spots(
    layout: RackLayout, unit: float, spots: Mapping[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """Centres of nodes by number, and of switches by -1 less their number."""
    found = {node: (x * unit, y * unit) for node, (x, y) in layout.node_centres.items()}
    found.update({-1 - number: spot for number, spot in spots.items()})
    return found


def _nodes(
    rack: Rack, layout: RackLayout, unit: float, scales: Mapping[str, Scale]
) -> Iterator[dict[str, Any]]:
    side = NODE_SIDE * unit
    for number, chips in rack.nodes.items():
        x, y = (part * unit for part in layout.node_centres[number])
        members = [rack.chips[chip] for chip in chips]
        stages = sorted({chip.stage for chip in members if chip.stage is not None})
        badge = number_runs(stages)
        node: dict[str, Any] = {
            "number": number,
            "x": _px(x - side / 2),
            "y": _px(y - side / 2),
            "side": _px(side),
            "cx": _px(x),
            "cy": _px(y),
            "is_spare": all(chip.role == "spare" for chip in members),
            "badge": badge
            if side >= _NODE_WORDS_PX_MIN
            and len(badge) < 6
            and not rack.is_by_node
            and len(rack.nodes) > 1
            and len(chips) > 1
            else "",
            "chips": [],
        }
        if rack.is_by_node:
            used = max(chip.used_bytes / chip.capacity_bytes for chip in members)
            load = max(chip.load or 0.0 for chip in members)
            node |= _classes(members[0].role, used, load, scales)
            node["words"] = node_words(number, members, rack.memory_name)
        else:
            node["chips"] = [_chip_shape(rack, chip, layout, unit, scales) for chip in members]
        yield node


def node_words(number: int, members: Sequence[Chip], memory: str) -> str:
    """A node in words: of its chips, the fullest and the busiest."""
    stages = sorted({chip.stage for chip in members if chip.stage is not None})
    head = f"Node {number}, rack {members[0].rack}, {counted(len(members), 'chip')}"
    if not stages:
        return f"{head}: {_UNTOLD.get(members[0].role, members[0].role)}"
    used = max(chip.used_bytes for chip in members)
    return (
        f"{head}, stage {number_runs(stages)}: fullest chip {size(used)} of "
        f"{size(members[0].capacity_bytes)} of {memory}, busiest chip "
        f"{share(max(chip.load or 0.0 for chip in members))} of the time"
    )


def _chip_shape(
    rack: Rack, chip: Chip, layout: RackLayout, unit: float, scales: Mapping[str, Scale]
) -> dict[str, Any]:
    x, y = layout.chip_centres[chip.number]
    side = layout.chip_sides[chip.number] * unit
    used = chip.used_bytes / chip.capacity_bytes if chip.capacity_bytes else 0.0
    return {
        "number": chip.number,
        "x": _px(x * unit - side / 2),
        "y": _px(y * unit - side / 2),
        "side": _px(side),
        "label": str(chip.number) if side >= _CHIP_WORDS_PX_MIN else "",
        "words": chip_words(chip, rack.memory_name),
        **_classes(chip.role, used, chip.load or 0.0, scales),
    }


def _classes(role: str, used: float, load: float, scales: Mapping[str, Scale]) -> dict[str, Any]:
    if role in _UNTOLD:
        return {"classes": role}
    steps = (f"m{scales['memory'].step(used)}", f"u{scales['load'].step(load)}")
    return {"classes": " ".join(steps)}


def _rack_words(rack: Rack, number: int, width_px: float) -> str:
    stages = sorted(
        {
            stage
            for node in rack.racks[number]
            for chip in rack.nodes[node]
            if (stage := rack.chips[chip].stage) is not None
        }
    )
    nodes = rack.racks[number]
    words = f"Rack {number}" if len(nodes) > 1 else f"Node {nodes[0]}"
    long = f"{words} · stage{'s' if len(stages) > 1 else ''} {number_runs(stages)}"
    return long if stages and len(long) * 8 < width_px else words


def _node_row(rack: Rack, chips: Sequence[int]) -> list[Any]:
    """Of a node that is drawn as one: chips, stages, the fullest chip's fill, and loads."""
    members = [rack.chips[chip] for chip in chips]
    fullest = max(members, key=lambda chip: (chip.used_bytes, -chip.number))
    stages = sorted({chip.stage for chip in members if chip.stage is not None})
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
    names = list(TRAFFICS)
    kinds = [[names.index(name), count] for name, count in flow.step_vectors.items()]
    return [flow.link_count, flow.busy_link_count, flow.payload_bytes, flow.utilisation_max, kinds]


def _px(value: float) -> float:
    short = round(value, 1)
    return int(short) if short == int(short) else short
