"""Rack figure: the machine drawn, its chips and links coloured by how busy they were."""

from typing import TYPE_CHECKING

from rack_sim.hardware.topology import Topology
from rack_sim.pipeline import Result
from rack_sim.report.colours import FAINT_INK, GREY, INK
from rack_sim.report.figures.canvas import BOLD_CHARACTER, POINTS_PER_INCH, new_sheet
from rack_sim.report.figures.rack_layout import (
    NODE_SIDE,
    RACK_HEADER_MAX,
    Point,
    RackLayout,
    lay_out,
)
from rack_sim.report.figures.rack_load import RackLoad, load_of
from rack_sim.report.figures.rack_scale import ColourScale, chip_scale, draw_colour_bars, link_scale
from rack_sim.report.numbers import count_text, percent_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH_INCHES_MIN, _WIDTH_INCHES_MAX = 8.2, 10.0
_MARGIN_INCHES = 0.12
_BARS_INCHES = 1.05
_NODE_INCHES_MAX = 2.6
_HEADER_INCHES = 0.34
# Below this a number in a node could not be read; the racks' headings still give the stages.
_BADGE_NODE_INCHES_MIN = 0.34
_CHIP_WORDS_INCHES_MIN = 0.13
_RACK_COLOUR = "#F4F4F4"


def draw_rack(result: Result) -> "Figure":
    """Racks, nodes, chips and busy links, with stage numbers and colour bars."""
    topology = result.explanation.plan.system.topology
    load = load_of(result)
    racks = load.racks_in_use(topology)
    layout = lay_out(topology, racks)
    usable_inches = _WIDTH_INCHES_MAX - 2 * _MARGIN_INCHES
    node_inches = min(_NODE_INCHES_MAX, usable_inches / layout.width)
    layout = lay_out(topology, racks, min(RACK_HEADER_MAX, _HEADER_INCHES / node_inches))
    width_inches = layout.width * node_inches
    sheet_width_inches = max(_WIDTH_INCHES_MIN, width_inches + 2 * _MARGIN_INCHES)
    drawn_inches = layout.height * node_inches
    figure = new_sheet(
        _title(result, load),
        _subtitle(result, load),
        width_inches=sheet_width_inches,
        height_inches=drawn_inches + _BARS_INCHES + 2 * _MARGIN_INCHES,
        fitted=False,
    )
    sheet_inches = figure.get_figheight()
    axes = figure.add_axes(
        (
            (1 - width_inches / sheet_width_inches) / 2,
            (_BARS_INCHES + _MARGIN_INCHES) / sheet_inches,
            width_inches / sheet_width_inches,
            drawn_inches / sheet_inches,
        )
    )
    axes.set_xlim(-0.01, layout.width + 0.01)
    axes.set_ylim(layout.height + 0.01, -0.01)
    axes.set_axis_off()
    chips, links = chip_scale(), link_scale()
    _draw_boxes(axes, topology, layout, load, node_inches)
    _draw_links(axes, topology, layout, load, links, node_inches)
    _draw_chips(axes, topology, layout, load, chips, node_inches)
    _draw_badges(axes, topology, layout, load, chips, node_inches)
    draw_colour_bars(figure, chips, links)
    return figure


def _draw_boxes(
    axes: "Axes", topology: Topology, layout: RackLayout, load: RackLoad, node_inches: float
) -> None:
    from matplotlib.patches import Rectangle

    points = max(5.0, min(11.0, 11 * node_inches))
    for number, (x, y) in layout.rack_corners.items():
        axes.add_patch(
            Rectangle(
                (x, y),
                layout.rack_width,
                layout.rack_height,
                facecolor=_RACK_COLOUR,
                edgecolor="#9A9A9A",
                linewidth=0.8,
                zorder=0,
            )
        )
        chips = tuple(chip for node in topology.racks[number] for chip in topology.nodes[node])
        axes.text(
            x + 0.12,
            y + (layout.header + (1 - NODE_SIDE) / 2) / 2,
            _rack_words(number, load, chips, layout.rack_width * node_inches / points),
            fontsize=points,
            va="center",
            color=INK,
            fontweight="bold",
            bbox={"facecolor": _RACK_COLOUR, "edgecolor": "none", "pad": 1},
            zorder=6,
        )
    spare = set(topology.spare_nodes)
    for node, (x, y) in layout.node_centres.items():
        axes.add_patch(
            Rectangle(
                (x - NODE_SIDE / 2, y - NODE_SIDE / 2),
                NODE_SIDE,
                NODE_SIDE,
                facecolor="#E9E9E9" if node in spare else "white",
                edgecolor="#C4C4C4",
                hatch="////" if node in spare else None,
                linewidth=0.6,
                zorder=1,
            )
        )


