"""Parts of a summary that add up: waits, outcomes, objectives, books of replicas, transfers."""

from dataclasses import dataclass, field, replace

import pytest

from rack_sim.compiler.batches import BatchMachine, BatchTotals, IterationCount
from rack_sim.compiler.buckets import bucket_slots
from rack_sim.compiler.limits import Limits
from rack_sim.compiler.step import StepTiming
from rack_sim.engine.fleet import Disaggregation, FleetPlan
from rack_sim.engine.observer import Outcome, Sequence
from rack_sim.engine.policies import ContinuousBatchingPolicy, StaticSlotsPolicy
from rack_sim.engine.policies.replica import ReplicaBooks
from rack_sim.engine.serving import ReplayTotals
from rack_sim.engine.timeline import COLUMNS as TIMELINE_COLUMNS
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.cost import CostInputs
from rack_sim.metrics.log import Collector
from rack_sim.metrics.slo import LatencyObjective, Slo
from rack_sim.metrics.summary import RunFacts, summarise_run
from rack_sim.workload.request import Request

MS = 10**9
S = 10**12
LIMITS = Limits(1, 3 * MS, 0, system_rows_per_s=7000, compiled_rows_per_s=500)


@dataclass
class Run:
    """Requests by hand, and what else a summary is made of."""

    machine: StepTiming | BatchMachine
    slo: Slo = field(default_factory=Slo)
    end_ps: int = 10 * S
    warmup: float = 0.0
    request_count: int = 0
    collector: Collector = field(default_factory=Collector)
    books: tuple[ReplicaBooks, ...] = (ReplicaBooks(0),)
    batches: BatchTotals | None = None
    prefill_count: int = 0
    limits: Limits = LIMITS

    def add(self, arrival: int, *waits: int, outputs: int = 1, gap: int = MS, **more: int) -> None:
        """A request that waits for admission, for a row, in prefill and in its first pass."""
        admitted, started, prefilled, first = (
            arrival + sum(waits[: n + 1]) for n in range(len(waits))
        )
        finish = first + gap * (outputs - 1)
        self.collector.finished(
            Sequence(
                Request(self.request_count, arrival, 10, outputs),
                admitted_ps=admitted,
                prefill_start_ps=started,
                prefill_end_ps=prefilled,
                first_token_ps=first,
                finish_ps=finish,
                **more,
            )
        )
        if outputs > 1:
            self.collector.gaps(gap, 0, outputs - 1, 1)
        self.request_count += 1

    def lose(self, arrival: int, outcome: Outcome) -> None:
        """A request that is turned away or given up."""
        sequence = Sequence(Request(self.request_count, arrival, 99, 99), ended=True)
        self.collector.turned_away(sequence, outcome)
        self.request_count += 1

    def summary(self) -> dict[str, object]:
        """The row, with every column."""
        static = isinstance(self.machine, StepTiming)
        split = Disaggregation(self.prefill_count, {}) if self.prefill_count else None
        fleet = FleetPlan(
            bucket_slots(self.machine, ()) if static else self.machine.timing,
            StaticSlotsPolicy() if static else ContinuousBatchingPolicy(),
            replica_count=len(self.books),
            disaggregation=split,
        )
        row = summarise_run(
            RunFacts(
                head={"scenario": "s", "system": "h", "model": "m", "policy": "p"},
                tail={"scenario_hash": "x", "version": "0", "seed": 7},
                machine=self.machine,
                fleet=fleet,
                limits=self.limits,
                totals=ReplayTotals(
                    self.end_ps, self.request_count, 0, 0, self.books, self.batches
                ),
                collector=self.collector,
                slo=self.slo,
                cost=CostInputs(4.0, 1.5, 0.08, 1.3),
                bin_ps=S,
                warmup_share=self.warmup,
            )
        )
        assert list(row) == [column.name for column in SUMMARY]
        return row


def test_the_time_to_the_first_token_by_where_it_went(step: StepTiming) -> None:
    """Means over two requests, with the largest named."""
    run = Run(step)
    run.add(5, 1 * MS, 20 * MS, 3 * MS, 4 * MS)
    run.add(9, 3 * MS, 40 * MS, 7 * MS, 2 * MS)
    row = run.summary()
    parts = {"admission": 2.0, "row_wait": 30.0, "prefill": 5.0, "pass": 3.0}
    for name, mean in parts.items():
        assert row[f"ttft_{name}_ms_mean"] == mean
    assert row["ttft_bound_by"] == "row_wait"
    assert row["ttft_ms_mean"] == sum(parts.values())


