"""Slot policy: static slots as a scenario asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar

from rack_sim.compiler.buckets import bucket_slots
from rack_sim.compiler.draft import draft_slots
from rack_sim.compiler.limits import Limits, limits_of
from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.engine.policies.bucketed_slots import BucketedSlots
from rack_sim.engine.policies.pace import Pace
from rack_sim.engine.policies.phased_slots import PhasedSlots
from rack_sim.engine.policies.policy import Policy, ReplicaPlace, ServingKeys
from rack_sim.engine.policies.slot_server import KvReservation, SlotPriority, SlotServer
from rack_sim.engine.policies.static_slots import StaticSlots
from rack_sim.engine.policies.stepped_slots import SteppedSlots
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.arrays import Int64Array
from rack_sim.foundation.errors import Problem
from rack_sim.foundation.keys import Count, doc
from rack_sim.foundation.work_estimate import Note, no_note
from rack_sim.hardware.chip import Execution
from rack_sim.model.architecture import Architecture
from rack_sim.partition.plan import Plan


@dataclass(frozen=True, slots=True)
class StaticSlotsPolicy(Policy[StepTiming, SlotTiming]):
    """Slots revolve through a statically scheduled pipeline; each row carries one token."""

    execution: ClassVar[Execution] = "static"

    kv_reservation: Annotated[
        KvReservation,
        doc(
            "What a request reserves of the cache: the compiled context, or the tokens it will use."
        ),
    ] = "max_context"
    priority: Annotated[
        SlotPriority,
        doc(
            "Whose rows come first: decode, and prompts take rows that no decoding sequence owns; "
            "prefill, and prompts take every row while any waits, so that a sequence whose row is "
            "taken emits its token a revolution later."
        ),
    ] = "decode"
    context_buckets: Annotated[
        tuple[Count, ...],
        doc(
            "Contexts in tokens, rising, the last that of max_context_tokens: a program is "
            "compiled for each, and a slot runs the one for the longest context in it. Left out: "
            "one program."
        ),
    ] = ()

    def problems(self, keys: ServingKeys) -> Iterator[Problem]:
        """Slots need a compiled cache, whole seats, and prefill and decode together."""
        if keys.concurrent_sequences is None:
            yield Problem(
                "key 'concurrent_sequences' is missing: how many sequences at full context the "
                "cache of a static chip is compiled for"
            )
        bounds, longest = list(self.context_buckets), keys.max_context_tokens
        if bounds and (bounds != sorted(set(bounds)) or bounds[-1] != longest):
            fitting = [*sorted(bound for bound in set(bounds) if bound < longest), longest]
            yield Problem(
                f"{bounds} does not rise to serving.max_context_tokens, {longest}",
                field="policy.context_buckets",
                suggestion=f"for example: {fitting}",
            )
        seat = 1 + keys.draft_tokens
        if keys.slot_rows % seat:
            yield Problem(
                f"{keys.slot_rows} rows are no whole number of seats: a token and its draft take "
                f"{seat}",
                field="slot_rows",
                suggestion=f"slot_rows: {seat}",
            )
        if keys.has_draft_model:
            yield Problem(
                "on static chips the time of a proposal is given",
                field="speculation.draft_model",
                suggestion="draft_latency_us",
            )
        if keys.has_prefill_apart:
            yield Problem(
                "static_slots keeps prefill and decode together",
                field="disaggregation",
                suggestion="leave it out, or reactive chips",
            )

    def rows_per_sequence(self, draft_tokens: int) -> int:
        """A seat: a token, and what a draft proposes."""
        return 1 + draft_tokens

    def machine(
        self, plan: Plan, draft_model: Architecture | None, on_note: Note = no_note
    ) -> StepTiming:
        """The compiled step of a plan."""
        del draft_model  # refused
        return compile_step(plan, on_note=on_note)

    def limits(self, machine: StepTiming) -> Limits:
        """What no schedule of the machine can beat."""
        return limits_of(machine)

    def timing(
        self, machine: StepTiming, speculation: Speculation | None, draft_latency_ps: int
    ) -> SlotTiming:
        """The slots of a program, or of one for each bucket, drafts between their turns."""
        slots = bucket_slots(machine, self.context_buckets)
        if speculation is None:
            return slots
        return draft_slots(
            machine,
            slots,
            draft_tokens=speculation.draft_tokens,
            draft_latency_ps=draft_latency_ps,
        )

    def replica(self, timing: SlotTiming, place: ReplicaPlace) -> SlotServer:
        """A replica in the fastest engine that fits."""
        return self.engine(timing, every_step=place.every_step)(place, timing, self)

    def engine(self, timing: SlotTiming, *, every_step: bool) -> type[SlotServer]:
        """The engine of static slots: where all turns are alike, the fastest."""
        if every_step:
            return SteppedSlots
        if timing.buckets:
            return BucketedSlots
        return StaticSlots if self.priority == "decode" else PhasedSlots

    def pace(self, timing: SlotTiming, prompt_rows: Int64Array, draft_tokens: int) -> Pace:
        """Turns are a revolution apart at the least, or where slots may be skipped, a pass."""
        del draft_tokens  # that of the seats
        seats = timing.rows // timing.rows_per_sequence
        entries = -(-prompt_rows // (timing.rows_per_sequence * seats))
        token_ps, interval_ps, gap_ps = timing.token_ps, timing.interval_ps, timing.revolution_ps
        if self.priority == "prefill":
            gap_ps = token_ps  # a sequence whose row was taken gets another as soon as can be
        if timing.buckets:
            token_ps = min(bucket.token_ps for bucket in timing.buckets)
            interval_ps = min(map(min, timing.separation_ps))
            gap_ps = token_ps
        plain = self.priority == "decode" and not timing.buckets
        return Pace(
            gap_ps=gap_ps,
            turn_tokens=timing.rows_per_sequence,
            row_ps=Fraction(interval_ps, timing.rows),
            rows_at_once=timing.rows,
            prompt_rows=prompt_rows,
            first_token_ps=(entries - 1) * interval_ps + token_ps,
            entries=timing if plain else None,
        )
