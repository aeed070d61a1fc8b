"""Continuous batching by hand: every time and count here was worked out on paper.

Most machines take 100 ps for an iteration, whatever is in it, so that times count iterations.
"""

from collections import Counter

import pytest
from replays import Iterations, Replayed, Roof, replayed

from rack_sim.compiler.batches import BatchTiming, DraftCost
from rack_sim.engine.fleet import FleetPlan
from rack_sim.engine.observer import Outcome
from rack_sim.engine.policies import ContinuousBatchingPolicy
from rack_sim.engine.policies.prefix_cache import PrefixCaching
from rack_sim.engine.policies.replica import Admission
from rack_sim.engine.speculation import Speculation
from rack_sim.workload.request import Request

PLAIN = Iterations(100)
# Of use where it matters what is in an iteration.
BY_ROWS = Iterations(100, row_ps=10, sampled_ps=1)


def serve(
    requests: list[Request],
    iterations: Iterations = PLAIN,
    *,
    block_tokens: int = 4,
    block_count: int = 100,
    budget: int = 1000,
    chunk: int | None = None,
    sequences: int = 8,
    watermark: float = 0.0,
    rates: tuple[float, ...] = (),
    draft_ps: int = 0,
    **admission: object,
) -> Replayed:
    timing = BatchTiming(
        iterations, block_tokens, block_count, 400, draft=DraftCost(None, draft_ps)
    )
    policy = ContinuousBatchingPolicy(budget, chunk, sequences, block_tokens, watermark)
    fleet = FleetPlan(
        timing,
        policy,
        admission=Admission(**admission),
        speculation=Speculation(rates) if rates else None,
    )
    found = replayed(fleet, requests)
    assert replayed(fleet, requests, every_step=True) == found
    return found


def test_a_chunk_fills_what_decoding_leaves_of_the_budget():
    """Budget 4. Iterations: 2 + 2 prompt rows; 1 token + 3 rows; 1 token + the last 2; 1 token."""
    found = serve([Request(0, 0, 2, 3), Request(1, 0, 7, 2)], BY_ROWS, budget=4)
    first, second = found.rows
    assert (first.first_token_ps, first.finish_ps) == (141, 141 + 141 + 132)
    assert (second.prefill_start_ps, second.first_token_ps, second.finish_ps) == (0, 414, 525)
    assert found.gaps == Counter({141: 1, 132: 1, 111: 1})
    batches = found.totals.batches
    by_rows = {
        rows: (count.iterations, count.sampled_rows) for rows, count in batches.by_rows.items()
    }
    assert by_rows == {1: (1, 1), 3: (1, 2), 4: (2, 2)}


def test_a_prompt_gets_no_more_than_its_chunk():
    """Seven tokens by threes: 3, 3, 1, of which only the last is sampled."""
    (row,) = serve([Request(0, 5, 7, 1)], BY_ROWS, chunk=3).rows
    assert row.finish_ps == 5 + 130 + 130 + 111


def test_chunks_of_two_prompts_share_an_iteration():
    """Chunks of 3 in a budget of 5: 3 + 2, then 1 + 3, then the last of the second."""
    rows = serve([Request(0, 0, 4, 1), Request(1, 0, 6, 1)], BY_ROWS, budget=5, chunk=3).rows
    assert [row.finish_ps for row in rows] == [150 + 141, 150 + 141 + 111]


@pytest.mark.parametrize(("arrival_ps", "admitted_ps"), [(400, 444), (444, 444), (445, 555)])
def test_who_arrives_during_an_iteration_waits_for_its_end(arrival_ps, admitted_ps):
    """Iterations of 111 ps; one who arrives as an iteration ends is in the next."""
    rows = serve([Request(0, 0, 1, 10), Request(1, arrival_ps, 1, 1)], BY_ROWS).rows
    assert rows[1].admitted_ps == admitted_ps
    assert rows[1].finish_ps == admitted_ps + 122
    assert rows[0].finish_ps == 1110 + 11  # one iteration has a row and a sampled row more


def test_no_more_sequences_than_allowed():
    """Two at a time: the third starts when the first has ended."""
    rows = serve([Request(n, 0, 3, 2 + n) for n in range(3)], sequences=2).rows
    assert [row.admitted_ps for row in rows] == [0, 0, 200]


