"""Serving schema: how requests are served, as a scenario gives it."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rack_sim.engine.policies import POLICIES
from rack_sim.engine.routers import ROUTERS
from rack_sim.foundation.keys import Amount, Count, PositiveAmount, Share
from rack_sim.scenario.fields import Model, OneOfSeveral, SourcedAmount
from rack_sim.scenario.registered import ByKind, NameIn, schema_of


class PolicyKind(OneOfSeveral):
    """One of the policies."""

    @classmethod
    def kinds(cls) -> Iterable[type[Model]]:
        return policy_models().values()


def policy_models() -> dict[str, type[PolicyKind]]:
    """The schema of every policy there is, by its kind."""
    return {kind: schema_of(kind, policy, PolicyKind) for kind, policy in POLICIES.items()}


class PrefixCacheSchema(Model):
    """Blocks of prompts kept for later prompts that begin alike, on every replica."""

    capacity_bytes: PositiveAmount
    """Bytes of keys and values that are kept, beside the cache of running sequences."""
    block_tokens: Count = 512
    """Tokens that one hash of the trace stands for: 512 in Mooncake's, 16 in Qwen's."""


def _shape_of_acceptance(value: Any) -> str:
    return "each" if isinstance(value, list) else "one"


def _shape_of_draft(value: Any) -> str:
    return "own" if isinstance(value, str) else "keys"


class SpeculationSchema(Model):
    """A draft proposes tokens, the model keeps those that it would have made itself."""

    draft_tokens: Annotated[int, Field(ge=1, le=64)]
    """Tokens proposed in a step."""
    acceptance: Annotated[
        Annotated[Share, Tag("one")] | Annotated[list[Share], Tag("each")],
        Discriminator(_shape_of_acceptance),
    ]
    """Chance that a token is kept, given that those before it were; or one for every position."""
    draft_model: (
        Annotated[
            Annotated[dict[str, Any], Tag("keys")] | Annotated[Literal["mtp"], Tag("own")],
            Discriminator(_shape_of_draft),
        ]
        | None
    ) = None
    """The model that drafts, on the same chips (reactive chips only): a preset, a config.json or
    its keys; `mtp` is the model's own module that predicts further tokens. Left out with
    `draft_latency_ps`: a draft that costs no time, as a look-up does."""
    draft_latency_ps: Amount | None = None
    """Time of a whole proposal, where no model is given."""


class KvLinkSchema(Model):
    """The network port of each replica, over which caches go from prefill to decode."""

    rate_bytes_per_s: SourcedAmount
    """Rate per direction of one replica's port."""
    latency_ps: SourcedAmount
    """From port to port, without serialisation."""


class DisaggregationSchema(Model):
    """Prefill and decode on replicas of their own."""

    prefill_replicas: Count
    """Of all replicas, those that only prefill; the others only decode."""
    kv_link: KvLinkSchema | None = None
    """A network between replicas; left out, caches take the links of the system, which must then
    hold all replicas."""


class ServingSchema(Model):
    """How requests are served."""

    policy: Annotated[PolicyKind, ByKind(policy_models)] | None = None
    """The serving policy; left out, static_slots on static chips, continuous_batching on others."""
    slot_rows: Count = 1
    """Static chips: rows (tokens of different sequences, or of one prompt) that pass together."""
    concurrent_sequences: Count | None = None
    """Static chips: sequences at full context that the cache has room for."""
    max_context_tokens: Count
    """Longest context (input + output) that is served."""
    replicas: Count = 1
    """Copies of the model, each on chips of its own. A system holds as many as fit; more than
    that take more systems of the kind."""
    router: Annotated[str, NameIn(lambda: ROUTERS)] = "round_robin"
    """Which replica a request goes to (`rack-sim list routers`)."""
    queue: Literal["fcfs", "priority"] = "fcfs"
    """Order of waiting requests: first come, or the higher priority first."""
    queue_limit: Count | None = None
    """Requests that may wait at the replica they are sent to; the next is rejected. Where prefill
    and decode are apart, any number may wait to be decoded."""
    timeout_ps: PositiveAmount | None = None
    """A request not finished this long after its arrival is given up."""
    prefix_cache: PrefixCacheSchema | None = None
    """Reuse of prompts that begin alike; needs block hashes of the prompts."""
    speculation: SpeculationSchema | None = None
    """Speculative decoding."""
    disaggregation: DisaggregationSchema | None = None
    """Prefill apart from decode."""
