"""Group: which chips take part: ``8`` (the first eight active), ``0,8,16`` or ``0-7,16-23``."""

import re
from collections import Counter
from collections.abc import Iterable

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.topology import Topology, numbered

_FORMS = "a number of chips, as in 8, or which ones, as in 0,8,16 or 0-7,16-23"


def active_chips(topology: Topology) -> tuple[int, ...]:
    """The chips that can hold a model, in rack order."""
    return tuple(chip for node in topology.active_nodes for chip in topology.nodes[node])


def parse_group(text: str, topology: Topology, place: str = "--group") -> tuple[int, ...]:
    """The chips that `text` names, in the order given; spare ones may be named.

    Raises InputError with every problem found.
    """
    text = text.strip()
    if re.fullmatch("[0-9]{1,18}", text):
        return _first(int(text), topology, place)
    problems: list[Problem] = []
    chips: list[int] = []
    for part in (piece.strip() for piece in text.split(",")):
        found = re.fullmatch(r"([0-9]{1,18})(?:\s*-\s*([0-9]{1,18}))?", part)
        if not found:
            shown = repr(part[:60]) if part else "an empty part"
            problems.append(Problem(f"{shown} names no chip", place, suggestion=_FORMS))
            continue
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last:
            problems.append(
                Problem(f"the range {part!r} is reversed", place, suggestion=f"{last}-{first}")
            )
        elif last >= topology.chip_count:
            worst = first if first >= topology.chip_count else last
            problems.append(_unknown(worst, topology, place))
        else:
            chips += range(first, last + 1)
    twice = sorted(chip for chip, count in Counter(chips).items() if count > 1)
    if twice:
        named = numbered("chip", twice)
        are = "is" if len(twice) == 1 else "are"
        problems.append(Problem(f"{named} {are} named twice", place, suggestion="once is enough"))
    if not problems and len(chips) < 2:
        problems.append(_too_few(len(chips), place))
    if problems:
        raise InputError(problems)
    return tuple(chips)


def format_ranges(numbers: Iterable[int], separator: str = ",") -> str:
    """Numbers in their order, runs in short: ``format_ranges([0, 1, 2, 8])`` is ``0-2,8``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return separator.join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _first(count: int, topology: Topology, place: str) -> tuple[int, ...]:
    there = active_chips(topology)
    if count < 2:
        raise InputError(_too_few(count, place))
    if count > len(there):
        spare = topology.chip_count - len(there)
        hint = f"{len(there):,} at most"
        if spare:
            hint += f"; name chips, as in 0-{topology.chip_count - 1}, for the {spare} spare ones"
        raise InputError(
            Problem(
                f"{count:,} chips are more than the {len(there):,} active ones",
                place,
                suggestion=hint,
            )
        )
    return there[:count]


def _too_few(count: int, place: str) -> Problem:
    message = f"a collective needs at least two chips, and the group has {count}"
    return Problem(message, place, suggestion=_FORMS)


def _unknown(vertex: int, topology: Topology, place: str) -> Problem:
    chips, switches = topology.chip_count, topology.switch_count
    if chips <= vertex < chips + switches:
        message = f"{vertex} is a switch, not a chip"
    else:
        message = f"there is no chip {vertex}"
    return Problem(message, place, suggestion=f"chips are numbered 0 to {chips - 1}")
