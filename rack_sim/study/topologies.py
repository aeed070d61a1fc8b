"""Topologies: the network of every system preset, side by side.

`docs/topologies.md` is written from here; a test says when it is stale.
"""

from rack_sim.foundation.units import format_time
from rack_sim.hardware.survey import Survey, survey
from rack_sim.scenario import load_system
from rack_sim.scenario.library import presets
from rack_sim.study.pages import page, table_lines

_HEADINGS = (
    "system",
    "kind",
    "chips",
    "switches",
    "links (one way)",
    "ports used / there",
    "diameter, hops",
    "average hops",
    "bisection, GB/s one way",
    "worst latency",
    "minimal routes, least / mean",
    "disjoint paths, least / mean",
    "pairs compared",
)
_LARGEST = "groq-10440"


def topologies_markdown() -> str:
    """The text of docs/topologies.md."""
    found = {name: survey(load_system(name).topology) for name in presets("system")}
    lines = [_HEADINGS, ("---",) * len(_HEADINGS), *map(_row, found.values())]
    table = table_lines(lines)
    largest = found[_LARGEST].distances
    near = sum(largest.pairs_by_hops[:5]) / sum(largest.pairs_by_hops)
    return page("topologies.md", table=table, diameter=largest.diameter_hops, near=f"{near:.1%}")


def _row(found: Survey) -> tuple[str, ...]:
    far, cut, ways = found.distances, found.bisection, found.diversity
    return (
        f"`{found.name}`",
        found.kind,
        f"{found.chip_count:,}",
        f"{found.switch_count}",
        f"{found.link_count:,}",
        f"{found.ports_used:,} / {found.ports_there:,}",
        f"{far.diameter_hops}",
        f"{far.average_hops:.3f}",
        f"{'' if cut.exact else '≤ '}{cut.bytes_per_s / 10**9:,.1f} ({cut.halves})",
        format_time(far.worst_latency_ps),
        f"{ways.minimal_routes_min:,} / {ways.minimal_routes_mean:,.2f}",
        f"{ways.disjoint_paths_min} / {ways.disjoint_paths_mean:.2f}",
        f"{'all' if ways.all_pairs else 'sample of'} {ways.pair_count}",
    )