def test_of_nothing_finished_no_part_is_told(step: StepTiming) -> None:
    run = Run(step)
    run.lose(0, Outcome.TIMED_OUT)
    row = run.summary()
    for name in ("admission", "row_wait", "prefill", "pass"):
        assert row[f"ttft_{name}_ms_mean"] is None
    assert row["ttft_bound_by"] is None


def test_the_time_of_a_token_by_where_it_went(step: StepTiming) -> None:
    """A gap a millisecond longer than a revolution: the rest is slack, the largest part."""
    run = Run(step)
    run.add(0, 0, 0, 0, 0, outputs=3, gap=step.revolution_ps + MS)
    row = run.summary()
    terms = step.terms.by_name()
    for name in ("fixed_latency", "compute", "weight_feed", "link_serialisation"):
        assert row[f"tpot_{name}_ms"] == pytest.approx(terms[name] / MS, abs=0.51e-6)
    slack_ps = step.revolution_ps - step.latency_ps + MS
    assert row["tpot_slack_ms"] == pytest.approx(slack_ps / MS, abs=0.51e-6)
    assert row["tpot_draft_ms"] == 0
    assert row["tpot_bound_by"] == "slack"
    assert row["bottleneck"] == step.bottleneck


def test_accepted_tokens_of_all_requests_share_their_turns(step: StepTiming) -> None:
    """Two of four gaps ended in a token that a draft had proposed: half a turn for each gap."""
    run = Run(step)
    for accepted in (2, 0):
        run.add(0, 0, 0, 0, 0, outputs=3, gap=MS, accepted_draft_tokens=accepted)
    terms = step.terms.by_name()
    assert run.summary()["tpot_weight_feed_ms"] == pytest.approx(
        terms["weight_feed"] / 2 / MS, abs=0.51e-6
    )


def test_outcomes_are_counted_apart(step: StepTiming) -> None:
    run = Run(step)
    run.add(0, 0, 0, 0, MS)
    for outcome, times in (
        (Outcome.REJECTED_CONTEXT, 1),
        (Outcome.REJECTED_KV, 2),
        (Outcome.REJECTED_QUEUE, 3),
        (Outcome.TIMED_OUT, 4),
    ):
        for _ in range(times):
            run.lose(0, outcome)
    run.request_count += 5  # never heard of again
    row = run.summary()
    names = ("finished", "rejected", "timed_out", "unserved")
    assert [row[f"{name}_count"] for name in names] == [1, 6, 4, 5]
    assert row["request_count"] == 16


TTFT = LatencyObjective("ttft", "p50", 20 * MS)


def test_what_is_asked_of_the_run_counts_requests_that_fit(step: StepTiming) -> None:
    """Two of three that fit meet the bound: two thirds of them, half of all four."""
    run = Run(step, Slo(ttft_ps=20 * MS, attainment=0.6))
    for wait in (10, 20, 30):
        run.add(0, 0, 0, 0, wait * MS)
    run.lose(0, Outcome.REJECTED_KV)
    row = run.summary()
    assert row["slo_attainment"] == 0.5
    assert row["fit_slo_attainment"] == 0.666666667
    assert row["slo_met"] == "yes"
    assert row["slo_asked"] == "60 % of the requests that fit with ttft <= 20 ms"
    run.slo = replace(run.slo, attainment=0.7)
    assert run.summary()["slo_met"] == "no"


@pytest.mark.parametrize(
    ("lost", "met"),
    [
        (None, "yes"),
        (Outcome.REJECTED_CONTEXT, "yes"),
        (Outcome.REJECTED_KV, "yes"),
        (Outcome.REJECTED_QUEUE, "no"),
        (Outcome.TIMED_OUT, "no"),
    ],
)
def test_statistics_are_met_only_where_all_that_fit_finished(
    step: StepTiming, lost: Outcome | None, met: str
) -> None:
    run = Run(step, Slo(asked=(TTFT,)))
    run.add(0, 0, 0, 0, 20 * MS)
    if lost:
        run.lose(0, lost)
    row = run.summary()
    assert (row["slo_met"], row["slo_asked"]) == (met, "ttft_p50 <= 20 ms")
    assert (row["slo_attainment"], row["fit_slo_attainment"]) == (None, None)
    assert row["request_goodput_rps"] is None


