"""Build: from a validated schema to a Scenario. What a schema alone cannot see is checked here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from rack_sim.engine.serving import StaticSlotsPolicy
from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.sourced import Provenance
from rack_sim.hardware.builders import dragonfly, fully_connected
from rack_sim.hardware.chip import PRECISION_BITS, Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.hardware.topology import Topology
from rack_sim.metrics.cost import CostInputs
from rack_sim.metrics.slo import Slo
from rack_sim.model.architecture import Architecture
from rack_sim.model.huggingface import architecture_from_config
from rack_sim.partition.partitioner import Deployment, check_deployment
from rack_sim.scenario.fields import Model, Reading, Sourced
from rack_sim.scenario.hardware_schema import (
    ChipSchema,
    DragonflySchema,
    FullyConnectedSchema,
    LinkSchema,
    SystemSchema,
)
from rack_sim.scenario.problems import from_validation
from rack_sim.scenario.scenario import Scenario
from rack_sim.scenario.schema import ScenarioSchema
from rack_sim.scenario.traffic import build_workload
from rack_sim.timing.blocks import StepShape
from rack_sim.timing.precision import Precision
from rack_sim.workload.trace import TraceWorkload

Built = TypeVar("Built")


def build_scenario(tree: dict[str, Any], folder: Path, reading: Reading) -> Scenario:
    """The scenario that `tree` describes.

    `folder` is where relative paths start. Raises InputError with every problem found.
    """
    try:
        schema = ScenarioSchema.model_validate(tree, context=reading)
    except ValidationError as error:
        raise InputError(
            _in_order([*reading.problems, *from_validation(error, tree, reading)])
        ) from None
    builder = _Builder(tree, reading)
    system = builder.attempt(("system",), lambda: _system(schema.system))
    model = builder.attempt(("model",), lambda: _model(schema.model))
    workload = builder.attempt(
        ("workload",), lambda: build_workload(schema.workload, seed=schema.seed, folder=folder)
    )
    _check_precision(schema, builder)
    if system and model and schema.serving.max_context_tokens > model.max_context_tokens:
        builder.complain(
            ("serving", "max_context_tokens"),
            f"{schema.serving.max_context_tokens} is longer than {model.name} can read",
            f"at most {model.max_context_tokens}",
        )
    if schema.system.chip.execution != "static":
        builder.complain(
            ("serving", "policy"),
            f"static_slots needs a statically scheduled chip; "
            f"{schema.system.chip.name} is {schema.system.chip.execution}",
        )
    deployment = _deployment(schema, system, model) if system and model else None
    if deployment:
        builder.attempt((), lambda: check_deployment(deployment))
    problems = [*reading.problems, *builder.problems]
    if problems or deployment is None or workload is None:
        raise InputError(_in_order(problems))

    check = workload.validate() if isinstance(workload, TraceWorkload) else None
    resolved = schema.model_dump(mode="json", exclude_none=True)
    if isinstance(workload, TraceWorkload) and check:
        _refuse_other_content(schema, check.sha256, builder)
        resolved["workload"] |= {"path": str(workload.path.resolve()), "sha256": check.sha256}
    return Scenario(
        name=schema.name,
        description=schema.description,
        deployment=deployment,
        policy_kind=schema.serving.policy.kind,
        policy=StaticSlotsPolicy(kv_reservation=schema.serving.policy.kv_reservation),
        workload=workload,
        slo=Slo(schema.slo.ttft_ps, schema.slo.tpot_ps, schema.slo.e2el_ps),
        cost=CostInputs(
            amortisation_years=schema.cost.amortisation_years.value,
            system_price_factor=schema.cost.system_price_factor.value,
            electricity_usd_per_kwh=schema.cost.electricity_usd_per_kwh.value,
            power_usage_effectiveness=schema.cost.power_usage_effectiveness.value,
        ),
        bin_ps=schema.metrics.timeline_bin_ps,
        warmup_share=schema.metrics.warmup_share,
        seed=schema.seed,
        provenance=tuple(_provenance(schema, "")),
        resolved=resolved,
        scenario_hash=_digest(resolved),
        trace_check=check,
    )


class _Builder:
    """Collects problems of the parts, each at its place in the file."""

    def __init__(self, tree: dict[str, Any], reading: Reading) -> None:
        self.tree = tree
        self.reading = reading
        self.problems: list[Problem] = []

    def attempt(self, keys: tuple[str, ...], build: Callable[[], Built]) -> Built | None:
        """The part that `build` makes; its problems are noted where `keys` (and fields) stand."""
        try:
            return build()
        except InputError as error:
            for problem in error.problems:
                if problem.place:
                    self.problems.append(problem)
                else:
                    path = (*keys, *problem.field.split(".")) if problem.field else keys
                    self.complain(path, problem.message, problem.suggestion)
            return None

    def complain(self, keys: tuple[str, ...], message: str, suggestion: str = "") -> None:
        """Notes a problem at the deepest of `keys` that the file has."""
        container: Any = None
        key: str | int | None = None
        value: Any = self.tree
        path = []
        for part in keys:
            name: str | int
            if isinstance(value, dict) and part in value:
                name, inner = part, value[part]
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                name, inner = int(part), value[int(part)]
            else:
                break
            container, key, value = value, name, inner
            path.append(part)
        mark = self.reading.marks.get(container, key) or self.reading.marks.get(self.tree)
        problem = Problem(message, field=".".join(path), suggestion=suggestion)
        if mark:
            problem = mark.problem(message, field=".".join(path), suggestion=suggestion)
        self.problems.append(problem)


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Problems by file and line, those of one place in the order found."""
    files = {problem.place: number for number, problem in reversed(list(enumerate(problems)))}
    return sorted(problems, key=lambda p: (files[p.place], p.line or 0, p.column or 0))


