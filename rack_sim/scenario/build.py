"""Build: from a validated schema to a Scenario. What a schema alone cannot see is checked here."""

import json
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rack_sim.engine.policies.policy import AnyPolicy
from rack_sim.foundation.errors import InputError
from rack_sim.foundation.sourced import Provenance
from rack_sim.hardware.system import System
from rack_sim.metrics.cost import ApiPrice, CostInputs
from rack_sim.metrics.slo import Slo, parse_slo
from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.partition.partitioner import Deployment, check_deployment
from rack_sim.scenario.fields import Model, Sourced, Validation, kind_of
from rack_sim.scenario.hardware import build_system
from rack_sim.scenario.hardware_schema import SystemSchema
from rack_sim.scenario.plausible import implausible
from rack_sim.scenario.precision import (
    build_precision,
    check_checkpoint,
    check_kinds,
    check_peaks,
)
from rack_sim.scenario.problems import ProblemPlaces, from_validation, in_order
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.schema import CostSchema, ScenarioSchema, SloSchema
from rack_sim.scenario.serving import (
    JUDGED_LATER,
    build_serving,
    check_labels,
    draft_tokens_of,
    execution_meant,
    policy_of,
    policy_schema,
)
from rack_sim.scenario.traffic import build_workload
from rack_sim.timing.shape import StepShape
from rack_sim.workload.trace import TraceCheck, TraceWorkload

_DRAFT = ("serving", "speculation", "draft_model")


def build_scenario(
    tree: dict[str, Any], folder: Path, reading: Validation, *, served: bool = True
) -> Scenario:
    """The scenario that `tree` describes.

    `folder` is where relative paths start. What is not to be `served` may have reactive chips where
    slots are meant. Raises InputError with every problem found.
    """
    schema = _schema_of(tree, reading)
    builder = ProblemPlaces(tree, reading)
    _refuse_implausible(schema, builder)
    system = builder.attempt(("system",), lambda: build_system(schema.system))
    model = builder.attempt(("model",), lambda: _model(schema.model))
    workload = builder.attempt(
        ("workload",), lambda: build_workload(schema.workload, seed=schema.seed, folder=folder)
    )
    chip = schema.system.chip
    check_peaks(chip.matrix.peak_flop_per_s, chip.name, schema.precision, builder)
    precision = build_precision(schema.precision)
    if model:
        check_checkpoint(precision, model, builder, ("model",))
        check_kinds(precision, model, builder)
    if system and model:
        _check_context(schema, model, builder)
    execution = _execution(schema, served=served)
    chosen = policy_schema(schema.serving, execution)
    schema = schema.model_copy(
        update={"serving": schema.serving.model_copy(update={"policy": chosen})}
    )
    serving = builder.attempt(
        ("serving",),
        lambda: build_serving(
            schema.serving,
            model,
            execution=execution,
            chip=schema.system.chip.name,
            seed=schema.seed,
        ),
    )
    if serving and serving.draft_model:
        check_checkpoint(precision, serving.draft_model, builder, _DRAFT)
    slo = _checked_slo(schema, builder)
    deployment = _deployment(schema, policy_of(chosen), system, model) if system and model else None
    if deployment:
        builder.attempt((), lambda: check_deployment(deployment))
    problems = [*reading.problems, *builder.problems]
    if problems or deployment is None or workload is None or serving is None:
        raise InputError(in_order(problems))

    check = _checked(workload, builder) if isinstance(workload, TraceWorkload) else None
    resolved = schema.model_dump(mode="json", exclude_none=True)
    if isinstance(workload, TraceWorkload) and check:
        _refuse_other_content(schema, check.sha256, builder)
        resolved["workload"] |= {"path": str(workload.path.resolve()), "sha256": check.sha256}
    if builder.attempt(("serving",), lambda: check_labels(serving, workload)) is None:
        raise InputError(builder.problems)
    return Scenario(
        name=schema.name,
        description=schema.description,
        deployment=deployment,
        policy_kind=kind_of(type(chosen)),
        serving=serving,
        workload=workload,
        slo=slo,
        cost=_cost(schema.cost),
        bin_ps=schema.metrics.timeline_bin_ps,
        warmup_share=schema.metrics.warmup_share,
        seed=schema.seed,
        provenance=tuple(_provenance(schema, "")),
        resolved=resolved,
        scenario_hash=_digest(resolved),
        trace_check=check,
        places={path: builder.at(tuple(path.split("."))) for path in JUDGED_LATER},
    )


def _schema_of(tree: dict[str, Any], reading: Validation) -> ScenarioSchema:
    try:
        return ScenarioSchema.model_validate(tree, context=reading)
    except ValidationError as error:
        found = from_validation(error, tree, reading)
        raise InputError(in_order([*reading.problems, *found])) from None


def _check_context(schema: ScenarioSchema, model: Architecture, builder: ProblemPlaces) -> None:
    if schema.serving.max_context_tokens > model.max_context_tokens:
        builder.complain(
            ("serving", "max_context_tokens"),
            f"{schema.serving.max_context_tokens} is longer than {model.name} can read",
            f"at most {model.max_context_tokens}",
        )


def resolved_keys(tree: dict[str, Any], reading: Validation) -> dict[str, Any]:
    """What a resolved.yaml of these keys says: those of a scenario, of the right types.

    Whether they suit each other is not asked. Raises InputError with every problem found.
    """
    schema = _schema_of(tree, reading)
    if reading.problems:
        raise InputError(in_order(reading.problems))
    return schema.model_dump(mode="json", exclude_none=True)


