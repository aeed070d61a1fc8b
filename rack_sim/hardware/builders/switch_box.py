"""Switch box: chips on planes of switches (NVLink-class). All chips are one node.

Switch s of a box of n chips is vertex n + s of the graph. A route from chip to chip crosses two
links, up and down; it counts as one hop between chips, with the latency of both links. Switches
have no part in the budget of the chips; their own ports are limited where a number is given.
"""

from typing import Annotated

from rack_sim.foundation.keys import Count, doc
from rack_sim.hardware.builders.builder import SIZE
from rack_sim.hardware.builders.cables import check_size
from rack_sim.hardware.link import Link, LinkType
from rack_sim.hardware.topology import Topology, both_ways


def switched(
    *,
    name: str,
    chips: Annotated[Count, SIZE, doc("Chips of the node.")],
    switches: Annotated[Count, doc("Switches; each reaches every chip.")],
    links_per_chip: Annotated[Count, doc("Links of a chip, dealt over the switches.")],
    ports_per_switch: Annotated[
        Count | None, doc("Ports that a switch has; left out, as many as it needs.")
    ] = None,
    local: LinkType,
    port_count: int,
) -> Topology:
    """One node: chips on planes of switches (NVLink-class); switch s has number chips + s.

    Link k of a chip goes to switch k mod n.

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
        halves="any halves",
        switch_count=switches,
        switch_port_count=ports_per_switch,
    )
