"""Placement: which chips hold which stage, so that neighbouring stages are neighbouring nodes."""

from rack_sim.hardware.topology import Topology


def node_order(topology: Topology) -> tuple[int, ...]:
    """The active nodes as a path: rack by rack, the last node of a rack linked to the next rack.

    Inside a rack nodes come in number order, except that the way in comes first and the way out
    last. Where no direct link leads to the next rack the order is by number.
    """
    linked = topology.linked_nodes
    spare = set(topology.spare_nodes)
    racks = [[node for node in rack if node not in spare] for rack in topology.racks]
    order: list[int] = []
    entry: int | None = None
    for number, rack in enumerate(racks):
        ahead = racks[number + 1] if number + 1 < len(racks) else []
        doors = [
            (out, into)
            for out in reversed(rack)
            for into in ahead
            if (out, into) in linked and (out != entry or len(rack) == 1)
        ]
        out, into = doors[0] if doors else (None, None)
        ends = {entry, out}
        order += [entry] if entry is not None else []
        order += [node for node in rack if node not in ends]
        order += [out] if out is not None and out != entry else []
        entry = into
    return tuple(order)


def groups(topology: Topology, group_size: int) -> tuple[tuple[int, ...], ...]:
    """Tensor-parallel groups in the order of the stages, as many as the active chips allow.

    A group lies inside a node where it fits, and spans whole consecutive nodes where it does not.
    """
    order = node_order(topology)
    found: list[tuple[int, ...]] = []
    gathered: list[int] = []
    for node in order:
        chips = topology.nodes[node]
        if group_size <= len(chips):
            whole = len(chips) - len(chips) % group_size
            found += [tuple(chips[i : i + group_size]) for i in range(0, whole, group_size)]
        else:
            gathered += chips
            if len(gathered) >= group_size:
                found.append(tuple(gathered[:group_size]))
                gathered = gathered[group_size:]
    return tuple(found)
