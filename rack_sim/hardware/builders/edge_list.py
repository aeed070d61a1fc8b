"""Edge list: cables named one by one, for machines that no other builder describes."""

from collections.abc import Sequence
from typing import Annotated

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.foundation.keys import Count, Len, NonNegativeInt, doc
from rack_sim.hardware.builders.cables import Cable, ChipsPerNode, check_size, in_nodes
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.topology import Topology


def edge_list(
    *,
    name: str,
    chips: Annotated[Count, doc("Chips of the system, numbered from 0.")],
    cables: Annotated[
        Sequence[Annotated[Sequence[NonNegativeInt], Len(2, 3)]],
        doc("``[[0, 1], [1, 2, 4]]``: two chips, and how many cables join them if more than one."),
    ],
    chips_per_node: ChipsPerNode = None,
    local: LinkType,
    global_: LinkType,
    port_count: int,
) -> Topology:
    """Cables named one by one.

    Nodes are blocks of consecutive chips. Raises InputError with every entry that is wrong: a chip
    that is not there, a cable from a chip to itself, a pair given twice, no cable at all.
    """
    problems: list[Problem] = []
    read: dict[tuple[int, int], Cable] = {}
    first_at: dict[tuple[int, int], int] = {}
    for number, entry in enumerate(cables):
        message = _wrong(entry, chips)
        pair = (min(entry[:2]), max(entry[:2])) if not message else (-1, -1)
        if not message and pair in read:
            message = f"the pair {pair[0]}-{pair[1]} is given already in entry {first_at[pair]}"
        if message:
            problems.append(
                Problem(
                    f"entry {number} ({', '.join(map(str, entry))}): {message}",
                    field=f"cables.value.{number}",
                )
            )
            continue
        read[pair] = (*pair, entry[2] if len(entry) > 2 else 1)
        first_at[pair] = number
    if problems:
        raise InputError(problems)
    check_size(name, sum(lanes for *_, lanes in read.values()), chips)
    return in_nodes(
        name=name,
        kind="edge_list",
        chips=chips,
        chips_per_node=chips_per_node,
        cables=[read[pair] for pair in sorted(read)],
        local=local,
        global_=global_,
        port_count=port_count,
    )


def _wrong(entry: Sequence[int], chips: int) -> str:
    if not 2 <= len(entry) <= 3:
        return "an entry is two chips and perhaps a number of cables"
    missing = [chip for chip in entry[:2] if not 0 <= chip < chips]
    if missing:
        return f"there is no chip {missing[0]}: chips are numbered 0 to {chips - 1}"
    if entry[0] == entry[1]:
        return "a cable needs two different chips"
    if len(entry) == 3 and entry[2] < 1:
        return "at least one cable joins a pair"
    return ""
