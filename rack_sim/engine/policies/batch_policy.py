"""Batch policy: continuous batching as a scenario asks for it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Annotated, ClassVar

import numpy as np

from rack_sim.compiler.batches import BatchMachine, BatchTiming, CacheRoom, DraftCost, batch_machine
from rack_sim.compiler.limits import Limits, batch_limits
from rack_sim.engine.policies.batch_server import BatchServer
from rack_sim.engine.policies.continuous_batching import ContinuousBatching
from rack_sim.engine.policies.pace import Pace
from rack_sim.engine.policies.policy import IterationLimits, Policy, ReplicaPlace, ServingKeys
from rack_sim.engine.policies.stepped_batching import SteppedBatching
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import Problem
from rack_sim.foundation.keys import Count, PositiveAmount, PositiveShare, Share, doc
from rack_sim.foundation.work_estimate import Note, no_note
from rack_sim.hardware.chip import Execution
from rack_sim.model.architecture import Architecture
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition
from rack_sim.partition.plan import Plan


@dataclass(frozen=True, slots=True)
class ContinuousBatchingPolicy(Policy[BatchMachine, BatchTiming]):
    """Batches that change from iteration to iteration, on chips that schedule at run time."""

    execution: ClassVar[Execution] = "reactive"

    token_budget: Annotated[
        Count,
        doc(
            "Rows of an iteration at most: a token of every decoding sequence, the rest for "
            "prompts."
        ),
    ] = 2048
    chunk_tokens: Annotated[
        Count | None,
        doc("Rows that one prompt gets in an iteration at most; left out, all that are left."),
    ] = None
    max_sequences: Annotated[Count, doc("Sequences in the batch at most.")] = 256
    block_tokens: Annotated[Count, doc("Tokens of a block of the cache.")] = 16
    watermark_share: Annotated[
        Share, doc("Share of the blocks that stays free when a request is let in.")
    ] = 0.01
    memory_share: Annotated[
        PositiveShare,
        doc("Share of the memory that weights, activations and the cache may take together."),
    ] = 0.9
    kv_capacity_bytes: Annotated[
        PositiveAmount | None,
        doc("Cache on each chip; left out, all that is left of the memory's share."),
    ] = None

    def problems(self, keys: ServingKeys) -> Iterator[Problem]:
        """Batches have no slots, and need rows for every sequence that decodes."""
        for key, is_given in (
            ("slot_rows", keys.slot_rows != 1),
            ("concurrent_sequences", keys.concurrent_sequences is not None),
        ):
            if is_given:
                yield Problem(
                    "is for static chips; a batch takes what the cache and max_sequences allow",
                    field=key,
                    suggestion="serving.policy.max_sequences",
                )
        width = 1 + keys.draft_tokens
        rows = self.max_sequences * width
        if self.token_budget < rows:
            each = f" of {width} rows (a token and a draft)" if width > 1 else ""
            yield Problem(
                f"{self.token_budget} rows do not hold {self.max_sequences} decoding "
                f"sequences{each}: no prompt would get a chunk",
                field="policy.token_budget",
                suggestion=f"at least {rows}, or max_sequences: "
                f"{max(self.token_budget // width, 1)}",
            )
        if self.chunk_tokens and self.chunk_tokens > self.token_budget:
            yield Problem(
                f"a chunk of {self.chunk_tokens} rows is more than the token budget of "
                f"{self.token_budget}",
                field="policy.chunk_tokens",
                suggestion=f"at most {self.token_budget}",
            )

    def rows_per_sequence(self, draft_tokens: int) -> int:
        """A token, and what a draft proposes, looked at together."""
        return 1 + draft_tokens

    @property
    def iteration_limits(self) -> IterationLimits:
        """What an iteration holds at most."""
        return IterationLimits(self.token_budget, self.chunk_tokens, self.max_sequences)

    def planned(self, deployment: Deployment) -> Plan | Infeasible:
        """One stage where that fits, unless another number is given."""
        if deployment.stage_count is None:
            answer = partition(replace(deployment, stage_count=1))
            if isinstance(answer, Plan):
                return answer
        return partition(deployment)

    def machine(
        self, plan: Plan, draft_model: Architecture | None, on_note: Note = no_note
    ) -> BatchMachine | Infeasible:
        """The iterations of a plan, and its cache in blocks."""
        del on_note  # takes no time to speak of
        room = CacheRoom(
            rows=self.token_budget,
            block_tokens=self.block_tokens,
            memory_share=self.memory_share,
            kv_capacity_bytes=self.kv_capacity_bytes,
            draft_model=draft_model,
            sequences=self.max_sequences,
            states_per_sequence=plan.demand.shape.rows_per_sequence,
        )
        return batch_machine(plan, room)

    def limits(self, machine: BatchMachine) -> Limits:
        """What no schedule of the machine can beat with full iterations."""
        return batch_limits(machine.plan, self.token_budget)

    def timing(
        self, machine: BatchMachine, speculation: Speculation | None, draft_latency_ps: int
    ) -> BatchTiming:
        """The iterations, with the time of a proposal where that is given."""
        del speculation  # it does not change what an iteration of some rows takes
        if draft_latency_ps:
            return replace(machine.timing, draft=DraftCost(latency_ps=draft_latency_ps))
        return machine.timing

    def replica(self, timing: BatchTiming, place: ReplicaPlace) -> BatchServer:
        """A replica in the engine that skips, or the one that walks."""
        batching = SteppedBatching if place.every_step else ContinuousBatching
        return batching(place, timing, self)

    def pace(self, timing: BatchTiming, prompt_rows: Int64Array, draft_tokens: int) -> Pace:
        """No iteration is shorter than its base."""
        base_ps, budget = timing.iterations.base_ps, self.token_budget
        carried = range(1, budget + 1)
        bases = [base_ps(rows, 0) for rows in carried]
        row_ps = min(Fraction(base, rows) for base, rows in zip(bases, carried, strict=True))
        iterations = -(-prompt_rows // min(self.chunk_tokens or budget, budget))
        by_rows = (prompt_rows * row_ps.numerator) // row_ps.denominator
        return Pace(
            gap_ps=min(base_ps(rows, 1) for rows in carried),
            turn_tokens=1 + draft_tokens,
            row_ps=row_ps,
            rows_at_once=0,
            prompt_rows=prompt_rows,
            first_token_ps=np.maximum(iterations * min(bases), by_rows),
        )
