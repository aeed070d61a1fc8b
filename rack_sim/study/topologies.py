"""Topologies: the network of every system preset, side by side.

`docs/topologies.md` is written from here; a test says when it is stale.
"""

from rack_sim.foundation.units import format_time
from rack_sim.hardware.survey import Survey, survey
from rack_sim.scenario import load_system
from rack_sim.scenario.library import presets

_HEADINGS = (
    "system",
    "kind",
    "chips",
    "switches",
    "links (one way)",
    "ports used / there",
    "diameter, hops",
    "average hops",
    "bisection, GB/s one way",
    "worst latency",
    "minimal routes, least / mean",
    "disjoint paths, least / mean",
    "pairs compared",
)
_LARGEST = "groq-10440"


def topologies_markdown() -> str:
    """The text of docs/topologies.md."""
    found = {name: survey(load_system(name).topology) for name in presets("system")}
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *map(_row, found.values())]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    largest = found[_LARGEST].distances
    near = sum(largest.pairs_by_hops[:5]) / sum(largest.pairs_by_hops)
    return _TEXT.format(table=table, diameter=largest.diameter_hops, near=f"{near:.1%}")


def _row(found: Survey) -> tuple[str, ...]:
    far, cut, ways = found.distances, found.bisection, found.diversity
    return (
        f"`{found.name}`",
        found.kind,
        f"{found.chip_count:,}",
        f"{found.switch_count}",
        f"{found.link_count:,}",
        f"{found.ports_used:,} / {found.ports_there:,}",
        f"{far.diameter_hops}",
        f"{far.average_hops:.3f}",
        f"{'' if cut.exact else '≤ '}{cut.bytes_per_s / 10**9:,.1f} ({cut.halves})",
        format_time(far.worst_latency_ps),
        f"{ways.minimal_routes_min:,} / {ways.minimal_routes_mean:,.2f}",
        f"{ways.disjoint_paths_min} / {ways.disjoint_paths_mean:.2f}",
        f"{'all' if ways.all_pairs else 'sample of'} {ways.pair_count}",
    )


_TEXT = """# Topologies

Written by `scripts/refresh`; do not edit. `rack-sim topology SYSTEM` prints one of these, also for
a file of your own; `rack-sim explain` prints it for the system of a scenario.

{table}

## What the columns mean

- **Hop**: from chip to chip. Through a switch it is one hop over two links, with the latency of
  both.
- **Ports**: each cable takes one port of the chip at either end. A system that needs more than a
  chip has is refused. Ports of switches are a budget of their own, where it is known.
- **Diameter, average hops**: exact, over all pairs of different chips, spare ones included.
- **Worst latency**: the largest, over all pairs, of the latency of the quickest route of fewest
  hops; links empty, serialisation not counted.
- **Bisection**: bytes per second that one half of the chips can send to the other. Where the
  least cut is known (fully connected, switched, rings, grids) it is given. Elsewhere the figure
  is an upper bound, marked ≤: chips in number order, or what exchanging chips (Kernighan-Lin)
  makes of it where that is less. Halves are equal to a chip, so they may split a node.
- **Minimal routes**: sequences of chips (and switches) of the fewest links; parallel cables count
  as one. **Disjoint paths**: routes of any length that share no cable. Both over all pairs up to
  16 chips, else over 32 pairs spread by a formula over the system.

## What a node is

The partitioner takes nodes as the first choice for tensor-parallel groups. In a dragonfly a node
is what the name says: chips with a link between every two. A fully connected, full-mesh or
switched box is one node. In a ring, a mesh, a torus, a hyperx or a list of edges all chips are one
node unless `chips_per_node` cuts them into blocks of consecutive numbers; links inside a block are
`local`, the others `global`.

A side of 2 in a torus has one cable: the way round ends at the neighbour that a cable already
reaches.

## 10,440 chips are not five hops wide

The largest Groq system is published as 145 racks of 72 chips with a diameter of at most 5 hops.
Chips have 7 local and 4 global ports; nodes of 8 are fully connected; a node has 2 cables to each
of the other 8 nodes of its rack, which leaves 16 of its 32 global ports, 144 for a rack: one
cable to each of the other 144 racks. Counting every hop from chip to chip:

- *At least 5.* After a local hop comes a global one (a second local hop would stay in the node), so
  the chips first reached by k hops are at most L(k) = 7 G(k-1) by a local and
  G(k) = 4 L(k-1) + 3 G(k-1) by a global hop last: 11, 68, 512, 3,440 after G(1) = 4, L(1) = 7. With
  the first chip that makes 4,032 within 4 hops, less than 10,440.
- *Over the one cable between two racks, 7.* A chip that carries it has a ≤ 3 cables to other nodes
  of its rack. Within two hops inside the rack it reaches itself, 7 chips of its node, a over its
  own cables, 16 - a over those of its node, 7a local to the far ends and 3a further: 24 + 10a ≤ 54
  of 72 chips. So each end of the cable has a chip at least three hops away, and from one to the
  other it is at least 3 + 1 + 3, whichever chip carries which cable.
- *So 5 needs detours.* With a = 3 at both ends at most 3,312 of the 5,184 pairs of chips of two
  racks are within 5 hops over their cable, with the even a = 2 at most 2,496. All others would have
  to find a way through third racks. Counting such ways does not exclude that (28,688 chips lie
  within 5 hops at most), but no wiring that does it is published, and none is known here.

What is measured: dealing the ports of a rack to the other racks in steps makes the system 7 hops
wide; dealing the same ports without pattern (`rack_cables: scattered`, what the preset does) makes
it {diameter}, with {near} of all pairs within 5. The published figure may count hops between nodes,
or routes that begin and end at the right chip. The published "less than 3 µs" is met by the pairs
within 5 hops at the latency of a hop that the presets use.
"""
