"""Rack: the machine of a run as its tables tell it: chips with what fills them, links, loads.

What repeats is kept once: chips of one stage are filled alike, and thousands of links carry the
same, so a page needs a few profiles and two numbers for each link.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.record.record import Record

# What fills a chip: column of memory.csv -> words, in the order of the bar.
FILLS: Mapping[str, str] = {
    "weight_bytes": "weights",
    "kv_bytes": "KV cache",
    "activation_bytes": "activations",
    "program_bytes": "program",
    "free_bytes": "free",
}
_TIERS = ("weight_tier", "kv_tier", "activation_tier")
# A drawing with more chips than this is one of nodes: a chip would be smaller than a pointer hits.
CHIPS_DRAWN_MAX = 1_024
# Up to so many pairs of chips that talk, each is a line; beyond, a line joins two nodes.
CHIP_PAIRS_DRAWN_MAX = 400


@dataclass(frozen=True)
class Chip:
    """One chip. `fill` is its row of memory.csv as a place in `Rack.fills`; None: holds nothing."""

    number: int
    node: int
    rack: int
    role: str
    stage: int | None
    used_bytes: int
    capacity_bytes: int
    step_busy_ms: float | None
    load: float | None
    fill: int | None


@dataclass(frozen=True)
class LinkProfile:
    """What links that carry the same carry. `by_kind`: vectors and busy ms of one step."""

    kind: str
    payload_bytes: int
    busy_ms: float
    utilisation: float
    by_kind: Mapping[str, tuple[int, float]]


@dataclass(frozen=True)
class Link:
    """One direction of one cable."""

    source: int
    target: int
    lane: int
    profile: int


@dataclass(frozen=True)
class Flow:
    """One direction between two ends of a drawn line: all its cables."""

    link_count: int = 0
    busy_link_count: int = 0
    payload_bytes: int = 0
    utilisation_max: float = 0.0
    step_vectors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """A drawn line between two chips, switches or nodes, the lower number first; both ways."""

    first: int
    second: int
    there: Flow
    back: Flow

    @property
    def utilisation_max(self) -> float:
        """Of the busiest cable in the busier direction."""
        return max(self.there.utilisation_max, self.back.utilisation_max)


@dataclass(frozen=True)
class Rack:
    """Chips by number, rows of memory.csv that differ, profiles of links, and the links.

    `nodes` and `racks` are chips by node and nodes by rack, of the racks that are drawn; `switches`
    are numbers beyond the chips that links lead to.
    """

    chips: Mapping[int, Chip]
    fills: Sequence[Mapping[str, int]]
    tiers: Sequence[tuple[str, ...]]
    profiles: Sequence[LinkProfile]
    links: Sequence[Link]
    nodes: Mapping[int, Sequence[int]]
    racks: Mapping[int, Sequence[int]]
    switches: Sequence[int]
    racks_left_out: int

    @property
    def memory_name(self) -> str:
        """``SRAM``, where nothing lies elsewhere; else ``memory``."""
        tiers = {name for fill in self.tiers for name in fill if name}
        return "SRAM" if tiers == {"sram"} else "memory"

    @property
    def is_by_node(self) -> bool:
        """Whether nodes are drawn instead of chips, because there are so many."""
        return len(self.chips) > CHIPS_DRAWN_MAX

    @cached_property
    def lines(self) -> tuple[tuple[Line, ...], bool]:
        """Lines with traffic, and whether they join nodes rather than chips."""
        between_chips = self._lines(lambda end: end)
        if not self.is_by_node and len(between_chips) <= CHIP_PAIRS_DRAWN_MAX:
            return between_chips, False
        return self._lines(self._node_of), True

    def _node_of(self, end: int) -> int:
        """A chip's node; a switch is below zero, so that it is no node."""
        return self.chips[end].node if end in self.chips else -1 - end

    def _lines(self, place_of: Any) -> tuple[Line, ...]:  # noqa: ANN401 - a function of a number
        flows: dict[tuple[int, int], list[Link]] = {}
        for link in self.links:
            ends = (place_of(link.source), place_of(link.target))
            if ends[0] != ends[1]:
                flows.setdefault(ends, []).append(link)
        lines = []
        for first, second in sorted({(min(ends), max(ends)) for ends in flows}):
            there = self._flow(flows.get((first, second), ()))
            back = self._flow(flows.get((second, first), ()))
            if there.payload_bytes or back.payload_bytes:
                lines.append(Line(first, second, there, back))
        return tuple(lines)

    def _flow(self, links: Sequence[Link]) -> Flow:
        vectors: dict[str, int] = {}
        payload, busiest, busy = 0, 0.0, 0
        for link in links:
            profile = self.profiles[link.profile]
            payload += profile.payload_bytes
            busy += profile.payload_bytes > 0
            busiest = max(busiest, profile.utilisation)
            for name, (count, _) in profile.by_kind.items():
                vectors[name] = vectors.get(name, 0) + count
        return Flow(len(links), busy, payload, busiest, vectors)


