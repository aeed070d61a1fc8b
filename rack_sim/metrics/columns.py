"""Columns: every column of every file, with its unit and definition. Code and docs read this."""

from collections.abc import Iterator

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.metrics.column import Column, count, number, taken, words
from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.grid_columns import COMPILED
from rack_sim.metrics.latency import LATENCY_METRICS, PERCENTS
from rack_sim.metrics.words import TERMS


def _latency(
    metric: str, definition: str, percents: tuple[int, ...] = PERCENTS
) -> Iterator[Column]:
    yield number(f"{metric}_ms_mean", "ms", f"{definition}; mean")
    for percent in percents:
        yield number(f"{metric}_ms_p{percent}", "ms", f"{definition}; percentile {percent}")


def _throughput(prefix: str, span: str) -> list[Column]:
    return [
        number(f"{prefix}request_throughput_rps", "1/s", f"requests finished per second {span}"),
        number(f"{prefix}input_throughput_tok_s", "token/s", f"prompt tokens prefilled {span}"),
        number(f"{prefix}output_throughput_tok_s", "token/s", f"output tokens {span}"),
        number(f"{prefix}total_throughput_tok_s", "token/s", f"prompt and output tokens {span}"),
        number(f"{prefix}output_tok_s_per_chip", "token/s", f"output tokens {span}, per chip"),
    ]


SUMMARY: tuple[Column, ...] = (
    words("scenario", "name of the scenario"),
    words("system", "name of the system"),
    words("model", "name of the model"),
    words("policy", "kind of the serving policy"),
    count("chip_count", "chips", "chips that hold a part of the model"),
    count("spare_chip_count", "chips", "chips of spare nodes in the same racks"),
    count("idle_chip_count", "chips", "active chips of the same racks that the plan does not use"),
    count("rack_count", "racks", "racks, or nodes that stand alone, that hold a part of the model"),
    count("replica_count", "replicas", "full copies of the model"),
    count("stage_count", "stages", "pipeline stages"),
    count("tensor_parallel", "chips", "chips that share each block"),
    count("slot_count", "slots", "slots that revolve through the pipeline"),
    count("slot_rows", "rows", "rows of a slot"),
    count("weight_bytes", "bytes", "weights over all chips"),
    count("sram_used_bytes_max", "bytes", "bytes on the fullest chip"),
    count("sram_capacity_bytes", "bytes", "bytes that the memory tiers in use of a chip can hold"),
    count("request_count", "requests", "requests that arrived"),
    count("finished_count", "requests", "requests that got every token"),
    count("rejected_count", "requests", "requests turned away; requests.csv of a run says why"),
    count("timed_out_count", "requests", "requests given up because their time had run out"),
    count("unserved_count", "requests", "requests that ended in none of these ways: always 0"),
    count("input_token_count", "tokens", "prompt tokens of finished requests"),
    count("output_token_count", "tokens", "output tokens of finished requests"),
    number("simulated_s", "s", "start of the workload until all work was done"),
    words("window_kind", "steady: warm-up and drain left out; whole_run: too short for that"),
    number("window_start_s", "s", "start of the window that throughputs are counted over"),
    number("window_s", "s", "length of that window"),
    *(c for metric, text in LATENCY_METRICS.items() for c in _latency(metric, text)),
    *_latency(
        "itl",
        "pooled gaps between output tokens of a request (of batches, of given up ones too)",
    ),
    number("ttft_admission_ms_mean", "ms", "of ttft: waiting for cache and a sequence's row, mean"),
    number("ttft_row_wait_ms_mean", "ms", "of ttft: admitted, to the first prefill row, mean"),
    number("ttft_prefill_ms_mean", "ms", "of ttft: first to last prefill row entering, mean"),
    number("ttft_pass_ms_mean", "ms", "of ttft: the last row's way to the sampled token, mean"),
    words("ttft_bound_by", "the largest part of ttft: admission, row_wait, prefill or pass"),
    *(
        number(f"tpot_{name}_ms", "ms", f"of the mean gap between tokens: {term.phrase}")
        for name, term in TERMS.items()
    ),
    words("tpot_bound_by", "the largest part of the mean gap between tokens"),
    *_throughput("", "in the window"),
    *_throughput("run_", "over the whole run"),
    number("compiled_limit_tok_s", "token/s", "prompt and output tokens if every row were used"),
    number("physical_limit_tok_s", "token/s", "the same at memory bandwidth or matrix peak"),
    number(
        "total_throughput_to_compiled_ratio", "ratio", "total throughput over the compiled limit"
    ),
    number("output_tok_s_per_user_p50", "token/s", "1000 / median tpot"),
    number("slo_attainment", "share", "requests with every objective met (<=) over all requests"),
    number(
        "request_goodput_rps",
        "1/s",
        "requests with every objective met that finished in the window, per second",
    ),
    number(
        "fit_slo_attainment", "share", "the same over requests that fit the context and the cache"
    ),
    words("slo_asked", "what is asked of the run as a whole: slo.asked and slo.attainment"),
    words("slo_met", "yes or no: that is met, and of slo.asked every request that fits served"),
    number(
        "slot_row_utilisation",
        "share",
        "rows that carried a token, each for the interval of its program, over rows offered",
    ),
    number(
        "step_utilisation",
        "share",
        "steps with any row in use, each for the interval of its program, over all time",
    ),
    number("replica_utilisation", "share", "time with a busy step or an iteration, over all time"),
    count("iteration_count", "iterations", "iterations of all replicas (reactive chips)"),
    number("batch_sequences_mean", "sequences", "sequences that decode in an iteration, mean"),
    number("kv_reserved_share_mean", "share", "cached tokens reserved over room for them, mean"),
    count("preemption_count", "", "times that a sequence lost its cache"),
    count("recomputed_token_count", "tokens", "tokens prefilled again because of that"),
    number("cached_token_share", "share", "prompt tokens found in a prefix cache, over all"),
    number("draft_acceptance", "share", "draft tokens accepted over draft tokens proposed"),
    number("transfer_ms_mean", "ms", "cache from prefill to decode replica, waiting included"),
    number("tok_latency_limit_ms", "ms", "bound on TPOT: weights read once at full memory speed"),
    number("tpot_to_limit_ratio", "ratio", "median tpot over that bound"),
    words(
        "bottleneck",
        "what bounds the interval between slots: stage or link, and term; of iterations, the term "
        "most of a gap between tokens goes to, of all iterations where there are no gaps",
    ),
    *COST_COLUMNS,
    words("scenario_hash", "digest of everything that went in"),
    words("version", "version of rack-sim"),
    count("seed", "", "seed of every random stream"),
)