def test_a_share_may_be_met_where_some_that_fit_were_lost(step: StepTiming) -> None:
    run = Run(step, Slo(ttft_ps=20 * MS, attainment=0.5))
    run.add(0, 0, 0, 0, 20 * MS)
    run.lose(0, Outcome.TIMED_OUT)
    row = run.summary()
    assert (row["fit_slo_attainment"], row["slo_met"]) == (0.5, "yes")
    run.slo = replace(run.slo, asked=(TTFT,))
    both = run.summary()
    assert both["slo_met"] == "no", "the statistic tells of what finished only"
    assert both["slo_asked"].startswith("ttft_p50 <= 20 ms; 50 % of")


def test_one_missed_objective_is_enough(step: StepTiming) -> None:
    run = Run(step, Slo(asked=(TTFT, LatencyObjective("ttft", "p99", 20 * MS))))
    run.add(0, 0, 0, 0, 10 * MS)
    run.add(0, 0, 0, 0, 21 * MS)
    assert run.summary()["slo_met"] == "no"
    run.slo = Slo(asked=(TTFT,))
    assert run.summary()["slo_met"] == "yes"


def test_a_share_of_nothing_is_missed(step: StepTiming) -> None:
    run = Run(step, Slo(ttft_ps=20 * MS, attainment=0.5))
    run.add(0, 0, 0, 0, 21 * MS)
    row = run.summary()
    assert (row["fit_slo_attainment"], row["slo_met"]) == (0, "no")


def test_where_nothing_is_asked_or_nothing_finished(step: StepTiming) -> None:
    run = Run(step)
    run.add(0, 0, 0, 0, MS)
    row = run.summary()
    assert (row["slo_met"], row["slo_asked"]) == (None, None)
    nothing = Run(step, Slo(asked=(TTFT,)))
    nothing.lose(0, Outcome.REJECTED_KV)
    assert nothing.summary()["slo_met"] == "no"


def test_goodput_counts_what_ends_within_the_window(step: StepTiming) -> None:
    """The window is seconds 2 to 20. Its first picosecond counts, its last is one before 20 s."""
    run = Run(step, Slo(ttft_ps=S), end_ps=40 * S, warmup=0.1)
    for end_ps in (2 * S - 1, 2 * S, 20 * S - 1, 20 * S):
        run.add(end_ps - MS, 0, 0, 0, MS)
    run.add(10 * S, 0, 0, 0, 2 * S)  # inside, but missed
    run.add(20 * S, 0, 0, 0, MS)  # the last arrival
    row = run.summary()
    assert (row["window_kind"], row["window_start_s"], row["window_s"]) == ("steady", 2, 18)
    assert row["request_goodput_rps"] == pytest.approx(2 / 18, abs=0.51e-6)
    assert row["slo_attainment"] == pytest.approx(5 / 6, abs=0.51e-9)


def test_goodput_of_a_whole_run_counts_all_of_it(step: StepTiming) -> None:
    """Also what ends with the run."""
    run = Run(step, Slo(ttft_ps=S), end_ps=4 * S)
    run.add(4 * S - MS, 0, 0, 0, MS)
    row = run.summary()
    assert (row["window_kind"], row["window_start_s"], row["window_s"]) == ("whole_run", 0, 4)
    assert row["request_goodput_rps"] == 0.25