def rack_of(run: Record) -> Rack:
    """The racks of a run that hold a part of a model, or a spare chip of them."""
    chips_table, memory = run.frame("chips.csv"), run.frame("memory.csv")
    keep = set(chips_table.loc[chips_table["role"].isin(["stage", "replica"]), "rack"])
    all_racks = chips_table["rack"].nunique()
    chips_table = chips_table[chips_table["rack"].isin(keep)] if keep else chips_table

    fills: dict[tuple[Any, ...], int] = {}
    fill_of: dict[int, int] = {}
    for row in memory.to_dict("records"):
        tiers = tuple(row[name] if isinstance(row[name], str) else "" for name in _TIERS)
        key = (*(int(row[name]) for name in FILLS), tiers)
        fill_of[int(row["chip"])] = fills.setdefault(key, len(fills))

    chips = {
        int(row["chip"]): Chip(
            number=int(row["chip"]),
            node=int(row["node"]),
            rack=int(row["rack"]),
            role=str(row["role"]),
            stage=_whole(row["stage"]),
            used_bytes=int(row["used_bytes"]),
            capacity_bytes=int(row["capacity_bytes"]),
            step_busy_ms=_real(row["step_busy_ms"]),
            load=_real(row["utilisation"]),
            fill=fill_of.get(int(row["chip"])),
        )
        for row in chips_table.to_dict("records")
    }
    links, profiles, switches = _links(run, chips, len(run.frame("chips.csv")))
    nodes: dict[int, list[int]] = {}
    racks: dict[int, list[int]] = {}
    for chip in chips.values():
        if chip.node not in nodes:
            racks.setdefault(chip.rack, []).append(chip.node)
        nodes.setdefault(chip.node, []).append(chip.number)
    return Rack(
        chips=chips,
        fills=[dict(zip(FILLS, key, strict=False)) for key in fills],
        tiers=[key[-1] for key in fills],
        profiles=profiles,
        links=links,
        nodes=nodes,
        racks=racks,
        switches=switches,
        racks_left_out=all_racks - len(racks),
    )


def _links(
    run: Record, chips: Mapping[int, Chip], chip_count: int
) -> tuple[list[Link], list[LinkProfile], list[int]]:
    """Links between what is drawn, what they carry, and the switches they lead to."""
    table = run.frame("links.csv")
    drawn = [
        table[end].isin(chips.keys()) | (table[end] >= chip_count)
        for end in ("source_chip", "target_chip")
    ]
    table = table[drawn[0] & drawn[1]]
    ends = ["source_chip", "target_chip", "lane"]
    rest = table.drop(columns=ends)
    # Rows that carry the same are one group: thousands of links, a few dozen profiles.
    groups = rest.groupby(list(rest.columns), dropna=False, sort=False)
    profiles = [_profile(row) for row in groups.head(1).to_dict("records")]
    links = [
        Link(source, target, lane, group)
        for (source, target, lane), group in zip(
            table[ends].to_numpy().tolist(), groups.ngroup().tolist(), strict=True
        )
    ]
    switches = {end for link in links for end in (link.source, link.target) if end not in chips}
    return links, profiles, sorted(switches)


def _profile(row: Mapping[Any, Any]) -> LinkProfile:
    by_kind = {}
    for name in TRAFFICS:
        vectors, held_ms = _whole(row[f"{name}_step_vectors"]), row[f"{name}_step_busy_ms"]
        if vectors:
            by_kind[name] = (vectors, float(held_ms))
    return LinkProfile(
        kind=str(row["kind"]),
        payload_bytes=int(row["payload_bytes"]),
        busy_ms=float(row["busy_ms"]),
        utilisation=_real(row["utilisation"]) or 0.0,
        by_kind=by_kind,
    )


def _whole(value: object) -> int | None:
    number = _real(value)
    return None if number is None else int(number)


def _real(value: object) -> float | None:
    """A number; None for the empty cell, which is read as one that equals nothing."""
    if not isinstance(value, int | float) or value != value:
        return None
    return float(value)
