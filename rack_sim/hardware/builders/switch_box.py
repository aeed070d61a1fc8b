"""Switch box: chips on planes of switches (NVLink-class). All chips are one node.

Switch s of a box of n chips is vertex n + s of the graph. A route from chip to chip crosses two
links, up and down; it counts as one hop between chips, with the latency of both links. Switches
have no part in the budget of the chips; their own ports are limited where a number is given.
"""

from rack_sim.hardware.builders.cables import check_size
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.topology import Topology, both_ways


def switched(
    *,
    name: str,
    chips: int,
    switches: int,
    links_per_chip: int,
    local: LinkType,
    port_count: int,
    ports_per_switch: int | None = None,
) -> Topology:
    """One node whose chips deal their links over the switches: link k goes to switch k mod n.

    Where the switches do not divide the links, the first switches carry one link more of each chip.
    """
    check_size(name, chips * links_per_chip, chips + switches)
    links: list[Link] = []
    for chip in range(chips):
        for number in range(links_per_chip):
            lane, switch = divmod(number, switches)
            links += both_ways(chip, chips + switch, lane, "local")
    return Topology(
        name=name,
        nodes=(tuple(range(chips)),),
        racks=((0,),),
        spare_nodes=(),
        link_types={"local": local},
        links=tuple(links),
        port_count=port_count,
        kind="switched",
        switch_count=switches,
        switch_port_count=ports_per_switch,
    )
