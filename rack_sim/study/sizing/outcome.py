"""Outcome: the systems that meet objectives, and every candidate that was looked at.

The answer is exact for the space that it names; `tests/theory/test_sizing.py` proves it on small
spaces by replaying everything.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from rack_sim.foundation.brief import Brief
from rack_sim.foundation.version import VERSION
from rack_sim.metrics.sizing_columns import (
    CANDIDATES,
    SIZING,
    Goal,
    fixed_columns,
    objective_columns,
)
from rack_sim.metrics.slo import Objective
from rack_sim.record.footprint import footprint_entry_on
from rack_sim.record.manifest import origins
from rack_sim.record.of_run import ending_facts, model_facts
from rack_sim.record.record import Record
from rack_sim.record.table import Row, Table, table_of
from rack_sim.scenario import Scenario, resolved_yaml, scenario_of_keys
from rack_sim.study.sizing.candidate import Candidate
from rack_sim.study.sizing.search import SizingQuestion
from rack_sim.study.sizing.space import Space
from rack_sim.study.sizing.traffic import Traffic

if TYPE_CHECKING:
    import pandas as pd

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


@dataclass(frozen=True, repr=False)
class SizingAnswer(Brief):
    """The best candidate for a goal.

    `next_smaller` has fewer chips to buy and does not meet the objectives: of all such the nearest.
    `one_replica_fewer` is the same shape with one replica fewer. Where there is none such, None.
    """

    goal: Goal
    candidate: Candidate
    next_smaller: Candidate | None
    one_replica_fewer: Candidate | None


@dataclass(frozen=True, repr=False)
class Sizing(Brief):
    """What was asked, every candidate with its verdict, and the answers.

    `settings` make `rack-sim run` replay the traffic and judge it by what was asked; `settings_of`
    adds a candidate's. `short` is
    a candidate of which too few requests tell, and on which an answer may hang; None is as it
    should be.
    """

    question: SizingQuestion
    scenario: Scenario
    settings: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    answers: Mapping[Goal, SizingAnswer]
    replay_count: int
    short: Candidate | None

    def _facts(self) -> Mapping[str, object]:
        answers = {str(goal): answer.candidate.name for goal, answer in self.answers.items()}
        return {
            "scenario": self.scenario.name,
            "rate_rps": self.question.rate_rps,
            "objectives": tuple(objective.name for objective in self.objectives),
            "candidates": len(self.candidates),
            **answers,
        }

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What was asked for."""
        return self.question.objectives

    @property
    def space(self) -> Space:
        """Where was looked."""
        return self.question.space

    @property
    def traffic(self) -> Traffic:
        """The requests that fit."""
        return self.question.traffic

    @property
    def winners(self) -> dict[tuple[object, int], tuple[Candidate, tuple[Goal, ...]]]:
        """Each best candidate once, and what it is best for."""
        found: dict[tuple[object, int], tuple[Candidate, tuple[Goal, ...]]] = {}
        for goal, answer in self.answers.items():
            key = (answer.candidate.shape, answer.candidate.replica_count)
            _, goals = found.get(key, (answer.candidate, ()))
            found[key] = (answer.candidate, (*goals, goal))
        return found

    @cached_property
    def sizing_hash(self) -> str:
        """Twelve hexadecimal digits of the scenario and the question."""
        return _digest(self.scenario, self.question)

    @cached_property
    def asked(self) -> Scenario:
        """The scenario with what was asked of it written into it: the rate and the objectives."""
        return scenario_of_keys(dict(self.scenario.resolved), overrides=self.settings)

    def settings_of(self, candidate: Candidate) -> tuple[str, ...]:
        """The settings with which `rack-sim run` replays a candidate, to the same numbers."""
        return (
            f"partition.tensor_parallel={candidate.shape.tensor_parallel}",
            f"partition.stages={candidate.shape.stage_count}",
            f"serving.replicas={candidate.replica_count}",
            *self.settings,
        )

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """sizing.csv, a row for each answer, and candidates.csv, one for each candidate."""
        asked = objective_columns(objective.column for objective in self.objectives)
        answers, candidates = (*fixed_columns(SIZING), *asked), (*fixed_columns(CANDIDATES), *asked)
        return {
            "sizing.csv": table_of(answers, lambda: _answer_rows(self)),
            "candidates.csv": table_of(candidates, lambda: _candidate_rows(self)),
        }

    def frame(self) -> "pd.DataFrame":
        """Every candidate as a row, as in candidates.csv."""
        return self.tables["candidates.csv"].frame()

    def warnings(self) -> Iterator[str]:
        """What a reader of the answer should know, one sentence each."""
        traffic, scenario = self.traffic, self.scenario
        left_out = traffic.request_count - traffic.fit_count
        if left_out:
            yield (
                f"{left_out:,} of {traffic.request_count:,} requests are longer than the context "
                f"of {scenario.deployment.shape.context_tokens:,} tokens: every system turns them "
                "away, and they do not count"
            )
        own = scenario.workload.request_count
        if own is not None and traffic.request_count > own:
            yield (
                f"{own:,} requests at this rate are over too soon to tell what a system keeps up "
                f"with: {traffic.request_count:,} were replayed (--requests says how many)"
            )
        if self.short is not None:
            yield (
                f"the requests arrive in less than four times what 99 % of them take "
                f"({self.short.lifetime_s:.3g} s on {self.short.name}): too short a time for the "
                "backlog to become steady, so the answer is not certain (more requests would tell)"
            )

    def question_facts(self) -> dict[str, Any]:
        """What was asked, as JSON has it."""
        space = self.space
        return {
            "rate_rps": self.question.rate_rps,
            "objectives": [
                {"name": o.name, "column": o.column, "bound": o.bound, "unit": o.unit}
                for o in self.objectives
            ],
            "tensor_parallel": list(space.degrees),
            "stages": {str(d): list(counts) for d, counts in space.stages_by_degree.items()},
            "tensor_parallel_that_cannot_hold_the_model": list(space.unfit),
            "replicas_max": space.replicas_max,
            "request_count": self.traffic.request_count,
            "fit_request_count": self.traffic.fit_count,
        }

    def record(self, wall_s: float = 0.0) -> Record:
        """What the search leaves behind; `wall_s` is how long it took."""
        scenario = self.scenario
        topology = scenario.deployment.system.topology
        content = {
            "sizing": scenario.name,
            "sizing_hash": self.sizing_hash,
            "scenario_hash": scenario.scenario_hash,
            "version": VERSION,
            "seed": scenario.seed,
            "question": self.question_facts(),
            "answers": [
                {
                    "goals": list(goals),
                    "run_settings": list(self.settings_of(found)),
                    "footprint": footprint_entry_on(
                        topology,
                        found.shape.tensor_parallel,
                        found.shape.stage_count,
                        found.replica_count,
                    ),
                    "served": _served(self, found),
                }
                for found, goals in self.winners.values()
            ],
            "searched": str(self.space),
            "warnings": list(self.warnings()),
            "candidate_count": len(self.candidates),
            "replay_count": self.replay_count,
            "assumed_by_the_search": list(SIZING_ASSUMED),
            **origins(scenario.provenance),
            "model": model_facts(scenario),
            "workload": self.question.scenario.workload.description,
            **ending_facts(wall_s),
        }
        return Record("size", content, self.tables, resolved_yaml(self.asked))


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