def test_bins_outside_the_window_count_for_the_run_only(step: StepTiming) -> None:
    """Twenty bins, each with twice the prompts of the one before; the window is bins 5 to 14."""
    run = Run(step, end_ps=20 * S, warmup=0.0)
    run.add(0, 0, 0, 0, MS)
    run.add(15 * S, 0, 0, 0, MS)
    run.warmup = 1 / 3
    bins = [
        dict.fromkeys(TIMELINE_COLUMNS, 0)
        | {"finished": 1, "prompt_tokens": 2**number, "output_tokens": 3**number}
        for number in range(20)
    ]
    run.collector.timeline(0, [tuple(row.values()) for row in bins])
    row = run.summary()
    assert (row["window_start_s"], row["window_s"]) == (5, 10)
    inputs, outputs = (sum(base**n for n in range(5, 15)) for base in (2, 3))
    assert row["request_throughput_rps"] == 1
    assert row["input_throughput_tok_s"] == inputs / 10
    assert row["output_throughput_tok_s"] == outputs / 10
    assert row["total_throughput_tok_s"] == (inputs + outputs) / 10
    assert row["output_tok_s_per_chip"] == outputs / 10 / 4
    assert row["run_input_throughput_tok_s"] == (2**20 - 1) / 20
    assert row["run_output_throughput_tok_s"] == (3**20 - 1) / 2 / 20
    assert row["total_throughput_to_compiled_ratio"] == pytest.approx(
        (inputs + outputs) / 10 / 500, abs=0.51e-9
    )
    assert (row["compiled_limit_tok_s"], row["physical_limit_tok_s"]) == (500, 7000)


def test_books_of_all_replicas_are_added(step: StepTiming) -> None:
    """Sums, and shares of sums; utilisation counts what lies before the end of the run."""
    books = [
        ReplicaBooks(
            number,
            preemptions=2 + number,
            recomputed_tokens=30 + number,
            cached_tokens=10 * number,
            prompt_tokens=30 - 20 * number,
            draft_tokens=20,
            accepted_draft_tokens=5 + number,
            busy_ps=(4 + 7 * number) * S,
            rows_ps=step.rows * (1 + number) * S,
        )
        for number in (0, 1)
    ]
    row = Run(step, books=tuple(books)).summary()
    assert (row["preemption_count"], row["recomputed_token_count"]) == (5, 61)
    assert row["cached_token_share"] == 0.2
    assert row["draft_acceptance"] == 11 / 40
    assert row["replica_utilisation"] == row["step_utilisation"] == (4 + 10) / 20
    assert row["slot_row_utilisation"] == (1 + 2) / 20
    assert row["iteration_count"] is None
    assert row["batch_sequences_mean"] is None
    assert row["transfer_ms_mean"] is None
    assert row["tok_latency_limit_ms"] == 3


def test_ratios_of_nothing_are_empty(step: StepTiming) -> None:
    row = Run(step, end_ps=0, limits=replace(LIMITS, token_limit_ps=0)).summary()
    for name in (
        "cached_token_share",
        "draft_acceptance",
        "slot_row_utilisation",
        "replica_utilisation",
        "kv_reserved_share_mean",
        "tpot_to_limit_ratio",
        "total_throughput_to_compiled_ratio",
    ):
        assert row[name] is None, name


def iterations(machine: BatchMachine) -> BatchTotals:
    """Three iterations of four rows in which two sequences decoded."""
    found = BatchTotals.nothing(len(machine.timer.roofs))
    found.by_rows[4] = found.by_sampled[2] = IterationCount(3, 6, 6)
    found.base_ps = 3 * machine.timer.base_ps(4, 2)
    found.base_token_ps = 2 * found.base_ps
    return found


def test_a_reactive_machine_has_iterations_and_no_slots(reactive: BatchMachine) -> None:
    run = Run(
        reactive,
        books=(ReplicaBooks(0, busy_ps=4 * S, rows_ps=9 * S),),
        batches=iterations(reactive),
        limits=replace(LIMITS, compiled_rows_per_s=None),
    )
    run.add(0, 0, 0, 0, MS, outputs=7, gap=6 * MS)
    row = run.summary()
    for name in (
        "slot_count",
        "slot_rows",
        "slot_row_utilisation",
        "step_utilisation",
        "compiled_limit_tok_s",
        "total_throughput_to_compiled_ratio",
    ):
        assert row[name] is None, name
    assert (row["iteration_count"], row["batch_sequences_mean"]) == (3, 2)
    assert row["replica_utilisation"] == 0.4
    assert row["sram_used_bytes_max"] == reactive.used_bytes_max
    assert row["physical_limit_tok_s"] == 7000
    assert row["tpot_ms_p50"] == 6
    assert row["tpot_to_limit_ratio"] == 2
    assert row["output_tok_s_per_user_p50"] == 166.666667
    # Six gaps, six times an iteration of two sequences: one each.
    base = reactive.timer.base_terms(4, 2).by_name()
    assert row["tpot_weight_feed_ms"] == pytest.approx(base["weight_feed"] / MS, abs=0.51e-6)
    assert (row["tpot_bound_by"], row["bottleneck"]) == ("slack", "iteration: slack")


