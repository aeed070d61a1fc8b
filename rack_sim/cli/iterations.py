"""Iterations: how long those of reactive chips take, by rows and context, and their collectives."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from rack_sim.cli.console import headings, table
from rack_sim.compiler.batches import BatchMachine
from rack_sim.engine.policies.policy import IterationLimits
from rack_sim.foundation.units import PS_PER_MS, PS_PER_S, format_time
from rack_sim.metrics.words import TERMS
from rack_sim.timing.attention_roofs import Attended
from rack_sim.timing.collectives import time_collective
from rack_sim.timing.kernels import CollectiveKernel, launches_of
from rack_sim.timing.terms import Terms

# Sequences that decode in the iterations shown, and the tokens that each attends to.
_SEQUENCE_COUNTS = (1, 8, 32, 128)
_CONTEXT_TOKENS = (1, 1_000)
_TERMS = tuple(TERMS)[:-2]  # neither slack nor a draft


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration as an example: so many sequences decode, or a chunk of one prompt.

    Each sequence's last row attends to `context_tokens` tokens, its own included; `cache_share` of
    the blocks hold what the iteration reads and writes, more than 1 where there are not so many.
    """

    is_prompt: bool
    rows: int
    context_tokens: int
    cache_share: float
    terms: Terms

    @property
    def total_ps(self) -> int:
        """How long it takes."""
        return self.terms.total_ps

    @property
    def rows_per_s(self) -> float:
        """Tokens a second if such iterations follow each other."""
        return self.rows * PS_PER_S / self.total_ps


@dataclass(frozen=True, slots=True)
class IterationCollective:
    """A kind of collective that an iteration launches `count` times.

    Its buffer has `row_bytes` for every row (or, where `sampled`, every row that goes through the
    head); `times` are algorithm and picoseconds for one row and for as many as there can be, None
    where parts of the group do one each.
    """

    traffic: str
    operation: str
    chip_count: int
    sampled: bool
    count: int
    row_bytes: int
    times: tuple[tuple[str, int], tuple[str, int]] | None


def iterations(machine: BatchMachine, limits: IterationLimits) -> Iterator[Iteration]:
    """Examples: decoding sequences at several contexts, then the longest chunk of a prompt."""
    longest = machine.timing.context_tokens
    most = min(limits.sequences, limits.rows)
    for rows in sorted({*(n for n in _SEQUENCE_COUNTS if n < most), most}):
        for context in sorted({*(c for c in _CONTEXT_TOKENS if c < longest), longest}):
            yield _iteration(machine, rows, rows, context, before=context - 1)
    rows = min(limits.rows, limits.prompt_rows or longest, longest)
    for before in sorted({0, longest - rows}):
        yield _iteration(machine, rows, 1, before + rows, before=before)


def _iteration(
    machine: BatchMachine, rows: int, sampled: int, context: int, *, before: int
) -> Iteration:
    """An iteration of which every sampled row ends a sequence of `context` tokens."""
    timing, timer = machine.timing, machine.timer
    each = rows // sampled  # rows of a sequence
    name, attention_ps = timer.attention(Attended.of_equals(sampled, before, each, timer.windows))
    return Iteration(
        is_prompt=each > 1,
        rows=rows,
        context_tokens=context,
        cache_share=sampled * timing.units(context) / timing.unit_count,
        terms=timer.base_terms(rows, sampled) + Terms(**{f"{name}_ps": attention_ps}),
    )