def build_system_alone(tree: dict[str, Any], reading: Validation) -> System:
    """The system that stands in `tree` under ``system``, without a model or traffic.

    Raises InputError with every problem found.
    """
    try:
        schema = SystemSchema.model_validate(tree["system"], context=reading)
    except ValidationError as error:
        found = from_validation(error, tree["system"], reading)
        raise InputError(in_order([*reading.problems, *found])) from None
    places = ProblemPlaces(tree["system"], reading)
    _refuse_implausible(schema, places)
    system = places.attempt((), lambda: build_system(schema))
    problems = [*reading.problems, *places.problems]
    if problems or system is None:
        raise InputError(in_order(problems))
    return system


def _checked(workload: TraceWorkload, builder: ProblemPlaces) -> TraceCheck:
    """What reading the trace found. Of a file as a whole it is said who names it."""
    try:
        return workload.validate()
    except InputError as error:
        named = builder.at(("workload", "path"))
        raise InputError(
            replace(
                named, message=f"{problem.place}: {problem.message}", suggestion=problem.suggestion
            )
            if problem.line is None and problem.place == str(workload.path)
            else problem
            for problem in error.problems
        ) from None


def _refuse_other_content(schema: ScenarioSchema, digest: str, builder: ProblemPlaces) -> None:
    wanted = getattr(schema.workload, "sha256", None)
    if wanted and wanted != digest:
        builder.complain(
            ("workload", "sha256"),
            f"the trace has changed: its digest is {digest}",
            "remove sha256 to replay what is there now",
        )
        raise InputError(builder.problems)


def _model(config: dict[str, Any]) -> Architecture:
    return architecture_from_config(str(config.get("name", "model")), config)


def _deployment(
    schema: ScenarioSchema, policy: AnyPolicy, system: System, model: Architecture
) -> Deployment:
    parts = schema.partition
    return Deployment(
        model=model,
        system=system,
        shape=StepShape(
            rows=schema.serving.slot_rows,
            rows_per_sequence=policy.rows_per_sequence(draft_tokens_of(schema.serving)),
            context_tokens=schema.serving.max_context_tokens,
            precision=build_precision(schema.precision),
            stream_count=model.stream_count,
        ),
        # One is enough where the cache takes what is left.
        concurrent_sequences=schema.serving.concurrent_sequences or 1,
        tensor_parallel=_given(parts.tensor_parallel),
        stage_count=_given(parts.stages),
        objective=parts.objective,
        expert_parallel=parts.expert_parallel or 1,
        expert_skew=parts.expert_skew.value if parts.expert_skew else 0.0,
        expert_capacity_factor=(
            parts.expert_capacity_factor.value if parts.expert_capacity_factor else None
        ),
    )


def _refuse_implausible(schema: Model, builder: ProblemPlaces) -> None:
    """Raises InputError with every number that is out of the limits, before anything is built."""
    for path, problem in implausible(schema):
        builder.complain(path, problem.message, problem.suggestion)
    if builder.problems:
        raise InputError(in_order([*builder.reading.problems, *builder.problems]))


def _cost(schema: CostSchema) -> CostInputs:
    price = schema.api_price
    return CostInputs(
        amortisation_years=schema.amortisation_years.value,
        system_price_factor=schema.system_price_factor.value,
        electricity_usd_per_kwh=schema.electricity_usd_per_kwh.value,
        power_usage_effectiveness=schema.power_usage_effectiveness.value,
        utilisation=schema.utilisation.value,
        api_price=(
            ApiPrice(
                price.name,
                price.input_usd_per_million_tokens.value,
                price.output_usd_per_million_tokens.value,
            )
            if price
            else None
        ),
    )


def _given(count: int | str) -> int | None:
    return count if isinstance(count, int) else None


def _provenance(value: Any, path: str) -> Iterator[Provenance]:
    """Every sourced number below `value`, in the order of the schema."""
    if isinstance(value, Sourced):
        number = getattr(value, "value")  # noqa: B009 - every subclass has one
        yield Provenance(
            path,
            str(number),
            value.source or "",
            value.grade or "",
            value.assumed or "",
            value.low,
            value.high,
        )
    elif isinstance(value, Model):
        for name in type(value).model_fields:
            yield from _provenance(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _provenance(item, f"{path}.{number}")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _provenance(item, f"{path}.{name}")


def _execution(schema: ScenarioSchema, *, served: bool) -> str:
    """What its chips do; of what is not to be served, what its policy is meant for."""
    execution: str = schema.system.chip.execution
    return execution if served else execution_meant(schema.serving, execution)


def _checked_slo(schema: ScenarioSchema, builder: ProblemPlaces) -> Slo:
    """What is asked; a share of the requests is a share of those that meet something."""
    slo = builder.attempt(("slo", "asked"), lambda: _slo(schema.slo)) or Slo()
    if slo.attainment is not None and not slo.bounds_ps:
        builder.complain(
            ("slo", "attainment"),
            "a share of the requests needs bounds to meet",
            "add ttft_ms, say",
        )
    return slo


def _slo(schema: SloSchema) -> Slo:
    return Slo(
        schema.ttft_ps,
        schema.tpot_ps,
        schema.e2el_ps,
        asked=parse_slo(schema.asked, "") if schema.asked else (),
        attainment=schema.attainment,
    )


def _digest(resolved: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the content; of a trace what it holds, not where it lies."""
    workload = {name: item for name, item in resolved["workload"].items() if name != "path"}
    text = json.dumps({**resolved, "workload": workload}, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:12]
