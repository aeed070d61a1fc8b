"""Deployment: what `rack-sim explain` says of any plan, whatever its chips run."""

from collections import Counter
from typing import Any

from rich.table import Table

from rack_sim.cli.console import headings, table
from rack_sim.foundation.units import PS_PER_S, counted, format_bytes
from rack_sim.hardware.survey import survey
from rack_sim.model.prediction import modules_in_words
from rack_sim.model.weight_table import by_format
from rack_sim.partition.plan import Plan, Stage
from rack_sim.partition.provisions import provisions
from rack_sim.pipeline import Explanation
from rack_sim.timing.widening import widening_of


def deployment_facts(plan: Plan) -> list[tuple[str, str]]:
    """The model, the system and its links, as rows of a table."""
    topology, precision = plan.system.topology, plan.demand.shape.precision
    kinds = Counter(link.kind for link in topology.links)
    places = counted(len(topology.nodes), "node")
    if topology.rack_noun != "node":  # racks of one node each are not told twice
        places += f", {counted(len(topology.racks), 'rack')}"
    return [
        ("model", plan.model.title),
        *([("left out", modules)] if (modules := modules_in_words(plan.model)) else []),
        ("weights", f"{plan.weight_bytes:,} bytes ({precision.weights_title(plan.model)})"),
        *_format_facts(plan),
        (
            "system",
            f"{plan.system.name}: {topology.chip_count} chips, {plan.system.active_chip_count} "
            f"active, {places}",
        ),
        ("links", ", ".join(f"{count:,} {kind} (one way)" for kind, count in kinds.items())),
        *(("note", text) for text in provisions(plan)),
    ]


def _format_facts(plan: Plan) -> list[tuple[str, str]]:
    """Where weights are in several formats, what each holds; and what the chip must widen."""
    precision, chip = plan.demand.shape.precision, plan.system.chip
    rows = precision.weights_of(plan.model)
    formats = by_format(rows)
    kinds = {
        title: ", ".join(dict.fromkeys(row.kind for row in rows if row.title == title))
        for title in formats
    }
    found = [
        (f"in {title}", f"{count:,} parameters, {format_bytes(size)}: {kinds[title]}")
        for title, (count, size) in (formats.items() if len(formats) > 1 else ())
    ]
    wider = widening_of(chip, precision, (row.element for row in rows))
    if wider:
        said = (
            f"{', '.join(wider.formats)} to {wider.compute}, as the matrix unit multiplies "
            f"{', '.join(sorted(chip.matrix.peak_flop_per_s))}: memory holds and reads what is "
            f"stored, matmuls run at {_tflop(wider.peak_flop_per_s)}"
        )
        if wider.faster:
            name, peak = wider.faster
            said += f" ({_tflop(peak)} with precision.compute: {name})"
        found.append(("widened", said))
    return found


def _tflop(rate: int) -> str:
    return f"{rate / 1e12:,.0f} TFLOP/s"


def deployment_values(plan: Plan) -> dict[str, Any]:
    """The model and the cut, for JSON."""
    precision = plan.demand.shape.precision
    return {
        "model": plan.model.name,
        "system": plan.system.name,
        "parameter_count": plan.model.parameter_count,
        "active_parameter_count": plan.model.active_parameter_count,
        "weight_bytes": plan.weight_bytes,
        "weights": [
            {
                "kind": row.kind,
                "format": row.title,
                "parameters": row.parameters,
                "bytes": row.bytes,
            }
            for row in precision.weights_of(plan.model)
        ],
        "chip_count": plan.chip_count,
        "stage_count": plan.stage_count,
        "tensor_parallel": plan.tensor_parallel,
        "notes": list(provisions(plan)),
    }


def stage_values(stage: Stage) -> dict[str, Any]:
    """A stage, for JSON."""
    return {
        "stage": stage.number,
        "first_block": stage.blocks[0].name,
        "last_block": stage.blocks[-1].name,
        "chips": list(stage.chips),
    }


def limits_table(found: Explanation, token_ps: int, rows_per_s: float, reached_by: str) -> Table:
    """The physical limits beside what is reached: a token in `token_ps`, `rows_per_s`."""
    limits, matrix = found.limits, found.plan.system.chip.matrix
    reached = PS_PER_S / token_ps
    token_limits = {"at full memory bandwidth": limits.token_limit_ps}
    if matrix.feed_bytes_per_s is not None:
        token_limits["at the matrix unit's feed"] = limits.token_feed_limit_ps
    rows = [
        ("chips for the weights alone", limits.chips_min, found.plan.chip_count, 0),
        *(
            (
                f"tokens/s per user, weights {words}",
                PS_PER_S / max(limit_ps, 1),
                reached,
                1,
            )
            for words, limit_ps in token_limits.items()
        ),
        (
            "rows/s, memory bandwidth and matrix peak",
            limits.system_rows_per_s,
            rows_per_s,
            0,
        ),
    ]
    return table(
        f"physical limits of one replica; reached: {reached_by}",
        headings("quantity, >limit, >reached, >ratio"),
        [
            (words, f"{limit:,.{digits}f}", f"{value:,.{digits}f}", f"{value / limit:.2f}")
            for words, limit, value, digits in rows
        ],
    )


def limit_values(found: Explanation) -> dict[str, Any]:
    """The physical limits and the network, for JSON."""
    limits = found.limits
    return {
        "chips_min": limits.chips_min,
        "token_limit_ps": limits.token_limit_ps,
        "token_feed_limit_ps": limits.token_feed_limit_ps,
        "system_rows_per_s_max": limits.system_rows_per_s,
        "topology": survey(found.plan.system.topology).values(),
    }
