"""Topology builders: a few numbers in, every link out. Two builds of equal numbers are equal.

- `dragonfly`: racks of fully connected nodes, racks fully connected in turn
- `grid`: ring, mesh, torus, hyperx: chips on a grid, each line of it a ring, a row or a clique
- `mesh_box`: fully connected chips, with one or more cables for each pair
- `switch_box`: chips on planes of switches
- `edge_list`: cables named one by one
- `cables`: what builders share: nodes of equal size, cables between all, how much is too much
"""

from rack_sim.hardware.builders.dragonfly import RackCables, dragonfly
from rack_sim.hardware.builders.edge_list import edge_list
from rack_sim.hardware.builders.grid import hyperx, mesh, ring, torus
from rack_sim.hardware.builders.mesh_box import full_mesh, fully_connected
from rack_sim.hardware.builders.switch_box import switched

__all__ = [
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