def _check_precision(schema: ScenarioSchema, builder: _Builder) -> None:
    peaks = schema.system.chip.matrix.peak_flop_per_s
    for name in peaks:
        if name not in PRECISION_BITS:
            builder.complain(
                ("system", "chip", "matrix"),
                f"precision {name!r} is not known",
                suggest(name, PRECISION_BITS),
            )
    compute = schema.precision.compute or schema.precision.activations
    if compute not in peaks:
        key = "compute" if schema.precision.compute else "activations"
        builder.complain(
            ("precision", key),
            f"{schema.system.chip.name} has no matrix rate for {compute}",
            f"it has: {', '.join(sorted(peaks))}",
        )


def _refuse_other_content(schema: ScenarioSchema, digest: str, builder: _Builder) -> None:
    wanted = getattr(schema.workload, "sha256", None)
    if wanted and wanted != digest:
        builder.complain(
            ("workload", "sha256"),
            f"the trace has changed: its digest is {digest}",
            "remove sha256 to replay what is there now",
        )
        raise InputError(builder.problems)


def _chip(schema: ChipSchema) -> Chip:
    return Chip(
        name=schema.name,
        execution=schema.execution,
        memory=tuple(
            MemoryTier(tier.name, tier.capacity_bytes.value, tier.bandwidth_bytes_per_s.value)
            for tier in schema.memory
        ),
        matrix=MatrixUnit(
            peak_flop_per_s={
                name: rate.value for name, rate in sorted(schema.matrix.peak_flop_per_s.items())
            },
            feed_bytes_per_s=(
                schema.matrix.feed_bytes_per_s.value if schema.matrix.feed_bytes_per_s else None
            ),
        ),
        vector_flop_per_s=schema.vector_flop_per_s.value,
        operator_fixed_latency_ps=schema.operator_fixed_latency_ps.value,
        program_text_bytes=schema.program_text_bytes.value,
        port_count=schema.port_count.value,
        idle_watts=schema.idle_watts.value,
        peak_watts=schema.peak_watts.value,
        price_usd=schema.price_usd.value,
    )


def _link(name: str, schema: LinkSchema) -> LinkType:
    if schema.wire_bytes.value < schema.payload_bytes.value:
        raise InputError(
            Problem(
                f"a vector of {schema.payload_bytes.value} bytes cannot occupy "
                f"{schema.wire_bytes.value} on the wire",
                field=f"links.{name}.wire_bytes",
            )
        )
    return LinkType(
        name=name,
        bytes_per_s=schema.rate_bytes_per_s.value,
        latency_ps=schema.latency_ps.value,
        payload_bytes=schema.payload_bytes.value,
        wire_bytes=schema.wire_bytes.value,
    )