def _rack_words(
    number: int, load: RackLoad, chips: tuple[int, ...], inches_per_point: float
) -> str:
    """The heading of a rack, the longest that fits it."""
    parts = load.parts_of(chips)
    wordings = [f"rack {number}"]
    if load.replica_count > 1 or load.stage_count > 1:
        wordings.insert(0, f"rack {number}: {parts or 'no stage'}")
    if parts and len(wordings) > 1:
        wordings.insert(1, f"{number}: {parts.split()[-1]}")
    room = (inches_per_point - 0.02) * POINTS_PER_INCH / BOLD_CHARACTER
    return next((words for words in wordings if len(words) <= room), wordings[-1])


def _draw_links(
    axes: "Axes",
    topology: Topology,
    layout: RackLayout,
    load: RackLoad,
    scale: ColourScale,
    node_inches: float,
) -> None:
    """Busy links, the busiest on top; those between nodes thicker, because there are few.

    The switches of a node stand together in its middle.
    """
    from matplotlib.collections import LineCollection

    chips = topology.node_of_chip()

    def node_of(place: int, other: int) -> int:
        return chips[place] if place < len(chips) else chips[other]

    def point(place: int, other: int) -> Point:
        if place < len(chips):
            return layout.chip_centres[place]
        return layout.node_centres[node_of(place, other)]

    thin = max(0.25, min(1.4, 1.0 * node_inches))
    for between_nodes in (False, True):
        pairs = sorted(
            (share, pair)
            for pair, share in load.share_by_pair.items()
            if (node_of(*pair) != node_of(*reversed(pair))) == between_nodes
        )
        axes.add_collection(
            LineCollection(
                [[point(a, b), point(b, a)] for _, (a, b) in pairs],
                colors=[scale.colours(scale.norm(share)) for share, _ in pairs],
                linewidths=thin * (2.0 if between_nodes else 1.0),
                capstyle="round",
                zorder=3 if between_nodes else 2,
            )
        )