def test_where_nothing_was_decoded_iterations_say_what_binds(reactive: BatchMachine) -> None:
    """The feed of weights takes most of the base; enough of another roof is more."""
    batches = iterations(reactive)
    run = Run(reactive, batches=batches)
    assert run.summary()["bottleneck"] == "iteration: weight_feed"
    place = [roof.name for roof in reactive.timer.roofs].index("compute")
    batches.attention_ps[place] = batches.base_ps
    row = run.summary()
    assert row["bottleneck"] == "iteration: compute"
    assert row["tpot_bound_by"] is None


def test_without_iterations_nothing_binds(reactive: BatchMachine) -> None:
    none = BatchTotals.nothing(len(reactive.timer.roofs))
    for batches in (None, none):
        row = Run(reactive, batches=batches).summary()
        assert row["bottleneck"] is None
    assert row["batch_sequences_mean"] is None


def test_transfers_are_those_of_requests_that_were_sent(reactive: BatchMachine) -> None:
    """Prefilled on replica 0 or 1, and sent; one that stayed has no transfer."""
    run = Run(reactive, prefill_count=1, batches=iterations(reactive))
    run.add(0, 0, 0, 0, MS, prefill_replica=0, transfer_ps=3 * MS)
    run.add(0, 0, 0, 0, MS, prefill_replica=1, transfer_ps=4 * MS)
    run.add(0, 0, 0, 0, MS, prefill_replica=-1, transfer_ps=0)
    run.lose(0, Outcome.TIMED_OUT)
    assert run.summary()["transfer_ms_mean"] == 3.5
    run.prefill_count = 0
    assert run.summary()["transfer_ms_mean"] is None


def test_transfers_of_nothing_are_empty(reactive: BatchMachine) -> None:
    run = Run(reactive, prefill_count=1, batches=iterations(reactive))
    run.lose(0, Outcome.TIMED_OUT)
    assert run.summary()["transfer_ms_mean"] is None


def test_a_median_gap_of_nothing_has_no_rate(step: StepTiming) -> None:
    run = Run(step)
    run.add(0, 0, 0, 0, MS, outputs=3, gap=0)
    assert run.summary()["output_tok_s_per_user_p50"] is None


@pytest.mark.parametrize(
    ("spent_ps", "shown"), [(501, 1e-6), (2499, 2e-6), (10**15 // 3, 333333.333333)]
)
def test_times_are_rounded_to_the_nearest_nanosecond(
    reactive: BatchMachine, spent_ps: int, shown: float
) -> None:
    """Of a mean no picosecond is lost on the way."""
    run = Run(reactive, prefill_count=1, batches=iterations(reactive))
    run.add(0, 0, 0, 0, spent_ps, prefill_replica=0, transfer_ps=spent_ps)
    row = run.summary()
    for name in ("ttft_ms_mean", "ttft_ms_p50", "ttft_pass_ms_mean", "transfer_ms_mean"):
        assert row[name] == shown, name


def test_columns_show_six_decimals_and_shares_and_seconds_nine(step: StepTiming) -> None:
    """Thirds of everything: one digit more or less would show."""
    third_s = S // 3
    books = (ReplicaBooks(0, busy_ps=2 * third_s // 3, draft_tokens=3, accepted_draft_tokens=2),)
    run = Run(step, end_ps=third_s, books=books, limits=replace(LIMITS, token_limit_ps=MS * 7 // 3))
    run.add(0, 0, 0, 0, MS, outputs=2, gap=MS // 3)
    run.collector.timeline(
        0, [tuple({**dict.fromkeys(TIMELINE_COLUMNS, 0), "finished": 1}.values())]
    )
    row = run.summary()
    assert row["simulated_s"] == 0.333333333
    assert row["draft_acceptance"] == 0.666666667
    assert row["replica_utilisation"] == 0.666666667
    assert row["tok_latency_limit_ms"] == 2.333333
    assert row["tpot_ms_mean"] == 0.333333
    assert row["tpot_to_limit_ratio"] == 0.142857
    run.end_ps = 3 * S
    assert run.summary()["request_throughput_rps"] == 0.333333
