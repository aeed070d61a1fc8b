"""Hardware: chips, links, topologies and routes.

- `chip`: one accelerator: memory tiers, matrix and vector unit, watts, price
- `link`: one direction between two chips; serialisation in vectors
- `topology`: chips, nodes, racks, spare nodes, links; ports and connection are checked
- `builders`: rings, meshes, tori, dragonflies, switched boxes, lists of cables
- `failures`: the same machine with cables out of service
- `routing`: minimal deterministic routes
- `distance`: hops and latencies between all pairs of chips
- `survey`: facts of a topology: diameter, bisection, path diversity
- `system`: a topology full of chips
- `bisection`, `diversity`, `grid_axes`: parts of a survey; `canonical`, `turns`: graphs alike
"""
