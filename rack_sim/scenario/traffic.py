"""Traffic: from the workload's schema to a Workload."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.units import PS_PER_S
from rack_sim.scenario.workload_schema import (
    ArrivalsSchema,
    ClosedLoopSchema,
    ConstantSchema,
    EmpiricalSchema,
    FixedSchema,
    GammaSchema,
    LengthsSchema,
    PoissonSchema,
    SharedPrefixSchema,
    SyntheticSchema,
    TraceSchema,
)
from rack_sim.workload.arrivals import ArrivalProcess, Constant, Gamma, PiecewiseConstant, Poisson
from rack_sim.workload.closed_loop import ClosedLoopWorkload
from rack_sim.workload.drawn_labels import SharedPrefix
from rack_sim.workload.lengths import Empirical, Fixed, LengthDistribution, Lognormal
from rack_sim.workload.request import Workload
from rack_sim.workload.synthetic import SyntheticWorkload
from rack_sim.workload.trace import TraceOptions, TraceWorkload

Built = TypeVar("Built")


def build_workload(
    schema: SyntheticSchema | ClosedLoopSchema | TraceSchema, *, seed: int, folder: Path
) -> Workload:
    """The workload that a schema describes; a trace's path is relative to `folder`.

    Raises InputError where numbers do not go together; problems name their field.
    """
    return _inside("", lambda: _workload(schema, seed, folder))


def _workload(
    schema: SyntheticSchema | ClosedLoopSchema | TraceSchema, seed: int, folder: Path
) -> Workload:
    if isinstance(schema, SyntheticSchema):
        return SyntheticWorkload(
            arrivals=_inside("arrivals", lambda: _arrivals(schema.arrivals)),
            input_lengths=_inside("input_tokens", lambda: _lengths(schema.input_tokens)),
            output_lengths=_inside("output_tokens", lambda: _lengths(schema.output_tokens)),
            seed=seed,
            request_count=schema.request_count,
            duration_ps=schema.duration_ps,
            sessions=schema.sessions,
            shared_prefix=_inside("shared_prefix", lambda: _shared_prefix(schema.shared_prefix)),
            priorities=tuple(
                (int(value), share) for value, share in (schema.priorities or {}).items()
            ),
        )
    if isinstance(schema, ClosedLoopSchema):
        return ClosedLoopWorkload(
            users=schema.users,
            think_time_ps=schema.think_time_ps,
            input_lengths=_inside("input_tokens", lambda: _lengths(schema.input_tokens)),
            output_lengths=_inside("output_tokens", lambda: _lengths(schema.output_tokens)),
            seed=seed,
            request_count=schema.request_count,
        )
    return TraceWorkload(
        folder / schema.path,
        TraceOptions(
            rate_scale=schema.rate_scale,
            window_start_ps=schema.window_start_ps,
            window_end_ps=schema.window_end_ps,
            first_n=schema.first_n,
            sort_window_ps=schema.sort_window_ps,
            skip_bad_rows=schema.skip_bad_rows,
            spread_bunch_ps=schema.spread_bunch_ps,
            seed=seed,
            columns=tuple((schema.columns or {}).items()),
        ),
    )


def _inside(key: str, build: Callable[[], Built]) -> Built:
    """What `build` makes; its problems name their field below `key`, not a class."""
    try:
        return build()
    except InputError as error:
        raise InputError(
            replace(
                problem,
                place="",
                field=f"{key}.{problem.field}".strip(".").replace("[", ".").replace("]", ""),
            )
            for problem in error.problems
        ) from None


def _arrivals(schema: ArrivalsSchema) -> ArrivalProcess:
    if isinstance(schema, PoissonSchema):
        return Poisson(schema.rate_rps)
    if isinstance(schema, GammaSchema):
        return Gamma(schema.rate_rps, schema.coefficient_of_variation)
    if isinstance(schema, ConstantSchema):
        return Constant(schema.gap_ps)
    return PiecewiseConstant(
        tuple((piece.duration_ps / PS_PER_S, piece.rate_rps) for piece in schema.pieces)
    )


def _shared_prefix(schema: SharedPrefixSchema | None) -> SharedPrefix | None:
    if schema is None:
        return None
    return SharedPrefix(schema.tokens, schema.variants, schema.share, schema.block_tokens)


def _lengths(schema: LengthsSchema) -> LengthDistribution:
    if isinstance(schema, FixedSchema):
        return Fixed(schema.tokens)
    if isinstance(schema, EmpiricalSchema):
        return Empirical(tuple((pair[0], pair[1]) for pair in schema.quantiles))
    return Lognormal(
        mean_tokens=schema.mean_tokens,
        p50_tokens=schema.p50_tokens,
        minimum_tokens=schema.minimum_tokens,
        maximum_tokens=schema.maximum_tokens,
    )
