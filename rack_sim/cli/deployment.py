"""Deployment: what `rack-sim explain` says of any plan, whatever its chips run."""

from collections import Counter
from typing import Any

from rack_sim.foundation.units import counted
from rack_sim.hardware.survey import survey
from rack_sim.partition.plan import Plan, Stage
from rack_sim.partition.provisions import provisions
from rack_sim.pipeline import Explanation


def deployment_facts(plan: Plan) -> list[tuple[str, str]]:
    """The model, the system and its links, as rows of a table."""
    topology = plan.system.topology
    kinds = Counter(link.kind for link in topology.links)
    places = counted(len(topology.nodes), "node")
    if topology.rack_noun != "node":  # racks of one node each are not told twice
        places += f", {counted(len(topology.racks), 'rack')}"
    return [
        ("model", plan.model.title),
        ("weights", f"{plan.weight_bytes:,} bytes ({plan.demand.shape.precision.weights})"),
        (
            "system",
            f"{plan.system.name}: {topology.chip_count} chips, {plan.system.active_chip_count} "
            f"active, {places}",
        ),
        ("links", ", ".join(f"{count:,} {kind} (one way)" for kind, count in kinds.items())),
        *(("note", text) for text in provisions(plan)),
    ]


def deployment_values(plan: Plan) -> dict[str, Any]:
    """The model and the cut, for JSON."""
    return {
        "model": plan.model.name,
        "system": plan.system.name,
        "parameter_count": plan.model.parameter_count,
        "active_parameter_count": plan.model.active_parameter_count,
        "weight_bytes": plan.weight_bytes,
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