REQUESTS: tuple[Column, ...] = (
    count("request_id", "", "number of the request, in order of issue, from 0"),
    words("status", "finished, rejected or timed_out"),
    words("reason", "why it did not finish"),
    number("arrival_ms", "ms", "arrival, from the start of the workload"),
    count("input_tokens", "tokens", "prompt length"),
    count("output_tokens", "tokens", "output length"),
    number("admitted_ms", "ms", "when it was let in: a row (or a place) and its cache were free"),
    number("prefill_start_ms", "ms", "first prompt row enters (of batches: its iteration begins)"),
    number("prefill_end_ms", "ms", "last prompt row enters (of batches: its iteration ends)"),
    number("first_token_ms", "ms", "first output token is sampled"),
    number("finish_ms", "ms", "last output token is sampled"),
    count("slot", "", "slot whose row the sequence owned while it decoded"),
    count("replica", "", "number of the replica that decoded it (or turned it away)"),
    count("prefill_replica", "", "number of the replica that prefilled it, where another one"),
    number("queue_ms", "ms", "arrival to admission"),
    number("prefill_ms", "ms", "first to last prompt row, preemptions in between included"),
    number("decode_queue_ms", "ms", "first token to being let in at the decode replica"),
    number("transfer_ms", "ms", "cache from prefill to decode replica, waiting for links included"),
    count("preemption_count", "", "times it lost its cache and was prefilled again"),
    count("cached_tokens", "tokens", "prompt tokens found in the prefix cache"),
    count("accepted_draft_tokens", "tokens", "output tokens that a draft had proposed"),
    *(number(f"{metric}_ms", "ms", text) for metric, text in LATENCY_METRICS.items()),
)

