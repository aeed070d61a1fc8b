"""Hardware: chips, links, topologies and routes.

- `chip`: one accelerator: memory tiers, matrix and vector unit, watts, price
- `link`: one direction between two chips; serialisation in vectors
- `topology`: chips, nodes, racks, spare nodes, links; ports and connection are checked
- `builders`: fully connected node, dragonfly of nodes
- `routing`: minimal deterministic routes
- `system`: a topology full of chips
"""
