"""Calibration: the fixed latency of a dependent operator, from one published decode speed.

With everything else of a chip given, the latency of one token is piecewise a straight line in the
fixed latency, its slope the number of operators on the critical path (what the path is changes
where an overlap begins or ends to hide something). From a first guess Newton's step finds the
constant for one measured speed, a second one proves it. The time between tokens R rounds L up to
whole slots, so the prediction comes out slower than the measurement by less than one interval.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

from rack_sim.compiler.step import StepTiming, compile_step
from rack_sim.foundation.errors import InfeasibleError, InputError
from rack_sim.foundation.units import PS_PER_NS, PS_PER_S, format_time
from rack_sim.partition.infeasible import Infeasible
from rack_sim.partition.partitioner import Deployment, partition

_FIRST_GUESS_PS = 2_000_000
_STEPS_MAX = 20


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
    target_ps = Fraction(PS_PER_S) / Fraction(str(measured_tok_s))
    fixed_ps = Fraction(_FIRST_GUESS_PS)
    for _ in range(_STEPS_MAX):
        step = compiled(with_fixed_latency(deployment, int(fixed_ps)))
        operator_count = step.terms.fixed_latency_ps // int(fixed_ps)
        change_ps = (target_ps - step.latency_ps) / operator_count
        fixed_ps += change_ps
        if fixed_ps < PS_PER_NS:
            raise InputError(
                f"{measured_tok_s} tokens/s cannot be fitted: with a fixed latency of "
                f"{format_time(int(fixed_ps - change_ps))} a token takes "
                f"{format_time(step.latency_ps)}, and with none at all still too long"
            )
        if abs(change_ps) < 1:
            break
    else:
        raise InputError(f"no fixed latency found for {measured_tok_s} tokens/s")
    whole_ps = round(fixed_ps / PS_PER_NS) * PS_PER_NS
    fitted = compiled(with_fixed_latency(deployment, whole_ps))
    return Calibration(whole_ps, operator_count, measured_tok_s, tokens_per_s(fitted))
