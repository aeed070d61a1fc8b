"""Serving: from its schema to what the engine is asked for."""

from collections.abc import Iterator

from rack_sim.engine.fleet import PoolSplit, PrefixStore, Serving
from rack_sim.engine.policies import POLICIES
from rack_sim.engine.policies.policy import AnyPolicy, ServingKeys
from rack_sim.engine.routers import ROUTERS
from rack_sim.engine.speculation import Speculation
from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.link import LinkType
from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.model.prediction import MODULE_COUNT_KEYS, draft_of
from rack_sim.scenario.fields import kind_of
from rack_sim.scenario.registered import arguments_of
from rack_sim.scenario.serving_schema import (
    PolicyKind,
    ServingSchema,
    SpeculationSchema,
    policy_models,
)
from rack_sim.workload.request import Workload

JUDGED_LATER = (
    "serving.prefix_cache",
    "serving.prefix_cache.capacity_bytes",
    "serving.disaggregation",
    "system.chip",
    "model",
)
"""What only a plan can judge."""


def policy_schema(schema: ServingSchema, execution: str) -> PolicyKind:
    """The policy given, or the first one for chips of this kind."""
    return schema.policy or policy_models()[_kind_for(execution)].model_validate(
        {"kind": _kind_for(execution)}
    )


def execution_meant(schema: ServingSchema, execution: str) -> str:
    """The execution of the chips that a scenario is written for, where nothing is to be served.

    Reactive chips may then stand where slots were meant: one step of them is looked at.
    """
    if schema.policy is not None:
        is_static = POLICIES[kind_of(type(schema.policy))].execution == "static"
    else:
        is_static = schema.concurrent_sequences is not None
    return "static" if is_static else execution


def build_serving(
    schema: ServingSchema, model: Architecture | None, *, execution: str, chip: str, seed: int
) -> Serving:
    """What the engine is asked for. Raises InputError with places below ``serving``.

    The `model` is what is served; None where it could not be read.
    """
    chosen = policy_schema(schema, execution)
    policy = policy_of(chosen)
    problems = list(_clashes(schema, policy))
    if policy.execution != execution:
        wrong = Problem(
            f"{kind_of(type(chosen))} needs a {policy.execution} chip; {chip} is {execution}",
            field="policy",
            suggestion=f"kind: {_kind_for(execution)}",
        )
        problems.insert(0, wrong)
    draft = None
    try:
        draft = _draft(schema.speculation, model)
    except InputError as error:
        problems += error.problems
    if problems:
        raise InputError(problems)
    store, apart, spoken = schema.prefix_cache, schema.disaggregation, schema.speculation
    link = apart.kv_link if apart else None
    return Serving(
        policy=policy,
        replica_count=schema.replicas,
        router=schema.router,
        order=schema.queue,
        queue_limit=schema.queue_limit,
        timeout_ps=schema.timeout_ps,
        prefix_store=PrefixStore(store.capacity_bytes, store.block_tokens) if store else None,
        speculation=Speculation(_rates(spoken), seed) if spoken else None,
        draft_latency_ps=(spoken.draft_latency_ps or 0) if spoken else 0,
        draft_model=draft,
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
    store, by_session = serving.prefix_store, ROUTERS[serving.router].needs_sessions
    first = next(iter(workload.open().arrivals()), None) if store or by_session else None
    if first is None:
        return True
    problems = []
    if by_session and first.session < 0:
        problems.append(
            Problem(
                f"{serving.router} needs the session of every request, and the workload has none",
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


def policy_of(schema: PolicyKind) -> AnyPolicy:
    """The policy that a scenario gives."""
    policy = POLICIES[kind_of(type(schema))]
    return policy(**arguments_of(schema, policy))


def _kind_for(execution: str) -> str:
    return next(kind for kind, policy in POLICIES.items() if policy.execution == execution)


def draft_tokens_of(schema: ServingSchema) -> int:
    """Tokens that a draft proposes; none where there is no draft."""
    return schema.speculation.draft_tokens if schema.speculation else 0


def _rates(schema: SpeculationSchema) -> tuple[float, ...]:
    given = schema.acceptance
    return tuple(given) if isinstance(given, list) else (given,) * schema.draft_tokens


def _draft(schema: SpeculationSchema | None, model: Architecture | None) -> Architecture | None:
    """The model that drafts. Raises InputError where its config cannot be read."""
    config = schema.draft_model if schema else None
    if not config:
        return None
    if isinstance(config, str):
        return _own_draft(model) if model else None
    try:
        return architecture_from_config(str(config.get("name", "draft")), config)
    except InputError as error:
        raise InputError(
            Problem(
                problem.message,
                field=f"speculation.draft_model.{problem.field}".rstrip("."),
                suggestion=problem.suggestion.replace("model.", "serving.speculation.draft_model."),
            )
            for problem in error.problems
        ) from None


def _own_draft(model: Architecture) -> Architecture:
    """The module of a model that predicts further tokens. Raises InputError where it has none."""
    draft = draft_of(model)
    if draft is not None:
        return draft
    message = f"{model.name} has no module that predicts further tokens"
    hint = f"a key of the model says so: {', '.join(MODULE_COUNT_KEYS)}"
    if model.prediction is not None:
        message = f"the shape of the modules that predict further tokens of {model.name} is unknown"
        hint = "write it as a model of its own, or give draft_latency_ms"
    raise InputError(Problem(message, field="speculation.draft_model", suggestion=hint))


def _clashes(schema: ServingSchema, policy: AnyPolicy) -> Iterator[Problem]:
    """Everything that is right by itself but not together."""
    spoken, apart = schema.speculation, schema.disaggregation
    yield from policy.problems(
        ServingKeys(
            max_context_tokens=schema.max_context_tokens,
            slot_rows=schema.slot_rows,
            concurrent_sequences=schema.concurrent_sequences,
            draft_tokens=draft_tokens_of(schema),
            has_draft_model=bool(spoken and spoken.draft_model),
            has_prefill_apart=apart is not None,
        )
    )
    if spoken:
        given = spoken.acceptance
        if isinstance(given, list) and len(given) != spoken.draft_tokens:
            yield Problem(
                f"{len(given)} rates for {spoken.draft_tokens} draft tokens",
                field="speculation.acceptance",
                suggestion="one for each, or a single number",
            )
        if spoken.draft_model and spoken.draft_latency_ps is not None:
            yield Problem(
                "the draft's model has its own time",
                field="speculation.draft_latency_ps",
                suggestion="leave it out",
            )
    if apart and apart.prefill_replicas >= schema.replicas:
        yield Problem(
            f"{apart.prefill_replicas} of {schema.replicas} replicas leave none to decode",
            field="disaggregation.prefill_replicas",
            suggestion=f"serving.replicas: {apart.prefill_replicas + 1} or more",
        )
    if ROUTERS[schema.router].needs_prefix_cache and not schema.prefix_cache:
        yield Problem(
            f"{schema.router} needs a prefix cache",
            field="router",
            suggestion="serving.prefix_cache",
        )
