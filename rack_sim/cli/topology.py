"""Topology: the facts of a system's network, without a model."""

from typing import Annotated

import typer
from rich.table import Table

from rack_sim.cli.console import facts_table, out, say_json
from rack_sim.cli.options import JsonOption
from rack_sim.foundation.units import format_time
from rack_sim.hardware.survey import Survey, survey
from rack_sim.scenario import load_system


def topology(
    system: Annotated[
        str, typer.Argument(help="A system's name (see `rack-sim list systems`), or a file.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the chips, links, ports, distances and bisection of a system.

    Examples:

        rack-sim topology groq-264

        rack-sim topology my-system.yaml --json
    """
    found = survey(load_system(system).topology)
    if as_json:
        say_json(found.values())
        return
    out.print(survey_table(found))


def survey_table(found: Survey) -> Table:
    """A survey as a table of two columns."""
    far, cut, ways = found.distances, found.bisection, found.diversity
    pairs = sum(far.pairs_by_hops) or 1
    hops = ", ".join(f"{n}: {count / pairs:.1%}" for n, count in enumerate(far.pairs_by_hops, 1))
    compared = "all" if ways.all_pairs else "a sample of"
    rows = [
        ("kind", found.kind),
        (
            "chips",
            f"{found.chip_count:,}; nodes: {found.node_count:,}; racks: {found.rack_count}"
            + (f"; switches: {found.switch_count}" if found.switch_count else ""),
        ),
        (
            "links",
            f"{found.link_count:,} (one way)"
            + (f"; {found.failed_link_count:,} failed" if found.failed_link_count else ""),
        ),
        (
            "ports",
            f"{found.ports_used:,} used of {found.ports_there:,}; on the busiest chip "
            f"{found.ports_used_max} of {found.port_count}",
        ),
        ("diameter", f"{far.diameter_hops} hops"),
        ("average distance", f"{far.average_hops:.4f} hops"),
        ("pairs by hops", hops),
        ("worst latency", f"{format_time(far.worst_latency_ps)} over a minimal route, empty links"),
        (
            "bisection",
            f"{'' if cut.exact else 'at most '}{cut.bytes_per_s / 10**9:,.1f} GB/s one way "
            f"({cut.halves})",
        ),
        (
            "minimal routes",
            f"{ways.minimal_routes_min:,} at least, {ways.minimal_routes_mean:,.2f} on average",
        ),
        (
            "disjoint paths",
            f"{ways.disjoint_paths_min} at least, {ways.disjoint_paths_mean:.2f} on average",
        ),
        ("counted over", f"{compared} {ways.pair_count} pairs of chips"),
    ]
    return facts_table(f"topology of {found.name}", rows)