def test_without_blocks_the_youngest_starts_again():
    """Five blocks of two. Both get two blocks, the first a third; then request 1 wants a fifth.

    It has said two tokens by then, at 100 and 200. It waits for the room of 3 + 2 tokens until
    request 0 has ended at 400, and prefills them in one iteration that ends with its third token.
    """
    found = serve([Request(0, 0, 4, 4), Request(1, 0, 3, 4)], block_tokens=2, block_count=5)
    first, second = found.rows
    assert (first.finish_ps, first.preemptions) == (400, 0)
    assert (second.first_token_ps, second.finish_ps, second.preemptions) == (100, 600, 1)
    assert (second.admitted_ps, second.prefill_start_ps) == (0, 0)
    assert found.gaps == Counter({100: 3 + 2, 300: 1})
    assert found.sums["prompt_tokens"] == 4 + 3
    assert found.sums["recomputed_tokens"] == 3 + 2
    assert found.sums["output_tokens"] == 8
    assert found.sums["waiting_ps"] == 400 - 200
    assert found.sums["running_ps"] == 400 + 200 + 200
    (books,) = found.totals.replicas
    assert (books.preemptions, books.kv_tokens_max, books.busy_ps) == (1, 9, 600)


def test_what_a_preempted_prompt_finds_of_itself_counts_once():
    """The same, and the first two tokens are alike and kept in the prefix cache from 100 on.

    Both prompts were prefilled by then, so request 1 saves two of the five rows that it repeats,
    and none of its prompt was found instead of being prefilled.
    """
    requests = [Request(0, 0, 4, 4, (1, 2)), Request(1, 0, 3, 4, (1, 3))]
    caching = PrefixCaching(2, 10)
    found = serve(requests, block_tokens=2, block_count=5, prefix_caching=caching)
    assert found.column("preemptions") == [0, 1]
    assert found.sums["prompt_tokens"] == 4 + 3
    assert found.sums["recomputed_tokens"] == 5 - 2
    assert found.sums["cached_tokens"] == 0
    assert found.column("hit_tokens") == [0, 0]


def test_a_prompt_thrown_out_half_way_is_prefilled_for_the_first_time_in_part():
    """Five blocks of two, three rows an iteration. Request 0 prefills 2 tokens, request 1 one of 7.

    At 100 request 0 wants a second block, which only request 1 can give. That starts again when
    request 0 has ended at 800: of its first three rows one is prefilled again.
    """
    requests = [Request(0, 0, 2, 8), Request(1, 0, 7, 2)]
    found = serve(requests, block_tokens=2, block_count=5, budget=3)
    assert found.column("preemptions") == [0, 1]
    assert found.column("first_token_ps") == [100, 1100]
    assert found.sums["prompt_tokens"] == 2 + 7
    assert found.sums["recomputed_tokens"] == 1


def test_nobody_is_let_in_while_somebody_is_thrown_out():
    """As before, and a small request of a high priority comes before the fifth block is wanted.

    It would fit into what request 1 leaves at 200, and is let in an iteration later.
    """
    requests = [Request(0, 0, 4, 4), Request(1, 0, 3, 4), Request(2, 150, 1, 1, priority=5)]
    found = serve(requests, block_tokens=2, block_count=5, order="priority")
    assert found.column("preemptions") == [0, 1, 0]
    assert found.rows[2].admitted_ps == 300
    assert found.column("finish_ps") == [400, 600, 400]


def test_what_decoding_wants_next_is_not_given_to_who_waits():
    """Three blocks of two: request 0 has one and wants the next at 100, so two are not free."""
    found = serve([Request(0, 0, 2, 4), Request(1, 50, 3, 1)], block_tokens=2, block_count=3)
    assert found.column("preemptions") == [0, 0]
    assert found.column("admitted_ps") == [0, 400]


@pytest.mark.parametrize(("share", "admitted_ps"), [(0.3, 300), (0.2, 0)])
def test_the_watermark_stays_free_beside_what_runs(share, admitted_ps):
    """Ten blocks, two prompts of four: 4 are left of 6 with two spare, 3 with three spare."""
    requests = [Request(0, 0, 7, 3), Request(1, 0, 7, 1)]
    rows = serve(requests, block_tokens=2, block_count=10, watermark=share).rows
    assert [row.admitted_ps for row in rows] == [0, admitted_ps]