CHIPS: tuple[Column, ...] = (
    count("chip", "", "number of the chip"),
    count("node", "", "number of its node"),
    count("rack", "", "number of its rack"),
    words(
        "role",
        "stage: of the first replica; replica: of another; spare: of a spare node; idle: unused",
    ),
    count("stage", "", "number of its stage"),
    count("used_bytes", "bytes", "bytes in use"),
    count("capacity_bytes", "bytes", "bytes it can hold"),
    number("step_busy_ms", "ms", "time it works on one step"),
    number("utilisation", "share", "busy time over simulated time"),
)

MEMORY: tuple[Column, ...] = (
    count("chip", "", "number of the chip"),
    count("stage", "", "number of its stage"),
    count("weight_bytes", "bytes", "weights"),
    count("kv_bytes", "bytes", "room for cached keys and values, and for states of sequences"),
    count("activation_bytes", "bytes", "live activations"),
    count("program_bytes", "bytes", "program text"),
    count("free_bytes", "bytes", "what is left"),
    count("capacity_bytes", "bytes", "bytes that the memory tiers in use can hold together"),
    words("weight_tier", "memory tier in which weights lie"),
    words("kv_tier", "memory tier in which the cache lies"),
    words("activation_tier", "memory tier in which activations lie"),
)

STAGES: tuple[Column, ...] = (
    count("stage", "", "number of the stage"),
    words("first_block", "first block it holds"),
    words("last_block", "last block it holds"),
    count("block_count", "blocks", "blocks it holds"),
    count("first_chip", "", "first chip of its group"),
    number("service_ms", "ms", "time it works on one slot"),
    number("fixed_latency_ms", "ms", "of that: fixed latency of dependent operators"),
    number("compute_ms", "ms", "of that: operators bound by compute"),
    number("weight_feed_ms", "ms", "of that: operators bound by the feed of stationary operands"),
    number("memory_ms", "ms", "of that: operators bound by memory bandwidth"),
    number("link_latency_ms", "ms", "of that: latency of links inside the group"),
    number("link_serialisation_ms", "ms", "of that: serialisation on links inside the group"),
    number("utilisation", "share", "time serving busy steps over simulated time"),
    number("transfer_ms", "ms", "on to the next stage (from the last: the token's way back)"),
)

LINKS: tuple[Column, ...] = (
    count("source_chip", "", "chip that sends"),
    count("target_chip", "", "chip that receives"),
    count("lane", "", "number among parallel cables"),
    words("kind", "local (inside a node) or global"),
    count("step_vectors", "vectors", "vectors of one step"),
    count("payload_bytes", "bytes", "payload capacity of all vectors sent in the run"),
    number("busy_ms", "ms", "time the wire was occupied"),
    number("utilisation", "share", "busy time over simulated time"),
    *(
        column
        for traffic, text in TRAFFICS.items()
        for column in (
            count(f"{traffic}_step_vectors", "vectors", f"of step_vectors: {text}"),
            number(f"{traffic}_step_busy_ms", "ms", f"time of one step they hold it: {text}"),
        )
    ),
)

CRITICAL_PATH: tuple[Column, ...] = (
    count("order", "", "number of the task on the path, from 0; each lets the next begin"),
    words("task", "operator, weights or kind of message; 3/8 is the third of eight pieces"),
    words("unit", "what it holds: matrix, vector, memory or switch unit, or a link"),
    count("chip", "", "number of its chip; of a link, of the chip that sends"),
    count("target_chip", "", "of a link, number of the chip that receives"),
    count("stage", "", "number of its stage; of a transfer, of the stage it leaves"),
    words("block", "name of its block, or from which stage to which"),
    number("start_ms", "ms", "when it begins, from the entry of the step"),
    number("time_ms", "ms", "what it adds to the latency: until it lets the next begin"),
    *(
        number(f"{name}_ms", "ms", f"of that: {term.phrase}")
        for name, term in TERMS.items()
        if name not in ("slack", "draft")
    ),
)

