"""Machines: the system of so many chips of a kind, from presets, or made from one.

A preset with that number of active chips is taken; else a larger one whose topology can be cut to
size (`Builder.resized_by`); else one chip alone; else neighbours in a larger one. More chips than
any preset has are refused.
"""

from functools import cache
from pathlib import Path

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.hardware.builders import BUILDERS
from rack_sim.scenario.document import Keys, Marks, read_document
from rack_sim.scenario.library import is_path, presets

# Boards that are named in tables, and the chip on them.
_ALIASES = {"tenstorrent-blackhole-p150": "tenstorrent-blackhole"}


def system_of(chip: Keys, reference: str, folder: Path, chips: int) -> str | Keys:
    """What a scenario has under ``system`` for so many of a chip, which `reference` names.

    Raises InputError where no such system is known.
    """
    name = str(chip.get("name", reference))
    known = _systems().get(name, {})
    larger = sorted(count for count in known if count > chips)
    resized = next(((known[n], key) for n in larger if (key := _resized_by(known[n]))), None)
    found: str | Keys
    if chips in known:
        found = known[chips]
    elif resized:
        preset, key = resized
        found = {"preset": preset, "name": f"{name}-x{chips}", "topology": {key: chips}}
    elif chips == 1:
        found = _alone(name)
    elif larger:
        found = known[larger[0]]
    else:
        counts = ", ".join(map(str, sorted(known))) or "none"
        raise InputError(f"no system of {chips} {name} is known (known sizes: {counts})")
    if is_path(reference):
        over = {"preset": found} if isinstance(found, str) else dict(found)
        return {**over, "chip": str((folder / reference).resolve())}
    return found


def _alone(name: str) -> Keys:
    """A chip by itself: its links carry nothing."""
    why = "one chip alone: nothing is on a link"
    return {
        "name": f"{name}-x1",
        "chip": name,
        "topology": {"kind": "fully_connected", "chips": {"value": 1, "assumed": why}},
        "links": {
            "local": {
                "rate_gbytes_per_s": {"value": 1, "assumed": why},
                "latency_ns": {"value": 1000, "assumed": why},
                "payload_bytes": {"value": 1, "assumed": why},
                "wire_bytes": {"value": 1, "assumed": why},
            }
        },
        "host_watts_per_node": {"value": 0, "assumed": why},
    }


def chip_keys(reference: str, folder: Path) -> Keys:
    """The keys of a chip. Raises InputError where there is none of that name."""
    reference = _ALIASES.get(reference, reference)
    if is_path(reference):
        path = folder / reference
        if not path.is_file():
            raise InputError(Problem(f"no such file: {path}", field="chip"))
    else:
        known = presets("chip")
        if reference not in known:
            raise InputError(
                Problem(f"no chip is called {reference!r}", suggestion=suggest(reference, known))
            )
        path = known[reference]
    keys = read_document(path, Marks())
    if not isinstance(keys, dict):
        raise InputError(Problem("must be a mapping of keys to values", str(path), 1, 1))
    return keys


@cache
def _systems() -> dict[str, dict[int, str]]:
    """System presets by chip and number of active chips."""
    found: dict[str, dict[int, str]] = {}
    for name, path in presets("system").items():
        keys = read_document(path, Marks())
        chip, count = keys.get("chip"), _chip_count(keys.get("topology", {}))
        if isinstance(chip, str) and count:
            found.setdefault(chip, {}).setdefault(count, name)
    return found


def _resized_by(system: str) -> str:
    """The key of a preset's topology that cuts it to size; empty where none does."""
    keys = read_document(presets("system")[system], Marks())
    builder = BUILDERS.get(keys["topology"].get("kind"))
    return builder.resized_by if builder else ""


def _chip_count(topology: Keys) -> int:
    def number(key: str, default: int = 1) -> int:
        value = topology.get(key, default)
        return int(value["value"] if isinstance(value, dict) else value)

    if "chips" in topology:
        return number("chips")
    if "sides" in topology:
        product = 1
        for side in topology["sides"]:
            product *= int(side["value"] if isinstance(side, dict) else side)
        return product
    nodes = number("nodes_per_rack") - number("spare_nodes_per_rack", 0)
    return number("racks") * nodes * number("chips_per_node")
