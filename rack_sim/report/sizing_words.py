"""Sizing words: what reports say of an answer, of a candidate, of an objective."""

from collections.abc import Iterator, Sequence
from math import floor

from rack_sim.metrics.words import GOALS, METRICS
from rack_sim.report.numbers import (
    NONE,
    cell,
    counted,
    milliseconds,
    number_of,
    number_text,
    share,
    usd,
    watts,
)
from rack_sim.report.sizing_tables import Asked, SizingRow, SizingTables, Winner, name_of

GOAL_WORDS = {goal: words.name for goal, words in GOALS.items()}
# reason of candidates.csv -> what it says of many candidates at once
REASONS = {
    "saturation": "it does not keep up: the backlog grows as long as requests arrive",
    "too_short": "the backlog grew, and too few requests tell for how long",
    "turned_away": "requests that fit were turned away",
    "capacity": "it has fewer rows than are offered",
    "rows_in_time": "it has too few rows for the first tokens in time",
    "does_not_fit": "its cache has no room for one sequence",
    "better_known": "it would not be better than what was found, for any goal",
}
_SPACE = "\N{NO-BREAK SPACE}"


def goals_words(goals: Sequence[str]) -> str:
    """``fewest chips, cheapest and least power``."""
    words = [GOAL_WORDS.get(goal, goal) for goal in goals]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def objective_name(asked: Asked) -> str:
    """``TTFT p99``, or what a share of the requests must meet."""
    if asked.is_share:
        return "requests within the SLO"
    metric, _, statistic = asked.name.rpartition("_")
    return f"{METRICS[metric].short if metric in METRICS else metric} {statistic}"


def objective_words(asked: Asked) -> str:
    """``TTFT p99 at most 500 ms``."""
    if asked.is_share:
        return f"{bound_words(asked)} of the requests that fit within the scenario's SLO"
    return f"{objective_name(asked)} {bound_words(asked)}"


def bound_words(asked: Asked) -> str:
    """``at most 500 ms``."""
    side = "at least" if asked.is_share else "at most"
    return f"{side} {value_words(asked, asked.bound)}"


def value_words(asked: Asked, value: object) -> str:
    """A value of the objective with its unit.

    A share is rounded down: what falls short of 99 % never reads as 99 %.
    """
    number = number_of(value)
    if number is None:
        return NONE
    if asked.is_share:
        return f"{floor(round(number * 100_000, 6)) / 1000:g}{_SPACE}%"
    return milliseconds(number)


def margin_words(asked: Asked, row: SizingRow) -> str:
    """``141.3 ms, 28.3 % of it``; of a share, in points."""
    margin = number_of(row[f"{asked.column}_margin"])
    if margin is None:
        return NONE
    if asked.is_share:
        return f"{number_text(100 * margin)}{_SPACE}points"
    part = share(row[f"{asked.column}_margin_share"])
    return f"{milliseconds(margin)}, {part} of it"


def candidate_words(row: SizingRow) -> str:
    """A system in words: ``4 replicas of 54 stages x 8 chips``."""
    return (
        f"{counted(row['replica_count'], 'replica')} of {counted(row['stage_count'], 'stage')} × "
        f"{counted(row['tensor_parallel'], 'chip')}"
    )


def answer_words(sizing: SizingTables, winner: Winner) -> str:
    """The system that answers, in a sentence; its chips and dollars stand beside it."""
    row = winner.row
    objectives = "the objective" if len(sizing.objectives) == 1 else "every objective"
    return (
        f"{candidate_words(row)} serve{'s' if row['replica_count'] == 1 else ''} "
        f"{cell(sizing.rate_rps)} requests/s within {objectives}."
    )


def cost_words(row: SizingRow) -> str:
    """Dollars and watts of an answer in a sentence."""
    return (
        f"{usd(row['capital_usd'])} of capital, {usd(row['usd_per_year'])} a year with "
        f"electricity, and {watts(row['mean_watts'])} on average."
    )