REPLICAS: tuple[Column, ...] = (
    count("replica", "", "number of the replica"),
    words("role", "both, prefill or decode"),
    count("request_count", "requests", "requests that the router sent to it"),
    count("finished_count", "requests", "requests that got their last token here"),
    count("rejected_count", "requests", "requests it turned away"),
    count("timed_out_count", "requests", "requests given up here"),
    count("prompt_tokens", "tokens", "prompt tokens prefilled, for the first time"),
    count("cached_tokens", "tokens", "prompt tokens found in its prefix cache"),
    count("recomputed_tokens", "tokens", "tokens prefilled again after a preemption"),
    count("output_tokens", "tokens", "output tokens of requests that finished here"),
    count("draft_tokens", "tokens", "tokens that the draft proposed"),
    count("accepted_draft_tokens", "tokens", "of these, accepted"),
    count("preemption_count", "", "times that a sequence lost its cache"),
    count("transfer_count", "", "caches fetched from prefill replicas"),
    count("transfer_bytes", "bytes", "bytes of these"),
    number("busy_ms", "ms", "busy steps times interval, or iterations"),
    number("utilisation", "share", "busy time over simulated time"),
    count("running_max", "requests", "most sequences running at a time"),
    count("waiting_max", "requests", "most requests waiting at a time"),
    count("kv_tokens_max", "tokens", "most tokens of cache at a time (in blocks partly filled)"),
    count("kv_parked_tokens_max", "tokens", "most held for other replicas, or on their way here"),
    count("kv_capacity_tokens", "tokens", "tokens that the cache holds"),
    number("last_end_ms", "ms", "when its last request ended"),
)

ITERATIONS: tuple[Column, ...] = (
    count("rows", "rows", "of reactive chips: rows of an iteration, of sequences and prompts"),
    count("iteration_count", "iterations", "iterations with so many rows"),
    number("decoding_mean", "sequences", "sequences that decoded in them, mean"),
    number("sampled_mean", "rows", "rows that went through the head, mean"),
    number("time_ms_mean", "ms", "time of one of them, mean"),
)

TIMELINE: tuple[Column, ...] = (
    number("start_s", "s", "start of the bin"),
    count("arrived", "requests", "requests that arrived"),
    count("rejected", "requests", "requests turned away"),
    count("timed_out", "requests", "requests given up because their time had run out"),
    count("finished", "requests", "requests that finished"),
    count("prompt_tokens", "tokens", "prompt tokens prefilled, for the first time"),
    count("cached_tokens", "tokens", "prompt tokens found in the prefix cache instead"),
    count("recomputed_tokens", "tokens", "tokens prefilled again after a preemption"),
    count("output_tokens", "tokens", "output tokens sampled"),
    number("waiting_mean", "requests", "requests waiting for admission, mean over the bin"),
    number("running_mean", "requests", "sequences admitted and not finished, mean over the bin"),
    number("kv_reserved_tokens_mean", "tokens", "cached tokens reserved, mean over the bin"),
)

_MACHINE = (
    words("machine", "name of the machine in the study"),
    *taken(SUMMARY, "chip_count"),
    number("operator_jitter_ns", "ns", "mean extra time of an operator; 0: as compiled"),
)

JITTER: tuple[Column, ...] = (
    *_MACHINE,
    *taken(SUMMARY, "stage_count", "slot_count"),
    count("path_operator_count", "operators", "on the critical path, where jitter may hit them"),
    *taken(COMPILED, "compiled_token_gap_ms", "compiled_step_latency_ms"),
    number("tok_s_per_user", "token/s", "1 / mean time between two tokens of one sequence"),
    number("tok_s", "token/s", "tokens of all sequences per second, every row in use"),
    number("kept_share", "share", "compiled over mean time between two tokens of one sequence"),
    *_latency("token_gap", "time between two tokens of one sequence", (50, 99)),
    *_latency("step_latency", "from when a step really began to its token's return", (50, 99)),
)

SLIP: tuple[Column, ...] = (
    *_MACHINE,
    count("stage", "", "number of the stage"),
    number("compiled_start_ms", "ms", "when it begins as compiled, from the step's entry"),
    number(
        "slip_ms_mean",
        "ms",
        "how much later it begins, both counted from the step's beginning; mean over steps",
    ),
)

FILES: dict[str, tuple[Column, ...]] = {
    "summary.csv": SUMMARY,
    "requests.csv": REQUESTS,
    "timeline.csv": TIMELINE,
    "replicas.csv": REPLICAS,
    "iterations.csv": ITERATIONS,
    "stages.csv": STAGES,
    "chips.csv": CHIPS,
    "memory.csv": MEMORY,
    "links.csv": LINKS,
    "critical_path.csv": CRITICAL_PATH,
}
