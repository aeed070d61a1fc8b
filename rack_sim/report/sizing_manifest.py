"""Sizing manifest: question, answers and warnings of `rack-sim size`, as JSON has them."""

import platform
from collections.abc import Iterator
from typing import Any

from rack_sim.pipeline import VERSION
from rack_sim.report.footprint import footprint_entry_on
from rack_sim.report.json_text import json_text
from rack_sim.study.sizing import Sizing
from rack_sim.study.sizing_candidate import Candidate

# What the search takes for granted.
SIZING_ASSUMED = (
    "every candidate replays the same requests in the same order",
    "replicas are alike and fill a system before another of the kind is bought; racks are bought "
    "whole, with their spares",
    "a candidate meets the objectives only if it keeps up (its backlog grows, while the second "
    "half arrives, by no more than chance) and serves every request that fits",
    "requests longer than the compiled context are turned away by every candidate: they do not "
    "count",
    "what is searched is exact; anything outside of the space was not looked at",
)


def question_of(sizing: Sizing) -> dict[str, Any]:
    """What was asked, as JSON has it."""
    space = sizing.space
    return {
        "rate_rps": sizing.question.rate_rps,
        "objectives": [
            {"name": o.name, "column": o.column, "bound": o.bound, "unit": o.unit}
            for o in sizing.objectives
        ],
        "tensor_parallel": list(space.degrees),
        "stages": {str(d): list(counts) for d, counts in space.stages_by_degree.items()},
        "tensor_parallel_that_cannot_hold_the_model": list(space.unfit),
        "replicas_max": space.replicas_max,
        "request_count": sizing.traffic.request_count,
        "fit_request_count": sizing.traffic.fit_count,
    }


def sizing_warnings(sizing: Sizing) -> Iterator[str]:
    """What a reader of the answer should know, one sentence each."""
    traffic, scenario = sizing.traffic, sizing.scenario
    left_out = traffic.request_count - traffic.fit_count
    if left_out:
        yield (
            f"{left_out:,} of {traffic.request_count:,} requests are longer than the context of "
            f"{scenario.deployment.shape.context_tokens:,} tokens: every system turns them away, "
            "and they do not count"
        )
    own = scenario.workload.request_count
    if own is not None and traffic.request_count > own:
        yield (
            f"{own:,} requests at this rate are over too soon to tell what a system keeps up with: "
            f"{traffic.request_count:,} were replayed (--requests says how many)"
        )
    if sizing.short is not None:
        yield (
            f"the requests arrive in less than four times what 99 % of them take "
            f"({sizing.short.lifetime_s:.3g} s on {sizing.short.name}): too short a time for the "
            "backlog to become steady, so the answer is not certain (more requests would tell)"
        )


def _served(sizing: Sizing, candidate: Candidate) -> dict[str, Any]:
    """What an answer's replay did in all: capacity is planned from it.

    An answer serves every request that fits, so its tokens are those of the traffic.
    """
    traffic = sizing.traffic
    return {
        "request_count": traffic.request_count,
        "finished_count": candidate.measured["finished_count"],
        "input_token_count": int(traffic.input_tokens.sum()),
        "output_token_count": int(traffic.output_tokens.sum()),
        "energy_chips_dynamic_joules": candidate.measured["energy_chips_dynamic_joules"],
    }


def manifest_text(sizing: Sizing, wall_s: float) -> str:
    """manifest.json: enough to tell two answers apart and to make their reports."""
    scenario = sizing.scenario
    topology = scenario.deployment.system.topology
    content = {
        "sizing": scenario.name,
        "sizing_hash": sizing.sizing_hash,
        "scenario_hash": scenario.scenario_hash,
        "version": VERSION,
        "seed": scenario.seed,
        "question": question_of(sizing),
        "answers": [
            {
                "goals": list(goals),
                "run_settings": list(sizing.settings_of(found)),
                "footprint": footprint_entry_on(
                    topology,
                    found.shape.tensor_parallel,
                    found.shape.stage_count,
                    found.replica_count,
                ),
                "served": _served(sizing, found),
            }
            for found, goals in sizing.winners.values()
        ],
        "searched": str(sizing.space),
        "warnings": list(sizing_warnings(sizing)),
        "candidate_count": len(sizing.candidates),
        "replay_count": sizing.replay_count,
        "assumed_by_the_search": list(SIZING_ASSUMED),
        "assumed": [
            {"name": item.name, "value": item.value, "why": item.assumed}
            for item in scenario.provenance
            if item.is_assumed
        ],
        "sourced": [
            {"name": item.name, "value": item.value, "source": item.source, "grade": item.grade}
            for item in scenario.provenance
            if not item.is_assumed
        ],
        "model": {key: scenario.resolved["model"].get(key) for key in ("name", "source", "grade")},
        "workload": sizing.question.scenario.workload.description,
        "python": platform.python_version(),
        "wall_s": round(wall_s, 3),
    }
    return json_text(content) + "\n"
