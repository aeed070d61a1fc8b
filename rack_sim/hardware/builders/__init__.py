"""Topology builders: a few numbers in, every link out. Two builds of equal numbers are equal.

A new one is a function in a file of its own, made like those here, and a line in `BUILDERS`.

- `builder`: what is listed, and how sizes stand in a line of text
- `dragonfly`: racks of fully connected nodes, racks fully connected in turn
- `grid`: ring, mesh, torus, hyperx: chips on a grid, each line of it a ring, a row or a clique
- `mesh_box`: fully connected chips, with one or more cables for each pair
- `switch_box`: chips on planes of switches
- `edge_list`: cables named one by one
- `cables`: what builders share: nodes of equal size, cables between all, how much is too much
"""

from rack_sim.hardware.builders.builder import Builder
from rack_sim.hardware.builders.dragonfly import RackCables, dragonfly
from rack_sim.hardware.builders.edge_list import edge_list
from rack_sim.hardware.builders.grid import hyperx, mesh, ring, torus
from rack_sim.hardware.builders.mesh_box import full_mesh, fully_connected
from rack_sim.hardware.builders.switch_box import switched

BUILDERS: dict[str, Builder] = {
    "fully_connected": Builder(fully_connected, "fully-connected:8", resized_by="chips"),
    "full_mesh": Builder(full_mesh, "full-mesh:8,links_per_pair=2", resized_by="chips"),
    "switched": Builder(switched, "switched:8,switches=4,links_per_chip=18", resized_by="chips"),
    "ring": Builder(ring, "ring:8"),
    "mesh": Builder(mesh, "mesh:4x4 or mesh:4x4x2"),
    "torus": Builder(torus, "torus:4x8 or torus:4x4x2"),
    "hyperx": Builder(hyperx, "hyperx:4x4 or hyperx:2x8x16"),
    "dragonfly": Builder(
        dragonfly,
        "dragonfly:9x8,links_per_node_pair=1 (nodes x chips) or dragonfly:2x9x8,"
        "links_per_node_pair=1,links_per_rack_pair=9 (racks x nodes x chips)",
    ),
    "edge_list": Builder(edge_list),
}
"""Kind in a file -> builder."""

__all__ = [
    "BUILDERS",
    "Builder",
    "RackCables",
    "dragonfly",
    "edge_list",
    "full_mesh",
    "fully_connected",
    "hyperx",
    "mesh",
    "ring",
    "switched",
    "torus",
]
