"""Buckets: several programs of one plan, each for contexts up to some length, as serving sees them.

A shorter context is less cache to read, so its program has a shorter latency and interval. What
separates two steps of different programs is `interval`'s matrix. That looks at neighbours: where
steps further apart would meet on a link, which fixed intervals are chosen to avoid, a compiler has
to shift vectors inside a step, and this is taken to cost nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from rack_sim.compiler.interval import separations
from rack_sim.compiler.slots import BucketTiming, SlotTiming
from rack_sim.compiler.step import StepTiming, program_of


def bucket_slots(step: StepTiming, bounds: Sequence[int]) -> SlotTiming:
    """The slots of a step, with a program for contexts of up to each of `bounds` tokens.

    `bounds` rise, and the last is the context that the step is compiled for. One bound is no
    choice: these are the step's own slots. Raises as `program_of` does.
    """
    if len(bounds) < 2:
        return step.slots
    compiled = [program_of(step, context_tokens=bound) for bound in bounds]
    programs = [program for program, _ in compiled]
    apart = separations(programs)
    # The way back of the new token is the same whatever the context.
    way_back_ps = step.latency_ps - step.token_ps
    return replace(
        step.slots,
        buckets=tuple(
            BucketTiming(bound, program.latency_ps, program.latency_ps - way_back_ps)
            for bound, program in zip(bounds, programs, strict=True)
        ),
        # Slots of one program enter at its own interval, of which every multiple is free.
        separation_ps=tuple(
            tuple(
                interval_ps if before is after else pair_ps
                for after, pair_ps in zip(programs, row, strict=True)
            )
            for (before, interval_ps), row in zip(compiled, apart.pair_ps, strict=True)
        ),
    )
