"""Batches: a replica of reactive chips, as the serving engine sees it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Roof(Protocol):
    """One bound on the attention of an iteration, over all layers, in whole picoseconds.

    For each pair of a row and a cached token it attends to, each cached token read, each row.
    """

    @property
    def name(self) -> str:
        """compute, memory or weight_feed."""

    @property
    def per_pair_ps(self) -> int:
        """For each pair."""

    @property
    def per_token_ps(self) -> int:
        """For each cached token that is read."""

    @property
    def per_row_ps(self) -> int:
        """For each row."""


class Iterations(Protocol):
    """How long an iteration takes: ``base_ps(rows, sampled)`` and the largest roof of attention."""

    @property
    def roofs(self) -> Sequence[Roof]:
        """The roofs; at least one."""

    def base_ps(self, rows: int, sampled: int) -> int:
        """Everything but what depends on the context; `sampled` rows go through the head."""


@dataclass(frozen=True)
class Draft:
    """What a proposal of a draft costs: `model` runs once a token, or `latency_ps` in all."""

    model: Iterations | None = None
    latency_ps: int = 0


@dataclass(frozen=True)
class BatchTiming:
    """Iterations, and the blocks of the cache that one replica has.

    A sequence may be `context_tokens` long. Every chip holds its share of a token's keys and
    values: `kv_bytes_per_token` over all chips of the replica.
    """

    iterations: Iterations
    block_tokens: int
    block_count: int
    context_tokens: int
    kv_bytes_per_token: int = 0
    draft: Draft = field(default_factory=Draft)

    @property
    def kv_tokens(self) -> int:
        """Tokens that the cache holds."""
        return self.block_tokens * self.block_count


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """What the iterations of a replay were, for splits and utilisations.

    `iterations_by_rows` counts iterations by (rows, sampled rows), `tokens_by_rows` the sequences
    that decoded in them; `attention_ps` is the time of attention by roof, `attention_token_ps` the
    same with each iteration counted once for each sequence that decoded in it. `draft_token_ps`
    likewise for the draft.
    """

    iterations_by_rows: Mapping[tuple[int, int], int]
    tokens_by_rows: Mapping[tuple[int, int], int]
    attention_ps: tuple[int, ...]
    attention_token_ps: tuple[int, ...]
    draft_ps: int = 0
    draft_token_ps: int = 0

    @classmethod
    def sum(cls, parts: "Sequence[BatchTotals]") -> "BatchTotals":
        """Those of several replicas together, which have the same roofs."""
        iterations: Counter[tuple[int, int]] = Counter()
        tokens: Counter[tuple[int, int]] = Counter()
        for part in parts:
            iterations.update(part.iterations_by_rows)
            tokens.update(part.tokens_by_rows)
        return cls(
            dict(sorted(iterations.items())),
            dict(sorted(tokens.items())),
            tuple(map(sum, zip(*(part.attention_ps for part in parts), strict=True))),
            tuple(map(sum, zip(*(part.attention_token_ps for part in parts), strict=True))),
            sum(part.draft_ps for part in parts),
            sum(part.draft_token_ps for part in parts),
        )

    @property
    def iteration_count(self) -> int:
        """Iterations in all."""
        return sum(self.iterations_by_rows.values())
