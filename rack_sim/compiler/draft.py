"""Draft: slots for speculative decoding, where every pass looks at a token and its draft together.

A draft proposes its tokens when a pass's own are back, and the slot enters again after that. So the
slots revolve a draft's time slower; there are as many more of them as fill it.
"""

from dataclasses import replace

from rack_sim.compiler.slots import SlotTiming
from rack_sim.compiler.step import StepTiming
from rack_sim.foundation.errors import InputError


def draft_slots(
    step: StepTiming, slots: SlotTiming, *, draft_tokens: int, draft_latency_ps: int
) -> SlotTiming:
    """`slots` of `step` where a draft proposes `draft_tokens` tokens in `draft_latency_ps` in all.

    Raises InputError where a slot has fewer rows than a token and its draft.
    """
    seat = draft_tokens + 1
    if slots.rows < seat:
        raise InputError(
            f"a token and its draft of {draft_tokens} need {seat} rows of a slot, which has "
            f"{slots.rows} (serving.slot_rows)"
        )
    return replace(
        slots,
        slot_count=-(-(step.latency_ps + draft_latency_ps) // slots.interval_ps),
        rows_per_sequence=seat,
        draft_ps=draft_latency_ps,
        buckets=tuple(
            replace(bucket, latency_ps=bucket.latency_ps + draft_latency_ps)
            for bucket in slots.buckets
        ),
    )