def binds_words(sizing: SizingTables, winner: Winner) -> str:
    """What is tight: the objective, and what the time goes into."""
    row = winner.row
    name = row["tightest_objective"]
    asked = next((o for o in sizing.objectives if o.name == name), None)
    said = []
    if asked is not None:
        used = share(min(1.0, number_of(row["tightest_load_share"]) or 0.0))
        what = "misses that are allowed" if asked.is_share else "bound"
        only = "the only objective" if len(sizing.objectives) == 1 else "the tightest objective"
        are = "are" if asked.is_share else "is"
        said.append(f"{objective_name(asked)} {are} {only}: {used} of the {what} {are} used")
    for column, metric in (("ttft_bound_by", "TTFT"), ("tpot_bound_by", "TPOT")):
        if row[column]:
            said.append(f"{metric} is bound by {plain(row[column])}")
    if row["bottleneck"]:
        said.append(f"the bottleneck is {plain(row['bottleneck'])}")
    words = "; ".join(said)
    return f"{words[:1].upper()}{words[1:]}."


def failure_words(sizing: SizingTables, winner: Winner, prefix: str) -> str:
    """What `one_less` or `next_smaller` fails on; empty where there is none."""
    row = winner.row
    name, reason = row[prefix], row[f"{prefix}_fails_on"]
    if not name:
        return ""
    other = sizing.candidate(name)
    asked = next((o for o in sizing.objectives if o.name == reason), None)
    if asked is None:
        return f"{name}: {REASONS.get(str(reason), plain(reason))}"
    # Of what was not replayed, a bound is known.
    bound = other is not None and other["verdict"] == "pruned"
    least = ("at most " if asked.is_share else "at least ") if bound else ""
    value = value_words(asked, row[f"{prefix}_value"])
    return f"{name} has {objective_name(asked)} {least}{value}, {bound_words(asked)} is asked"


def failures(sizing: SizingTables, winner: Winner) -> Iterator[tuple[str, str]]:
    """What is next to an answer and fails: what it is called, and why it is no answer."""
    less, smaller = (failure_words(sizing, winner, p) for p in ("one_less", "next_smaller"))
    if not smaller and "fewest_chips" in winner.goals:
        yield "Smaller", "nothing in the space has fewer chips to buy"
    if less and less == smaller:
        yield "One replica fewer, which is the next smaller system", less
        return
    if less:
        yield "One replica fewer", less
    if smaller:
        yield "The next smaller system that fails", smaller


def verdict_words(sizing: SizingTables, row: SizingRow) -> tuple[str, str]:
    """The verdict on a candidate, and why."""
    reason = str(row["reason"] or "")
    asked = next((o for o in sizing.objectives if o.name == reason), None)
    if row["verdict"] == "meets":
        best = str(row["best_for"] or "").split()
        return "meets", f"answer: {goals_words(best)}" if best else ""
    why = objective_name(asked) if asked else REASONS.get(reason, plain(reason))
    if asked and row["verdict"] == "pruned":
        why += f", {row['detail']}"
    return ("fails" if row["verdict"] == "fails" else "ruled out"), why


def name_words(row: SizingRow) -> str:
    """A candidate's name; that of a row that stands for more replicas, too, says so."""
    return f"{name_of(row)} or more" if row["and_more"] else name_of(row)


def plain(value: object) -> str:
    """A word of a table without its underscores."""
    return str(value).replace("_", " ")


def commands(winner: Winner) -> str:
    """The command that replays an answer, in the directory of the sizing."""
    import shlex

    words = [word for text in winner.entry["run_settings"] for word in ("--set", text)]
    return shlex.join(["rack-sim", "run", "resolved.yaml", *words])


def shown_candidates(sizing: SizingTables) -> list[SizingRow]:
    """The answers, what is next to them, and of each degree the smallest that meets."""
    found: dict[str, SizingRow] = {}
    for winner in sizing.winners:
        for name in (name_of(winner.row), winner.row["one_less"], winner.row["next_smaller"]):
            row = sizing.candidate(name)
            if row is not None:
                found[name] = row
    for degree in sorted({row["tensor_parallel"] for row in sizing.candidates}):
        rows = [
            row
            for row in sizing.candidates
            if row["tensor_parallel"] == degree and row["reason"] != "does_not_fit"
        ]
        met = [row for row in rows if row["verdict"] == "meets"]
        # Where none meets: how far it was looked at, and why no further.
        best = min(met, key=_size) if met else max(rows, key=_size, default=None)
        if best is not None:
            found[name_of(best)] = best
    return sorted(found.values(), key=_size)


def _size(row: SizingRow) -> tuple[float, ...]:
    return tuple(
        float(row[key])
        for key in (
            "bought_chip_count",
            "chip_count",
            "usd_per_year",
            "tensor_parallel",
            "stage_count",
            "replica_count",
        )
    )
