"""Serving: from its schema to what the engine is asked for."""

from typing import Any

from rack_sim.compiler.batches import CacheRoom
from rack_sim.engine.fleet import Policy, PoolSplit, PrefixStore, Serving, StaticSlotsPolicy
from rack_sim.engine.policies.batch_policy import ContinuousBatchingPolicy
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import LinkType
from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.scenario.serving_schema import (
    ContinuousBatchingSchema,
    ServingSchema,
    SpeculationSchema,
    StaticSlotsSchema,
)
from rack_sim.workload.request import Workload

POLICY_FITS = {"static_slots": "static", "continuous_batching": "reactive"}
"""The execution of the chips that each policy is for."""
JUDGED_LATER = (
    "serving.prefix_cache.capacity_bytes",
    "serving.disaggregation",
    "system.chip",
    "model",
)
"""What only a plan can judge."""


def policy_schema(
    schema: ServingSchema, execution: str
) -> StaticSlotsSchema | ContinuousBatchingSchema:
    """The policy given, or the one for chips of this kind."""
    if schema.policy is not None:
        return schema.policy
    if execution == "static":
        return StaticSlotsSchema(kind="static_slots")
    return ContinuousBatchingSchema(kind="continuous_batching")


def execution_meant(schema: ServingSchema, execution: str) -> str:
    """The execution of the chips that a scenario is written for, where nothing is to be served.

    Reactive chips may then stand where slots were meant: one step of them is looked at.
    """
    of_slots = schema.policy is None and schema.concurrent_sequences is not None
    is_static = isinstance(schema.policy, StaticSlotsSchema) or of_slots
    return "static" if is_static else execution


def build_serving(schema: ServingSchema, *, execution: str, chip: str, seed: int) -> Serving:
    """What the engine is asked for. Raises InputError with places below ``serving``."""
    policy = policy_schema(schema, execution)
    _refuse_what_clashes(schema, policy, execution=execution, chip=chip)
    store, apart, spoken = schema.prefix_cache, schema.disaggregation, schema.speculation
    link = apart.kv_link if apart else None
    return Serving(
        policy=_policy(policy),
        replica_count=schema.replicas,
        router=schema.router,
        order=schema.queue,
        queue_limit=schema.queue_limit,
        timeout_ps=schema.timeout_ps,
        prefix_store=PrefixStore(store.capacity_bytes, store.block_tokens) if store else None,
        speculation=Speculation(_rates(spoken), seed) if spoken else None,
        draft_latency_ps=(spoken.draft_latency_ps or 0) if spoken else 0,
        pools=PoolSplit(
            apart.prefill_replicas,
            LinkType("kv_link", link.rate_bytes_per_s.value, link.latency_ps.value, 1, 1)
            if link
            else None,
        )
        if apart
        else None,
        seed=seed,
    )


