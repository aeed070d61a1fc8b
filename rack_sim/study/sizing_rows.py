"""Sizing rows: answers and candidates as rows of tables, by column (`metrics.sizing_columns`)."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from rack_sim.metrics.summary import Value
from rack_sim.study.sizing_candidate import Candidate

if TYPE_CHECKING:
    from rack_sim.study.sizing import Answer, Sizing

Row = dict[str, Value]


def candidate_rows(sizing: "Sizing") -> Iterator[Row]:
    """Every candidate, in order of shape and replicas."""
    for candidate in sizing.candidates:
        best = [goal for goal, answer in sizing.answers.items() if answer.candidate is candidate]
        yield {
            **_shape(candidate),
            "and_more": candidate.and_more,
            **_standing(candidate),
            "verdict": candidate.verdict,
            "reason": candidate.reason or None,
            "detail": candidate.detail or None,
            "best_for": " ".join(best) or None,
            **_costs(candidate),
            "output_throughput_tok_s": candidate.measured.get("output_throughput_tok_s"),
            "replica_utilisation": candidate.measured.get("replica_utilisation"),
            **_readings(sizing, candidate),
        }


def sizing_rows(sizing: "Sizing") -> Iterator[Row]:
    """Every answer."""
    for answer in sizing.answers.values():
        yield sizing_row(sizing, answer)


def sizing_row(sizing: "Sizing", answer: "Answer") -> Row:
    """One answer."""
    best, traffic = answer.candidate, sizing.traffic
    tightest = best.tightest
    return {
        "goal": answer.goal,
        **_shape(best),
        **_standing(best),
        **_costs(best),
        "rate_rps": sizing.question.rate_rps,
        "request_count": traffic.request_count,
        "fit_request_count": traffic.fit_count,
        "tightest_objective": tightest.objective.name if tightest else None,
        "tightest_load_share": round(tightest.load, 6) if tightest else None,
        "ttft_bound_by": best.measured.get("ttft_bound_by"),
        "tpot_bound_by": best.measured.get("tpot_bound_by"),
        "bottleneck": best.measured.get("bottleneck"),
        **_other("next_smaller", answer.next_smaller),
        **_other("one_less", answer.one_less),
        "is_short": best.is_short,
        **_readings(sizing, best),
    }


def _shape(candidate: Candidate) -> Row:
    return {
        "tensor_parallel": candidate.shape.tensor_parallel,
        "stage_count": candidate.shape.stage_count,
        "replica_count": candidate.replica_count,
    }


def _standing(candidate: Candidate) -> Row:
    where = candidate.footprint
    return {
        "bought_chip_count": where.bought_chip_count,
        **asdict(where),
        "capital_usd": candidate.capital_usd,
        "standby_watts": candidate.standby_watts,
    }


def _costs(candidate: Candidate) -> Row:
    return {
        "usd_per_year": candidate.usd_per_year,
        "mean_watts": candidate.mean_watts,
        "usd_per_million_output_tokens": candidate.measured.get("usd_per_million_output_tokens"),
    }


def _other(prefix: str, other: Candidate | None) -> Row:
    value = None
    if other is not None:
        failed = [r.value for r in other.readings if r.objective.name == other.reason]
        value = failed[0] if failed else None
    return {
        prefix: other.name if other else None,
        f"{prefix}_fails_on": other.reason if other else None,
        f"{prefix}_value": value,
    }


def _readings(sizing: "Sizing", candidate: Candidate) -> Row:
    known = {reading.objective.name: reading for reading in candidate.readings}
    row: Row = {}
    for objective in sizing.objectives:
        reading, name = known.get(objective.name), objective.column
        row[name] = reading.value if reading else None
        row[f"{name}_margin"] = reading.margin if reading else None
        row[f"{name}_margin_share"] = reading.margin_share if reading else None
    return row