def _candidate_rows(sizing: Sizing) -> Iterator[Row]:
    """Every candidate, in order of shape and replicas."""
    for candidate in sizing.candidates:
        best = [goal for goal, answer in sizing.answers.items() if answer.candidate is candidate]
        yield {**_known(sizing, candidate), "best_for": " ".join(best) or None}


def _answer_rows(sizing: Sizing) -> Iterator[Row]:
    """Every answer."""
    traffic = sizing.traffic
    for answer in sizing.answers.values():
        tightest = answer.candidate.tightest
        yield {
            **_known(sizing, answer.candidate),
            "goal": answer.goal,
            "rate_rps": sizing.question.rate_rps,
            "request_count": traffic.request_count,
            "fit_request_count": traffic.fit_count,
            "tightest_objective": tightest.objective.name if tightest else None,
            "tightest_load_share": round(tightest.load, 6) if tightest else None,
            **_other("next_smaller", answer.next_smaller),
            **_other("one_less", answer.one_replica_fewer),
        }


def _known(sizing: Sizing, candidate: Candidate) -> Row:
    """What is known of a candidate, of which each table takes its columns."""
    where, shape = candidate.footprint, candidate.shape
    row: Row = {
        **candidate.measured,
        "tensor_parallel": shape.tensor_parallel,
        "stage_count": shape.stage_count,
        "replica_count": candidate.replica_count,
        "and_more": candidate.covers_larger_counts,
        "bought_chip_count": where.bought_chip_count,
        **asdict(where),
        "capital_usd": round(candidate.capital_usd, 2),
        "standby_watts": round(candidate.standby_watts, 3),
        "usd_per_year": candidate.usd_per_year,
        "mean_watts": candidate.mean_watts,
        "verdict": candidate.verdict,
        "reason": candidate.reason or None,
        "detail": candidate.detail or None,
        "is_short": candidate.is_short,
    }
    for objective in sizing.objectives:
        reading, name = candidate.reading_of(objective), objective.column
        row[name] = reading.value if reading else None
        row[f"{name}_margin"] = reading.margin if reading else None
        row[f"{name}_margin_share"] = reading.margin_share if reading else None
    return row


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


def _digest(scenario: Scenario, question: SizingQuestion) -> str:
    content = {
        "scenario": scenario.scenario_hash,
        "rate_rps": question.rate_rps,
        "objectives": [[o.name, o.bound] for o in question.objectives],
        "shapes": [[s.tensor_parallel, s.stage_count] for s in question.space.shapes],
        "replicas_max": question.space.replicas_max,
        "request_count": question.traffic.request_count,
        "version": VERSION,
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
