"""Hardware: from a validated schema to a System."""

from dataclasses import replace
from fractions import Fraction
from inspect import signature

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.hardware.builders import BUILDERS
from rack_sim.hardware.chip import KINDS, Chip, MatrixUnit, MemoryTier
from rack_sim.hardware.failures import with_failed_links
from rack_sim.hardware.link import LinkType
from rack_sim.hardware.system import System
from rack_sim.hardware.topology import Topology
from rack_sim.scenario.fields import (
    SourcedAmount,
    SourcedCount,
    SourcedShare,
    SourcedWhole,
    kind_of,
)
from rack_sim.scenario.hardware_schema import ChipSchema, LinkSchema, SystemSchema
from rack_sim.scenario.registered import arguments_of


def build_system(schema: SystemSchema) -> System:
    """The system that `schema` describes. Raises InputError with places below the system."""
    _refuse_static_jitter(schema.chip)
    _refuse_static_host(schema.chip)
    _refuse_homeless_kinds(schema.chip)
    _refuse_falling_power(schema.chip)
    local = _link("local", schema.links["local"]) if "local" in schema.links else None
    if local is None:
        raise InputError(Problem("key 'local' is missing", field="links"))
    across = schema.links.get("global")
    global_ = _link("global", across) if across else replace(local, name="global")
    return System(
        name=schema.name,
        chip=_chip(schema.chip),
        topology=_placed_topology(schema, local, global_),
        host_watts_per_node=schema.host_watts_per_node.value,
        network_watts_per_node=(
            schema.network_watts_per_node.value if schema.network_watts_per_node else 0.0
        ),
        price_usd=schema.system_price_usd.value if schema.system_price_usd else None,
    )


def build_chip_alone(schema: ChipSchema) -> Chip:
    """The chip that `schema` describes. Raises InputError with places below the chip."""
    problems = []
    for check in (_refuse_static_jitter, _refuse_static_host, _refuse_homeless_kinds):
        try:
            check(schema)
        except InputError as error:
            problems += [replace(p, field=p.field.removeprefix("chip.")) for p in error.problems]
    if problems:
        raise InputError(problems)
    return _chip(schema)


def _placed_topology(schema: SystemSchema, local: LinkType, global_: LinkType) -> Topology:
    shape = schema.topology
    try:
        return with_failed_links(
            _topology(schema, local, global_),
            shape.failed_links or (),
            reroute=shape.reroute is not False,
        )
    except InputError as error:
        raise InputError(
            replace(problem, field=".".join(("topology", problem.field)).rstrip("."))
            for problem in error.problems
        ) from None


def _topology(schema: SystemSchema, local: LinkType, global_: LinkType) -> Topology:
    shape = schema.topology
    build = BUILDERS[kind_of(type(shape))].build
    around = {
        "name": schema.name,
        "local": local,
        "global_": global_,
        "port_count": schema.chip.port_count.value,
    }
    taken = signature(build).parameters
    return build(
        **{name: value for name, value in around.items() if name in taken},
        **arguments_of(shape, build),
    )


def _given(count: SourcedCount | SourcedWhole | SourcedAmount | None) -> int | None:
    return None if count is None else count.value


def _share(share: SourcedShare | None) -> Fraction:
    """The decimal that the file gives, exactly; all of it where it gives none."""
    return Fraction(1) if share is None else Fraction(str(share.value))


def _chip(schema: ChipSchema) -> Chip:
    return Chip(
        name=schema.name,
        execution=schema.execution,
        memory=tuple(
            MemoryTier(
                tier.name,
                tier.capacity_bytes.value,
                tier.bandwidth_bytes_per_s.value,
                KINDS if tier.holds is None else tuple(tier.holds),
            )
            for tier in schema.memory
        ),
        matrix=MatrixUnit(
            peak_flop_per_s={
                name: rate.value for name, rate in sorted(schema.matrix.peak_flop_per_s.items())
            },
            feed_bytes_per_s=(
                schema.matrix.feed_bytes_per_s.value if schema.matrix.feed_bytes_per_s else None
            ),
            buffer_bytes=schema.matrix.buffer_bytes.value if schema.matrix.buffer_bytes else 0,
        ),
        vector_flop_per_s=schema.vector_flop_per_s.value,
        operator_fixed_latency_ps=schema.operator_fixed_latency_ps.value,
        operator_jitter_ps=_given(schema.operator_jitter_ps) or 0,
        memory_efficiency=_share(schema.memory_efficiency),
        matrix_efficiency=_share(schema.matrix_efficiency),
        iteration_host_ps=_given(schema.iteration_host_ps) or 0,
        sequence_host_ps=_given(schema.sequence_host_ps) or 0,
        collective_latency_ps=_given(schema.collective_latency_ps),
        program_text_bytes=schema.program_text_bytes.value,
        port_count=schema.port_count.value,
        idle_watts=schema.idle_watts.value,
        peak_watts=schema.peak_watts.value,
        price_usd=schema.price_usd.value,
        power_by_class=(
            {name: share.value for name, share in sorted(schema.power.by_class.items())}
            if schema.power
            else {}
        ),
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


def _refuse_static_jitter(chip: ChipSchema) -> None:
    """A compiled start time that may be missed would be none."""
    jitter = chip.operator_jitter_ps
    if chip.execution == "static" and jitter and jitter.value:
        raise InputError(
            Problem(
                f"a static chip has no jitter; {chip.name} is given {jitter.value} ps",
                field="chip.operator_jitter_ps",
                suggestion="execution: reactive, or 0; `rack-sim sweep jitter` shows what it costs",
            )
        )


def _refuse_static_host(chip: ChipSchema) -> None:
    """A compiled program waits for no host and launches nothing."""
    if chip.execution != "static":
        return
    given = [
        name
        for name in ("iteration_host_ps", "sequence_host_ps", "collective_latency_ps")
        if getattr(chip, name) is not None
    ]
    if given:
        raise InputError(
            Problem(
                f"only a reactive chip has it; {chip.name} is static",
                field=f"chip.{name}",
                suggestion="execution: reactive, or without it",
            )
            for name in given
        )


def _refuse_homeless_kinds(chip: ChipSchema) -> None:
    """Each kind of bytes needs a tier that may hold it; of a static chip, the first."""
    reachable = chip.memory[:1] if chip.execution == "static" else chip.memory
    held = {kind for tier in reachable for kind in (KINDS if tier.holds is None else tier.holds)}
    missing = [kind for kind in KINDS if kind not in held]
    if missing:
        raise InputError(
            Problem(
                f"no memory tier of {chip.name} may hold {' or '.join(missing)}",
                field="chip.memory",
                suggestion=f"holds: [{', '.join(KINDS)}] on one of them",
            )
        )


def _refuse_falling_power(chip: ChipSchema) -> None:
    """What a busy chip draws beyond an idle one would be less than nothing."""
    idle, peak = chip.idle_watts.value, chip.peak_watts.value
    if peak < idle:
        raise InputError(
            Problem(
                f"{peak:g} W at the peak is less than the {idle:g} W that {chip.name} draws idle",
                field="chip.peak_watts",
                suggestion="at least chip.idle_watts",
            )
        )