def _draw_chips(
    axes: "Axes",
    topology: Topology,
    layout: RackLayout,
    load: RackLoad,
    scale: ColourScale,
    node_inches: float,
) -> None:
    from matplotlib.collections import PolyCollection

    corners, colours = [], []
    for chip, (x, y) in layout.chip_centres.items():
        half = layout.chip_sides[chip] / 2
        corners.append(
            [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
        )
        share = load.share_by_chip.get(chip)
        colours.append(scale.colours(scale.norm(share)) if share is not None else GREY)
    axes.add_collection(
        PolyCollection(
            corners,
            facecolors=colours,
            edgecolors="#4D4D4D",
            linewidths=max(0.2, min(0.8, 0.5 * node_inches)),
            zorder=4,
        )
    )


def _draw_badges(
    axes: "Axes",
    topology: Topology,
    layout: RackLayout,
    load: RackLoad,
    scale: ColourScale,
    node_inches: float,
) -> None:
    """What each node holds in its middle, or on its chips where that differs."""
    if node_inches < _BADGE_NODE_INCHES_MIN:
        return
    spare = set(topology.spare_nodes)
    points = max(5.0, min(14.0, 10.5 * node_inches))
    switched = any(place >= topology.chip_count for _, place in load.share_by_pair)
    for node, (x, y) in layout.node_centres.items():
        chips = topology.nodes[node]
        badges = {load.badge_of((chip,)) for chip in chips if chip in load.stage_by_chip}
        words = "spare" if node in spare else load.badge_of(chips) if badges else "idle"
        if len(badges) > 1 and _number_chips(axes, chips, layout, load, scale, node_inches):
            words = ""
        if not words and switched:
            words = "switches"
        if not words:
            continue
        numbered = words[0].isdigit()
        axes.text(
            x,
            y,
            words,
            ha="center",
            va="center",
            fontsize=points if numbered else points * 0.8,
            color=INK if numbered else FAINT_INK,
            fontweight="bold" if numbered else "normal",
            bbox={"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none"},
            zorder=5,
        )


def _number_chips(
    axes: "Axes",
    chips: tuple[int, ...],
    layout: RackLayout,
    load: RackLoad,
    scale: ColourScale,
    node_inches: float,
) -> bool:
    """Writes on each chip what it holds; False where chips are too small for that."""
    side_inches = layout.chip_sides[chips[0]] * node_inches
    if side_inches < _CHIP_WORDS_INCHES_MIN:
        return False
    for chip in chips:
        if chip in load.stage_by_chip:
            dark = load.share_by_chip[chip] > 0.5
            axes.text(
                *layout.chip_centres[chip],
                load.badge_of((chip,)),
                ha="center",
                va="center",
                fontsize=min(12.0, 32 * side_inches),
                color="white" if dark else INK,
                fontweight="bold",
                zorder=6,
            )
    return True


def _title(result: Result, load: RackLoad) -> str:
    busiest, share = max(load.share_by_chip.items(), key=lambda pair: (pair[1], -pair[0]))
    text = f"The busiest stage ({load.stage_by_chip[busiest]}) works {percent_text(share)}"
    if load.replica_count > 1:
        which = "" if load.replica_count == result.explanation.fleet.replica_count else " drawn"
        number = load.replica_by_chip[busiest]
        text = f"The busiest replica{which} ({number}) works {percent_text(share)}"
    elif load.stage_count == 1:
        text = f"The chips work {percent_text(share)}"
    if not load.share_by_pair:
        return f"{text} of the time; no link is used"
    link = percent_text(max(load.share_by_pair.values()))
    return f"{text} of the time, the busiest link {link}"


def _subtitle(result: Result, load: RackLoad) -> str:
    plan = result.explanation.plan
    topology = plan.system.topology
    spare = sum(len(topology.nodes[node]) for node in topology.spare_nodes)
    idle = topology.active_chip_count - len(load.stage_by_chip)
    others = [f"{idle:,} idle"] if idle else []
    others += [f"{spare:,} spare (hatched)"] if spare else []
    grey = f"; grey: {' and '.join(others)} chips" if others else ""
    idle_links = load.link_count - load.busy_link_count
    racks = len(topology.racks) - len(load.racks_in_use(topology))
    left_out = f"; {count_text(racks, 'unused rack')} not drawn" if racks else ""
    links = f"lines: {load.busy_link_count:,} of {load.link_count:,} links carry vectors"
    if load.replica_count > 1:
        links += " of replica 0"
    if load.share_by_traffic:
        kinds = (f"{percent_text(s)} {name}" for name, s in load.share_by_traffic.items())
        links += f" ({', '.join(kinds)})"
    rest = "idle ones are" if load.replica_count == 1 else "others are"
    return (
        f"{result.explanation.scenario.name} on {topology.name}: {_holders(result, load)}"
        f"{grey}; {links}{f', {idle_links:,} {rest} not drawn' if idle_links else ''}{left_out}"
    )


def _holders(result: Result, load: RackLoad) -> str:
    """Stages and replicas in words, and what the numbers in the drawing are."""
    plan = result.explanation.plan
    replicas = result.explanation.fleet.replica_count
    group = f"{plan.tensor_parallel} chips" if plan.tensor_parallel > 1 else "one chip"
    stages = f"one stage of {group}"
    if plan.stage_count > 1:
        stages = f"{plan.stage_count:,} stages of {group}"
    drawn = load.replica_count
    if replicas == 1:
        return f"{stages}, numbered in pipeline order" if plan.stage_count > 1 else stages
    if drawn == 1:
        return f"replica 0 of {replicas:,}, which are alike, {stages}"
    numbers = "numbered" if plan.stage_count == 1 else "numbered replica:stage"
    where = "" if drawn == replicas else f" of {replicas:,}"
    return f"{drawn:,}{where} replicas, {numbers}, each of {stages}"