def test_the_watermark_is_not_kept_from_who_is_alone():
    """A request that takes all blocks is let in on an empty machine, whatever the watermark."""
    (row,) = serve([Request(0, 0, 20, 1)], block_tokens=2, block_count=10, watermark=0.9).rows
    assert row.finish_ps == 100


@pytest.mark.parametrize(("order", "admitted_ps"), [("fcfs", 200), ("priority", 100)])
def test_the_head_of_the_queue_blocks_who_would_fit(order, admitted_ps):
    """Six blocks, four taken until 200: request 1 wants three; request 2 one, and a priority."""
    requests = [Request(0, 0, 15, 2), Request(1, 50, 12, 1), Request(2, 50, 4, 1, priority=1)]
    rows = serve(requests, block_count=6, order=order).rows
    assert rows[0].finish_ps == rows[1].admitted_ps == 200
    assert rows[2].admitted_ps == admitted_ps


def test_the_higher_priority_is_let_in_first():
    """One at a time: 5, 5, 0, equals as they came; the one that runs is not interrupted."""
    priorities = [0, 0, 5, 5]
    requests = [Request(n, n, 1, 1, priority=p) for n, p in enumerate(priorities)]
    rows = serve(requests, sequences=1, order="priority").rows
    assert [row.admitted_ps for row in rows] == [0, 300, 100, 200]


def test_what_is_in_the_prefix_cache_is_not_prefilled():
    """A store of two blocks of four. Times are 100 ps and 10 a row that is left.

    Request 0 fills it with its first two blocks; 1 finds both; 2 brings another block, and the
    second of the prompt goes, since its first counts as used later; 3 finds the first alone.
    """
    prompt, far = (1, 2, 3), 10_000
    requests = [
        Request(0, 0, 10, 1, prompt),
        Request(1, far, 10, 1, prompt),
        Request(2, 2 * far, 4, 1, (9,)),
        Request(3, 3 * far, 10, 1, prompt),
    ]
    iterations = Iterations(100, row_ps=10)
    found = serve(requests, iterations, prefix_caching=PrefixCaching(4, 2))
    assert found.column("hit_tokens") == [0, 8, 0, 4]
    took = [row.finish_ps - row.arrival_ps for row in found.rows]
    assert took == [200, 120, 140, 160]
    assert found.sums["cached_tokens"] == 12
    assert found.sums["prompt_tokens"] == 10 + 2 + 4 + 6


def test_the_last_token_of_a_prompt_is_always_prefilled():
    """Eight tokens that are all there: seven are hits."""
    requests = [Request(n, 10_000 * n, 8, 1, (1, 2)) for n in range(2)]
    found = serve(requests, Iterations(100, 10), prefix_caching=PrefixCaching(4, 2))
    assert found.rows[1].hit_tokens == 7
    assert found.rows[1].finish_ps == 10_000 + 110


def test_a_draft_that_is_always_right():
    """Two proposals, both kept: seven tokens after the first take steps of 3, 3 and 1.

    A step has three rows, all sampled, and the draft: 100 + 30 + 3 + 5 ps.
    """
    found = serve([Request(0, 0, 1, 8)], BY_ROWS, rates=(1.0, 1.0), draft_ps=5)
    assert found.rows[0].finish_ps == 111 + 3 * 138
    assert found.gaps == Counter({138: 3, 0: 4})
    assert found.rows[0].accepted_draft_tokens == 2 + 2 + 0
    (books,) = found.totals.replicas
    assert (books.draft_tokens, books.accepted_draft_tokens) == (6, 4)
    assert found.totals.batches.draft_ps == 15


def test_a_draft_that_is_always_wrong():
    """One proposal, never kept: seven steps of two rows."""
    found = serve([Request(0, 0, 1, 8)], BY_ROWS, rates=(0.0,), draft_ps=5)
    assert found.rows[0].finish_ps == 111 + 7 * 127
    assert found.gaps == Counter({127: 7})
    assert found.totals.replicas[0].draft_tokens == 7
    assert found.rows[0].accepted_draft_tokens == 0


