"""Calibration: the fixed latency of a dependent operator, from one published decode speed.

With everything else of a chip given, the latency of one token is a straight line in the fixed
latency: L = L0 + n x fixed, with n dependent operators on the token's way. One measured speed
gives the constant without a search. The time between tokens R rounds L up to whole slots, so the
prediction comes out slower than the measurement by less than one interval.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.foundation.units import PS_PER_NS, PS_PER_S
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted fixed latency, a whole number of nanoseconds, and what it leads to."""

    fixed_latency_ps: int
    operator_count: int
    measured_tok_s: float
    predicted_tok_s: float

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted_tok_s / self.measured_tok_s - 1


def tokens_per_s(step: StepTiming) -> float:
    """Tokens per second of one decoding sequence."""
    return PS_PER_S / step.revolution_ps


def compiled(deployment: Deployment) -> StepTiming:
    """The step of a deployment. Raises InfeasibleError where it does not fit."""
    plan = partition(deployment)
    if isinstance(plan, Infeasible):
        raise InfeasibleError(plan)
    return compile_step(plan)


def with_fixed_latency(deployment: Deployment, fixed_latency_ps: int) -> Deployment:
    """The deployment on a chip with another fixed latency."""
    chip = replace(deployment.system.chip, operator_fixed_latency_ps=fixed_latency_ps)
    return replace(deployment, system=replace(deployment.system, chip=chip))


def fit_fixed_latency(deployment: Deployment, measured_tok_s: float) -> Calibration:
    """The fixed latency at which one token takes ``1 / measured_tok_s``.

    Raises InputError where the token would take longer without any fixed latency.
    """
    without = compiled(with_fixed_latency(deployment, 0))
    operator_count = sum(len(block.operators) for stage in without.stages for block in stage.blocks)
    target_ps = Fraction(PS_PER_S) / Fraction(str(measured_tok_s))
    fixed_ns = (target_ps - without.latency_ps) / operator_count / PS_PER_NS
    if fixed_ns < 0:
        raise InputError(
            f"{measured_tok_s} tokens/s cannot be fitted: without any fixed latency a token "
            f"already takes {without.latency_ps} ps"
        )
    fixed_ps = round(fixed_ns) * PS_PER_NS
    fitted = compiled(with_fixed_latency(deployment, fixed_ps))
    return Calibration(fixed_ps, operator_count, measured_tok_s, tokens_per_s(fitted))