def check_labels(serving: Serving, workload: Workload) -> bool:
    """True where the first request says of itself what serving needs: its prefix, its session.

    Raises InputError with places below ``serving``. One that says it stands for all; a later one
    that does not is refused when it arrives.
    """
    store, by_session = serving.prefix_store, serving.router == "session_affinity"
    first = next(iter(workload.open().arrivals()), None) if store or by_session else None
    if first is None:
        return True
    problems = []
    if by_session and first.session < 0:
        problems.append(
            Problem(
                "session_affinity needs the session of every request, and the workload has none",
                field="router",
                suggestion="workload.sessions, a closed loop, or a trace with sessions",
            )
        )
    if store and not first.block_hashes:
        problems.append(
            Problem(
                "needs block hashes of the prompts, and the workload has none",
                field="prefix_cache",
                suggestion="workload.shared_prefix, or a trace with hashes",
            )
        )
    elif store:
        expected = -(-first.input_tokens // store.block_tokens)
        if len(first.block_hashes) != expected:
            problems.append(
                Problem(
                    f"a prompt of {first.input_tokens} tokens has {expected} blocks of "
                    f"{store.block_tokens}, but request {first.request_id} has "
                    f"{len(first.block_hashes)} hashes",
                    field="prefix_cache.block_tokens",
                    suggestion="that of workload.shared_prefix; 512 in Mooncake traces, 16 in "
                    "Qwen's",
                )
            )
    if problems:
        raise InputError(problems)
    return True


def rows_per_sequence(schema: ServingSchema) -> int:
    """Rows of a slot that one decoding sequence owns: its token, and what a draft proposes."""
    is_static = isinstance(schema.policy, StaticSlotsSchema)
    return 1 + schema.speculation.draft_tokens if schema.speculation and is_static else 1


def build_cache_room(schema: ServingSchema) -> CacheRoom | None:
    """How much memory the cache of reactive chips may take; None for static chips.

    Raises InputError where the draft's config cannot be read.
    """
    policy = schema.policy
    if not isinstance(policy, ContinuousBatchingSchema):
        return None
    draft = schema.speculation.draft_model if schema.speculation else None
    return CacheRoom(
        rows=policy.token_budget,
        block_tokens=policy.block_tokens,
        memory_share=policy.memory_share,
        kv_capacity_bytes=policy.kv_capacity_bytes,
        draft_model=_draft(draft) if draft else None,
    )


def _policy(schema: StaticSlotsSchema | ContinuousBatchingSchema) -> Policy:
    if isinstance(schema, StaticSlotsSchema):
        return StaticSlotsPolicy(
            kv_reservation=schema.kv_reservation,
            priority=schema.priority,
            context_buckets=tuple(schema.context_buckets),
        )
    return ContinuousBatchingPolicy(
        token_budget=schema.token_budget,
        chunk_tokens=schema.chunk_tokens,
        max_sequences=schema.max_sequences,
        block_tokens=schema.block_tokens,
        watermark_share=schema.watermark_share,
    )


def _rates(schema: SpeculationSchema) -> tuple[float, ...]:
    given = schema.acceptance
    return tuple(given) if isinstance(given, list) else (given,) * schema.draft_tokens


def _draft(config: dict[str, Any]) -> Architecture:
    try:
        return architecture_from_config(str(config.get("name", "draft")), config)
    except InputError as error:
        raise InputError(
            Problem(
                problem.message,
                field=f"speculation.draft_model.{problem.field}".rstrip("."),
                suggestion=problem.suggestion,
            )
            for problem in error.problems
        ) from None


def _refuse_what_clashes(
    schema: ServingSchema,
    policy: StaticSlotsSchema | ContinuousBatchingSchema,
    *,
    execution: str,
    chip: str,
) -> None:
    """Raises InputError with everything that is right by itself but not together."""
    problems: list[Problem] = []

    def refuse(field: str, message: str, suggestion: str = "") -> None:
        problems.append(Problem(message, field=field, suggestion=suggestion))

    if POLICY_FITS[policy.kind] != execution:
        fitting = next(kind for kind, chips in POLICY_FITS.items() if chips == execution)
        refuse(
            "policy",
            f"{policy.kind} needs a {POLICY_FITS[policy.kind]} chip; {chip} is {execution}",
            f"kind: {fitting}",
        )
    if isinstance(policy, StaticSlotsSchema):
        if schema.concurrent_sequences is None:
            refuse(
                "",
                "key 'concurrent_sequences' is missing: how many sequences at full context the "
                "cache of a static chip is compiled for",
            )
        _refuse_bad_slots(schema, policy, refuse)
    else:
        for key, is_given in (
            ("slot_rows", schema.slot_rows != 1),
            ("concurrent_sequences", schema.concurrent_sequences is not None),
        ):
            if is_given:
                refuse(
                    key,
                    "is for static chips; a batch takes what the cache and max_sequences allow",
                    "serving.policy.max_sequences",
                )
        _refuse_small_budget(schema, policy, refuse)
    spoken = schema.speculation
    if spoken:
        given = spoken.acceptance
        if isinstance(given, list) and len(given) != spoken.draft_tokens:
            refuse(
                "speculation.acceptance",
                f"{len(given)} rates for {spoken.draft_tokens} draft tokens",
                "one for each, or a single number",
            )
        if spoken.draft_model and spoken.draft_latency_ps is not None:
            refuse(
                "speculation.draft_latency_ps", "the draft's model has its own time", "leave it out"
            )
        if spoken.draft_model and isinstance(policy, StaticSlotsSchema):
            refuse(
                "speculation.draft_model",
                "on static chips the time of a proposal is given",
                "draft_latency_us",
            )
    apart = schema.disaggregation
    if apart and apart.prefill_replicas >= schema.replicas:
        refuse(
            "disaggregation.prefill_replicas",
            f"{apart.prefill_replicas} of {schema.replicas} replicas leave none to decode",
            f"serving.replicas: {apart.prefill_replicas + 1} or more",
        )
    if apart and isinstance(policy, StaticSlotsSchema):
        refuse(
            "disaggregation",
            "static_slots keeps prefill and decode together",
            "leave it out, or reactive chips",
        )
    if schema.router == "prefix_affinity" and not schema.prefix_cache:
        refuse("router", "prefix_affinity needs a prefix cache", "serving.prefix_cache")
    if problems:
        raise InputError(problems)


def _refuse_small_budget(
    schema: ServingSchema, policy: ContinuousBatchingSchema, refuse: Any
) -> None:
    width = 1 + (schema.speculation.draft_tokens if schema.speculation else 0)
    rows = policy.max_sequences * width
    if policy.token_budget < rows:
        each = f" of {width} rows (a token and a draft)" if width > 1 else ""
        refuse(
            "policy.token_budget",
            f"{policy.token_budget} rows do not hold {policy.max_sequences} decoding "
            f"sequences{each}: no prompt would get a chunk",
            f"at least {rows}, or max_sequences: {max(policy.token_budget // width, 1)}",
        )
    if policy.chunk_tokens and policy.chunk_tokens > policy.token_budget:
        refuse(
            "policy.chunk_tokens",
            f"a chunk of {policy.chunk_tokens} rows is more than the token budget of "
            f"{policy.token_budget}",
            f"at most {policy.token_budget}",
        )


def _refuse_bad_slots(schema: ServingSchema, policy: StaticSlotsSchema, refuse: Any) -> None:
    bounds, longest = policy.context_buckets, schema.max_context_tokens
    if bounds and (bounds != sorted(set(bounds)) or bounds[-1] != longest):
        fitting = [*sorted(bound for bound in set(bounds) if bound < longest), longest]
        refuse(
            "policy.context_buckets",
            f"{bounds} does not rise to serving.max_context_tokens, {longest}",
            f"for example: {fitting}",
        )
    seat = 1 + (schema.speculation.draft_tokens if schema.speculation else 0)
    if schema.slot_rows % seat:
        refuse(
            "slot_rows",
            f"{schema.slot_rows} rows are no whole number of seats: a token and its draft take "
            f"{seat}",
            f"slot_rows: {seat}",
        )
