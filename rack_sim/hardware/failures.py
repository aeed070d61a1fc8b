"""Failures: the same machine with some of its cables out of service.

Both directions of a cable fail together. Of parallel cables the last ones fail: they are alike, so
which of them are left makes no difference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import Link
from rack_sim.hardware.topology import Topology, numbered

_Pair = tuple[int, int]


def with_failed_links(
    topology: Topology, failed: Sequence[Sequence[int]], *, reroute: bool = True
) -> Topology:
    """`topology` without the cables that `failed` names.

    An entry is two chips (or a chip and a switch, by its number after the chips) and perhaps how
    many of the cables between them fail; all of them where it does not say. Without `reroute`
    routes stay as if nothing had failed, see `Routing`. Raises InputError with every entry that is
    wrong, or where the cables left do not join all chips.
    """
    if not failed:
        return topology
    cables: dict[_Pair, list[Link]] = {}
    for link in topology.links:
        if link.source < link.target:
            cables.setdefault((link.source, link.target), []).append(link)
    problems: list[Problem] = []
    out: set[tuple[int, int, int]] = set()
    first_at: dict[_Pair, int] = {}
    for number, entry in enumerate(failed):
        pair = (min(entry[:2], default=0), max(entry[:2], default=0))
        problem = _problem(topology, cables, entry, pair)
        if problem is None and pair in first_at:
            problem = Problem(
                f"the pair {pair[0]}-{pair[1]} is given already in entry {first_at[pair]}",
                suggestion="say once how many of its cables fail",
            )
        if problem:
            problems.append(
                replace(
                    problem,
                    message=f"entry {number} ({', '.join(map(str, entry))}): {problem.message}",
                    field=f"failed_links.{number}",
                )
            )
            continue
        first_at[pair] = number
        lanes = sorted(link.lane for link in cables[pair])
        down = entry[2] if len(entry) > 2 else len(lanes)
        out |= {(*pair, lane) for lane in lanes[len(lanes) - down :]}
    if problems:
        raise InputError(problems)
    return replace(
        topology,
        links=tuple(link for link in topology.links if _cable(link) not in out),
        failed_links=(
            *topology.failed_links,
            *(link for link in topology.links if _cable(link) in out),
        ),
        reroute=reroute,
    )


def _cable(link: Link) -> tuple[int, int, int]:
    return min(link.source, link.target), max(link.source, link.target), link.lane


def _problem(
    topology: Topology, cables: Mapping[_Pair, Sequence[Link]], entry: Sequence[int], pair: _Pair
) -> Problem | None:
    """What is wrong with one entry, whatever the others say."""
    if not 2 <= len(entry) <= 3:
        return Problem("an entry is two chips and perhaps a number of cables")
    there = topology.chip_count + topology.switch_count
    missing = [vertex for vertex in entry[:2] if not 0 <= vertex < there]
    if missing:
        return Problem(f"there is no chip {missing[0]}", suggestion="; ".join(_numbers(topology)))
    a, b = entry[:2]
    if a == b:
        return Problem("a cable joins two different chips")
    if pair not in cables:
        return Problem(
            f"no cable joins {_called(topology, a)} and {_called(topology, b)}",
            suggestion=f"{_called(topology, a)} is joined to {_neighbours(topology, a)}",
        )
    between = len(cables[pair])
    if len(entry) == 3 and not 1 <= entry[2] <= between:
        return Problem(
            f"{entry[2]} cables cannot fail where {between} "
            f"join{'s' if between == 1 else ''} {_called(topology, a)} and {_called(topology, b)}",
            suggestion=f"1 to {between}" if between > 1 else "1",
        )
    return None


def _numbers(topology: Topology) -> Iterator[str]:
    chips = topology.chip_count
    yield f"chips are numbered 0 to {chips - 1}"
    if topology.switch_count:
        yield f"switches {chips} to {chips + topology.switch_count - 1}"


def _called(topology: Topology, vertex: int) -> str:
    return f"{'chip' if vertex < topology.chip_count else 'switch'} {vertex}"


def _neighbours(topology: Topology, vertex: int) -> str:
    near = sorted(topology.graph[vertex])
    chips = [other for other in near if other < topology.chip_count]
    switches = [other for other in near if other >= topology.chip_count]
    found = [numbered(noun, some) for noun, some in (("chip", chips), ("switch", switches)) if some]
    return ", ".join(found) or "no other"