def collectives(machine: BatchMachine, limits: IterationLimits) -> Iterator[IterationCollective]:
    """Every kind of collective of an iteration, timed on the group of the first stage with it."""
    plan = machine.plan
    counts: Counter[CollectiveKernel] = Counter()
    groups: dict[CollectiveKernel, tuple[int, ...]] = {}
    for stage in plan.stages:
        for launch in launches_of(
            stage.blocks,
            group_size=plan.tensor_parallel,
            residual_elements=plan.demand.residual_elements,
        ):
            if isinstance(launch, CollectiveKernel):
                counts[launch] += 1
                groups.setdefault(launch, stage.chips)
    for kernel, count in counts.items():
        group = groups[kernel]
        most_rows = limits.rows
        if kernel.sampled:
            most_rows = min(most_rows, limits.sequences)
        sizes = [machine.timer.size_bytes(kernel, len(group), rows) for rows in (1, most_rows)]
        timed = [
            time_collective(plan.routing, group, operation=kernel.operation, size_bytes=size)
            for size in sizes
            if not kernel.sharing
        ]
        pairs = [(one.algorithm or "none", one.duration_ps) for one in timed]
        yield IterationCollective(
            kernel.traffic,
            kernel.operation,
            kernel.sharing or len(group),
            kernel.sampled,
            count,
            sizes[0],
            (pairs[0], pairs[1]) if pairs else None,
        )


def iterations_table(examples: Sequence[Iteration]) -> Table:
    """The examples, one a row, split by cause."""
    # A chip without a feed of its own has no such time.
    names = [
        name
        for name in _TERMS
        if name != "weight_feed" or any(one.terms.weight_feed_ps for one in examples)
    ]
    rows = [
        (
            f"{one.rows:,} {'of a prompt' if one.is_prompt else 'decode'}",
            f"{one.context_tokens:,}",
            f"{one.cache_share:.1%}",
            f"{one.total_ps / PS_PER_MS:.2f}",
            *(f"{one.terms.by_name()[name] / PS_PER_MS:.2f}" for name in names),
            TERMS[one.terms.largest].short,
            "" if one.is_prompt else f"{PS_PER_S / one.total_ps:,.1f}",
            f"{one.rows_per_s:,.0f}",
        )
        for one in examples
    ]
    return table(
        "iterations of one replica: milliseconds by cause, and tokens per second. Each row is a "
        "token that attends to so many of its sequence (of a prompt: the last row); above 100% of "
        "the cache there is no room",
        [
            ("rows", "left"),
            ("context", "right"),
            ("cache", "right"),
            ("total", "right"),
            *((TERMS[name].short, "right") for name in names),
            ("binds", "right"),
            ("tok/s a user", "right"),
            ("tok/s", "right"),
        ],
        rows,
    )


def collectives_table(found: Sequence[IterationCollective]) -> Table:
    """Every kind of collective, with the algorithm that it takes."""

    def timed(one: IterationCollective, place: int) -> str:
        if one.times is None:
            return ""
        algorithm, ps = one.times[place]
        return f"{format_time(ps)} {algorithm}"

    rows = [
        (
            one.traffic,
            one.operation,
            str(one.chip_count),
            str(one.count),
            f"{one.row_bytes:,}{' (sampled rows)' if one.sampled else ''}",
            timed(one, 0),
            timed(one, 1),
        )
        for one in found
    ]
    return table(
        "collectives of an iteration, and the algorithm that ends first; launches not counted",
        headings(
            "traffic, operation, >chips, >count, >bytes a row, >one row, >as many as there can be"
        ),
        rows,
    )


def iteration_values(one: Iteration) -> dict[str, Any]:
    """An iteration for JSON."""
    return {
        "kind": "prompt" if one.is_prompt else "decode",
        "rows": one.rows,
        "context_tokens": one.context_tokens,
        "cache_share": round(one.cache_share, 9),
        "total_ps": one.total_ps,
        "terms_ps": {name: one.terms.by_name()[name] for name in _TERMS},
        "bound_by": one.terms.largest,
        "tok_s_per_user": None if one.is_prompt else round(PS_PER_S / one.total_ps, 6),
        "tok_s": round(one.rows_per_s, 6),
    }


def collective_values(one: IterationCollective) -> dict[str, Any]:
    """A collective for JSON."""
    (first, first_ps), (last, last_ps) = one.times or ((None, None), (None, None))
    return {
        "traffic": one.traffic,
        "operation": one.operation,
        "chip_count": one.chip_count,
        "count": one.count,
        "row_bytes": one.row_bytes,
        "of_sampled_rows": one.sampled,
        "one_row_algorithm": first,
        "one_row_ps": first_ps,
        "most_rows_algorithm": last,
        "most_rows_ps": last_ps,
    }