def _system(schema: SystemSchema) -> System:
    _refuse_zero_rates(schema)
    local = _link("local", schema.links["local"]) if "local" in schema.links else None
    if local is None:
        raise InputError(Problem("key 'local' is missing", field="links"))
    across = schema.links.get("global")
    global_ = _link("global", across) if across else replace(local, name="global")
    return System(
        name=schema.name,
        chip=_chip(schema.chip),
        topology=_topology(schema, local, global_),
        host_watts_per_node=schema.host_watts_per_node.value,
    )


def _topology(schema: SystemSchema, local: LinkType, global_: LinkType) -> Topology:
    shape = schema.topology
    ports = schema.chip.port_count.value
    try:
        if isinstance(shape, FullyConnectedSchema):
            return fully_connected(
                name=schema.name, chips=shape.chips.value, local=local, port_count=ports
            )
        return _dragonfly(schema.name, shape, local, global_, ports)
    except InputError as error:
        raise InputError(
            replace(problem, field=".".join(("topology", problem.field)).rstrip("."))
            for problem in error.problems
        ) from None


def _dragonfly(
    name: str, shape: DragonflySchema, local: LinkType, global_: LinkType, ports: int
) -> Topology:
    return dragonfly(
        name=name,
        racks=shape.racks.value,
        nodes_per_rack=shape.nodes_per_rack.value,
        chips_per_node=shape.chips_per_node.value,
        links_per_node_pair=shape.links_per_node_pair.value,
        links_per_rack_pair=shape.links_per_rack_pair.value,
        spare_nodes_per_rack=shape.spare_nodes_per_rack.value,
        local=local,
        global_=global_,
        port_count=ports,
    )


def _refuse_zero_rates(schema: SystemSchema) -> None:
    """A rate of zero would make every time infinite."""
    chip = schema.chip
    rates = {
        **{f"chip.memory.{n}": tier.bandwidth_bytes_per_s for n, tier in enumerate(chip.memory)},
        **{f"chip.matrix.peak ({name})": r for name, r in chip.matrix.peak_flop_per_s.items()},
        "chip.vector": chip.vector_flop_per_s,
        **{f"links.{name}": link.rate_bytes_per_s for name, link in schema.links.items()},
    }
    if chip.matrix.feed_bytes_per_s:
        rates["chip.matrix"] = chip.matrix.feed_bytes_per_s
    problems = [
        Problem(f"the rate of {name} is zero", field=name.split(" ")[0])
        for name, rate in rates.items()
        if rate.value == 0
    ]
    if problems:
        raise InputError(problems)


def _model(config: dict[str, Any]) -> Architecture:
    return architecture_from_config(str(config.get("name", "model")), config)


def _deployment(schema: ScenarioSchema, system: System, model: Architecture) -> Deployment:
    precision = schema.precision
    parts = schema.partition
    return Deployment(
        model=model,
        system=system,
        shape=StepShape(
            rows=schema.serving.slot_rows,
            context_tokens=schema.serving.max_context_tokens,
            precision=Precision(
                weights=precision.weights,
                kv=precision.kv,
                activations=precision.activations,
                compute=precision.compute or precision.activations,
            ),
        ),
        concurrent_sequences=schema.serving.concurrent_sequences,
        tensor_parallel=_given(parts.tensor_parallel),
        stage_count=_given(parts.stages),
        objective=parts.objective,
    )


def _given(count: int | str) -> int | None:
    return count if isinstance(count, int) else None


def _provenance(value: Any, path: str) -> Iterator[Provenance]:
    """Every sourced number below `value`, in the order of the schema."""
    if isinstance(value, Sourced):
        number = getattr(value, "value")  # noqa: B009 - every subclass has one
        yield Provenance(
            path, str(number), value.source or "", value.grade or "", value.assumed or ""
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


def _digest(resolved: dict[str, Any]) -> str:
    """Twelve hexadecimal digits of the content; of a trace what it holds, not where it lies."""
    workload = {name: item for name, item in resolved["workload"].items() if name != "path"}
    text = json.dumps({**resolved, "workload": workload}, sort_keys=True, ensure_ascii=True)
    return sha256(text.encode()).hexdigest()[:12]