def test_a_roof_takes_over_in_the_middle_of_a_run():
    """Token i reads 20 + i cached tokens at 30 ps each; below 1000 ps the row's 1000 count.

    So it is the row's roof up to token 13 and the cache's from token 14 on.
    """
    roofs = (Roof("row", per_row_ps=1000), Roof("cache", per_token_ps=30))
    found = serve([Request(0, 0, 20, 40)], Iterations(10, roofs=roofs))
    gaps = [10 + max(1000, 30 * (20 + i)) for i in range(1, 40)]
    assert gaps[12:14] == [1010, 1030]
    assert found.rows[0].first_token_ps == 10 + 20 * 1000
    assert found.rows[0].finish_ps == 10 + 20 * 1000 + sum(gaps)
    assert found.gaps == Counter(gaps)
    by_cache = sum(30 * (20 + i) for i in range(14, 40))
    assert found.totals.batches.attention_ps == [20_000 + 13 * 1000, by_cache]
    assert found.totals.batches.attention_token_ps == [13 * 1000, by_cache]


def test_pairs_are_those_of_a_causal_mask():
    """A prompt of 5 by twos: rows see 1 + 2, 3 + 4 and 5 tokens; then a token sees 6."""
    found = serve(
        [Request(0, 0, 5, 2)], Iterations(1, roofs=(Roof("pairs", per_pair_ps=100),)), chunk=2
    )
    assert found.rows[0].first_token_ps == 301 + 701 + 501
    assert found.rows[0].finish_ps == 301 + 701 + 501 + 601


def test_what_can_never_be_served_is_refused_when_it_arrives():
    """401 tokens are too long for a context of 400; the last token needs no cache."""
    requests = [Request(0, 0, 400, 1), Request(1, 0, 8, 2), Request(2, 0, 8, 1)]
    rows = serve(requests, block_count=2).rows
    assert [row.outcome for row in rows] == [
        Outcome.REJECTED_CONTEXT,
        Outcome.REJECTED_KV,
        Outcome.FINISHED,
    ]


def test_a_full_queue_refuses_the_next():
    """One runs, one may wait: request 2 is refused; request 3 comes when 1 runs, and waits."""
    requests = [Request(n, at, 1, 1) for n, at in enumerate((0, 10, 20, 150))]
    found = serve(requests, sequences=1, queue_limit=1)
    assert found.column("outcome") == [Outcome.FINISHED] * 2 + [
        Outcome.REJECTED_QUEUE,
        Outcome.FINISHED,
    ]
    assert found.column("admitted_ps") == [0, 100, -1, 200]
    assert found.totals.replicas[0].waiting_max == 1


def test_who_waits_too_long_goes_and_who_ends_in_time_stays():
    """The last token at the very instant of the timeout counts; who waits goes without service."""
    found = serve([Request(0, 0, 1, 10), Request(1, 0, 1, 1)], sequences=1, timeout_ps=1000)
    assert found.column("outcome") == [Outcome.FINISHED, Outcome.TIMED_OUT]
    assert (found.rows[0].finish_ps, found.rows[1].admitted_ps) == (1000, -1)
    assert (found.sums["waiting_ps"], found.sums["running_ps"]) == (1000, 1000)
    assert found.sums["output_tokens"] == 10


@pytest.mark.parametrize(
    ("inputs", "outputs", "prompt_tokens", "output_tokens"),
    [(100, 1, 50, 0), (1, 100, 1, 5)],
    ids=["prefilling", "decoding"],
)
def test_who_gives_up_while_it_runs_leaves_when_the_iteration_ends(
    inputs, outputs, prompt_tokens, output_tokens
):
    """Ten prompt rows an iteration; given up at 450, gone at 500, and the next is let in then."""
    requests = [Request(0, 0, inputs, outputs), Request(1, 400, 2, 1)]
    found = serve(requests, budget=10, sequences=1, block_count=25, timeout_ps=450)
    assert found.column("outcome") == [Outcome.TIMED_OUT, Outcome.FINISHED]
    assert (found.rows[1].admitted_ps, found.rows[1].finish_ps) == (500, 600)
    assert (found.sums["waiting_ps"], found.sums["running_ps"]) == (100, 500 + 100)
    assert found.sums["prompt_tokens"] == prompt_tokens + 2
    assert found.sums["output_tokens"] == output_tokens + 1
    assert found.sequences[0].emitted == output_tokens
