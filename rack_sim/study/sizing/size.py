"""Size: searches for the smallest, the cheapest and the most frugal system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rack_sim.foundation.errors import InputError, Problem, Problems
from rack_sim.foundation.units import PS_PER_S
from rack_sim.foundation.work_estimate import Note, no_note, tell
from rack_sim.metrics.sizing_columns import GOALS
from rack_sim.metrics.slo import AttainmentObjective, Objective, parse_slo, slo_settings
from rack_sim.pipeline import expected_work
from rack_sim.scenario import Scenario
from rack_sim.study.sizing.candidate import Candidate
from rack_sim.study.sizing.outcome import Sizing, SizingAnswer
from rack_sim.study.sizing.search import LIFETIMES, OnReplay, SizingQuestion, SizingSearch
from rack_sim.study.sizing.space import sizing_space
from rack_sim.study.sizing.traffic import lengthened, offered, rate_of, with_requests
from rack_sim.study.sizing.unreachable import unreachable

ATTAINMENT_ASKED = 0.99
# assumed: a replay of more takes minutes; who wants that may ask for so many requests
REQUESTS_MOST = 200_000
# Arrivals are drawn, and a longer run has longer requests among its last percent.
_SPARE = 1.25

# assumed: replays of a search, as the shipped scenarios need them, for a guess.
_REPLAYS = 20


@dataclass(frozen=True)
class SizingRequest:
    """What is asked of a sizing, as a user says it.

    `slo` is ``ttft_p99=0.5s,tpot_p99=10ms`` or such a mapping; without it what the scenario's `slo`
    asks for, or a share (`attainment`, 0.99 if not said) of the requests must meet its bounds.
    `rate_rps` is the rate of requests, without it the workload's own. `tensor_parallel`, `stages`
    and `replicas_max` bound the space that is searched. Synthetic traffic that is over too soon to
    tell goes on for longer, unless `request_count` says how many requests there are.
    """

    slo: str | Mapping[str, str] | None = None
    rate_rps: float | None = None
    attainment: float | None = None
    tensor_parallel: Sequence[int] | None = None
    stages: Sequence[int] | None = None
    replicas_max: int | None = None
    request_count: int | None = None


def size(
    scenario: Scenario,
    request: SizingRequest,
    *,
    on_progress: OnReplay = lambda _text, _count: None,
    on_note: Note = no_note,
) -> Sizing:
    """The systems that meet objectives: that of the fewest chips, the cheapest, the least power.

    The partition and the replicas that the scenario itself asks for do not count. `on_progress` is
    told what is done and how many replays there were, `on_note` of what takes long before it
    begins.

    Raises InputError with every problem found, or where there are too few requests to tell,
    InfeasibleError where the model does not fit or nothing meets the objectives; its reason is an
    `Infeasible` or an `Unreachable`.
    """
    question, settings = _question(scenario, request)
    tell(expected_work(question.scenario).times(_REPLAYS, "replays or so"), on_note)
    found = _searched(question, on_progress, may_lengthen=request.request_count is None)
    search, question = found.search, found.search.question
    if not search.best:
        raise _too_short(question, search.short) if search.short else unreachable(search)
    candidates = tuple(search.candidates)
    answers = {
        goal: SizingAnswer(
            goal, best, _next_smaller(candidates, best), _one_replica_fewer(candidates, best)
        )
        for goal, best in ((goal, search.best[goal]) for goal in GOALS)
    }
    settings += (*found.settings, *slo_settings(question.objectives))
    return Sizing(
        question, scenario, settings, candidates, answers, found.replay_count, search.short
    )


def _question(scenario: Scenario, request: SizingRequest) -> tuple[SizingQuestion, tuple[str, ...]]:
    """The question, and the settings that make `rack-sim run` replay its traffic."""
    problems = Problems()
    with problems.gathered():
        objectives = _objectives(scenario, request)
    with problems.gathered():
        rate_rps = rate_of(scenario, request.rate_rps)
    with problems.gathered():
        _refuse_pools(scenario)
    with problems.gathered():
        bounds = request.tensor_parallel, request.stages, request.replicas_max
        space = sizing_space(scenario, *bounds)
    problems.refuse()
    at_rate, settings = offered(scenario, request.rate_rps)
    if request.request_count is not None:
        at_rate, count = with_requests(at_rate, request.request_count)
        settings += count
    return SizingQuestion(at_rate, rate_rps, objectives, space), settings


class _Searched(NamedTuple):
    """The last search, the settings of traffic that was made longer, and replays of all."""

    search: SizingSearch
    settings: tuple[str, ...]
    replay_count: int


def _searched(question: SizingQuestion, on_progress: OnReplay, *, may_lengthen: bool) -> _Searched:
    """Searches, with longer traffic for as long as that is over too soon to tell."""
    settings: tuple[str, ...] = ()
    replay_count, spare = 0, 1.0
    while True:
        search = SizingSearch(question, on_progress, stop_when_short=may_lengthen)
        search.run()
        replay_count += search.replay_count
        if search.short is None or not may_lengthen:
            return _Searched(search, settings, replay_count)
        # More each time: bursts of arrivals may be over sooner than their rate says.
        spare *= _SPARE
        seconds = LIFETIMES * search.short.lifetime_s * spare
        longer = lengthened(question.scenario, seconds, question.rate_rps)
        may_lengthen = longer is not None and seconds * question.rate_rps <= REQUESTS_MOST
        if longer is not None and may_lengthen:
            scenario, settings = longer
            question = replace(question, scenario=scenario)


def _objectives(scenario: Scenario, request: SizingRequest) -> tuple[Objective, ...]:
    slo, attainment = request.slo, request.attainment
    problems = Problems()
    if attainment is not None and not 0 < attainment <= 1:
        problems.append(
            Problem(f"{attainment:g} is no share", "--attainment", suggestion="0.99, say")
        )
    if slo is not None:
        if attainment is not None:
            text = "is a share of the scenario's own slo, and has no meaning beside --slo"
            problems.append(Problem(text, "--attainment"))
        with problems.gathered():
            found = parse_slo(slo)
        problems.refuse()
        return found
    if scenario.slo.asked and attainment is None:
        return scenario.slo.asked
    if not scenario.slo.bounds_ps:
        problems.append(
            Problem(
                "the scenario has no slo", "--slo", suggestion="--slo ttft_p99=0.5s,tpot_p99=10ms"
            )
        )
    problems.refuse()
    share = attainment or scenario.slo.attainment or ATTAINMENT_ASKED
    return (AttainmentObjective(scenario.slo, share),)


def _too_short(question: SizingQuestion, short: Candidate) -> InputError:
    """Every objective is met, and the backlog still grew when the last request came."""
    arrivals = question.traffic.arrival_ps
    span_s = int(arrivals[-1] - arrivals[0]) / PS_PER_S
    needed = int(LIFETIMES * short.lifetime_s * question.rate_rps) + 1
    return InputError(
        Problem(
            f"{question.traffic.request_count:,} requests arrive within {span_s:.3g} s, less than "
            f"{LIFETIMES} times the {short.lifetime_s:.3g} s that 99 % of them take (on "
            f"{short.name}): too short a time to tell whether anything keeps up",
            question.scenario.name,
            field="workload",
            suggestion=f"at least {needed:,} requests at this rate (--requests, or a longer trace)",
        )
    )


def _refuse_pools(scenario: Scenario) -> None:
    if scenario.serving.pools is not None:
        raise InputError(
            Problem(
                "prefill apart from decode has two numbers of replicas, and one is looked for",
                scenario.name,
                field="serving.disaggregation",
                suggestion="size without it, then compare with `rack-sim compare`",
            )
        )


def _next_smaller(candidates: Sequence[Candidate], found: Candidate) -> Candidate | None:
    """Of those with fewer chips to buy that do not meet the objectives, the nearest.

    Of several the one that was replayed, since what it measured says more than a bound.
    """
    chips = found.footprint.bought_chip_count
    smaller = [
        other
        for other in candidates
        if other.verdict != "meets" and other.footprint.bought_chip_count < chips
    ]

    def nearness(other: Candidate) -> tuple[object, ...]:
        where = other.footprint
        return (where.bought_chip_count, bool(other.measured), where.chip_count, other.name)

    return max(smaller, key=nearness, default=None)


def _one_replica_fewer(candidates: Sequence[Candidate], found: Candidate) -> Candidate | None:
    for other in candidates:
        if other.shape == found.shape and other.replica_count == found.replica_count - 1:
            return other
    return None
