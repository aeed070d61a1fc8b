"""Columns: every column of every file, with its unit and definition. Code and docs read this."""

from rack_sim.compiler.traffic import TRAFFICS
from rack_sim.metrics.column import Column
from rack_sim.metrics.cost_row import COST_COLUMNS
from rack_sim.metrics.latency import LATENCY_METRICS
from rack_sim.metrics.words import TERMS


def _latency(metric: str, definition: str) -> list[Column]:
    return [
        Column(f"{metric}_ms_mean", "ms", "number", f"{definition}; mean"),
        *(
            Column(f"{metric}_ms_p{percent}", "ms", "number", f"{definition}; percentile {percent}")
            for percent in (50, 90, 95, 99)
        ),
    ]


def _spread(metric: str, definition: str) -> list[Column]:
    return [
        Column(f"{metric}_ms_mean", "ms", "number", f"{definition}; mean"),
        *(
            Column(f"{metric}_ms_p{percent}", "ms", "number", f"{definition}; percentile {percent}")
            for percent in (50, 99)
        ),
    ]


def _throughput(prefix: str, span: str) -> list[Column]:
    return [
        Column(
            f"{prefix}request_throughput_rps",
            "1/s",
            "number",
            f"requests finished per second {span}",
        ),
        Column(
            f"{prefix}input_throughput_tok_s",
            "token/s",
            "number",
            f"prompt tokens prefilled {span}",
        ),
        Column(f"{prefix}output_throughput_tok_s", "token/s", "number", f"output tokens {span}"),
        Column(
            f"{prefix}total_throughput_tok_s",
            "token/s",
            "number",
            f"prompt and output tokens {span}",
        ),
        Column(
            f"{prefix}output_tok_s_per_chip", "token/s", "number", f"output tokens {span}, per chip"
        ),
    ]


SUMMARY: tuple[Column, ...] = (
    Column("scenario", "", "words", "name of the scenario"),
    Column("system", "", "words", "name of the system"),
    Column("model", "", "words", "name of the model"),
    Column("policy", "", "words", "kind of the serving policy"),
    Column("chip_count", "chips", "count", "chips that hold a part of the model"),
    Column("spare_chip_count", "chips", "count", "chips of spare nodes in the same racks"),
    Column(
        "idle_chip_count",
        "chips",
        "count",
        "active chips of the same racks that the plan does not use",
    ),
    Column(
        "rack_count",
        "racks",
        "count",
        "racks, or nodes that stand alone, that hold a part of the model",
    ),
    Column("replica_count", "replicas", "count", "full copies of the model"),
    Column("stage_count", "stages", "count", "pipeline stages"),
    Column("tensor_parallel", "chips", "count", "chips that share each block"),
    Column("slot_count", "slots", "count", "slots that revolve through the pipeline"),
    Column("slot_rows", "rows", "count", "rows of a slot"),
    Column("weight_bytes", "bytes", "count", "weights over all chips"),
    Column("sram_used_bytes_max", "bytes", "count", "bytes on the fullest chip"),
    Column(
        "sram_capacity_bytes",
        "bytes",
        "count",
        "bytes that the memory tiers in use of a chip can hold",
    ),
    Column("request_count", "requests", "count", "requests that arrived"),
    Column("finished_count", "requests", "count", "requests that got every token"),
    Column("rejected_count", "requests", "count", "requests turned away; requests.csv says why"),
    Column(
        "timed_out_count", "requests", "count", "requests given up because their time had run out"
    ),
    Column(
        "unserved_count", "requests", "count", "requests that ended in none of these ways: always 0"
    ),
    Column("input_token_count", "tokens", "count", "prompt tokens of finished requests"),
    Column("output_token_count", "tokens", "count", "output tokens of finished requests"),
    Column("simulated_s", "s", "number", "start of the workload until all work was done"),
    Column(
        "window_kind",
        "",
        "words",
        "steady: warm-up and drain left out; whole_run: too short for that",
    ),
    Column(
        "window_start_s", "s", "number", "start of the window that throughputs are counted over"
    ),
    Column("window_s", "s", "number", "length of that window"),
    *(c for metric, text in LATENCY_METRICS.items() for c in _latency(metric, text)),
    *_latency(
        "itl",
        "pooled gaps between output tokens of a request (of batches, of given up ones too)",
    ),
    Column(
        "ttft_admission_ms_mean",
        "ms",
        "number",
        "of ttft: waiting for cache and a sequence's row, mean",
    ),
    Column(
        "ttft_row_wait_ms_mean", "ms", "number", "of ttft: admitted, to the first prefill row, mean"
    ),
    Column(
        "ttft_prefill_ms_mean", "ms", "number", "of ttft: first to last prefill row entering, mean"
    ),
    Column(
        "ttft_pass_ms_mean",
        "ms",
        "number",
        "of ttft: the last row's way to the sampled token, mean",
    ),
    Column(
        "ttft_bound_by",
        "",
        "words",
        "the largest of these four: admission, row_wait, prefill or pass",
    ),
    *(
        Column(f"tpot_{name}_ms", "ms", "number", f"of the mean gap between tokens: {words.phrase}")
        for name, words in TERMS.items()
    ),
    Column("tpot_bound_by", "", "words", "the largest of these eight"),
    *_throughput("", "in the window"),
    *_throughput("run_", "over the whole run"),
    Column(
        "compiled_limit_tok_s",
        "token/s",
        "number",
        "prompt and output tokens if every row were used",
    ),
    Column(
        "physical_limit_tok_s",
        "token/s",
        "number",
        "the same at memory bandwidth or matrix peak",
    ),
    Column(
        "total_throughput_to_compiled_ratio",
        "ratio",
        "number",
        "total throughput over the compiled limit",
    ),
    Column("output_tok_s_per_user_p50", "token/s", "number", "1000 / median tpot"),
    Column(
        "slo_attainment",
        "share",
        "number",
        "requests with every objective met (<=) over all requests",
    ),
    Column(
        "request_goodput_rps",
        "1/s",
        "number",
        "such requests that finished in the window, per second",
    ),
    Column(
        "fit_slo_attainment",
        "share",
        "number",
        "such requests over those that fit the context and cache",
    ),
    Column(
        "slo_asked",
        "",
        "words",
        "what is asked of the run as a whole: slo.asked and slo.attainment",
    ),
    Column(
        "slo_met",
        "",
        "words",
        "yes or no: that is met, and of slo.asked every request that fits served",
    ),
    Column(
        "slot_row_utilisation",
        "share",
        "number",
        "rows that carried a token, each for the interval of its program, over rows offered",
    ),
    Column(
        "step_utilisation",
        "share",
        "number",
        "steps with any row in use, each for the interval of its program, over all time",
    ),
    Column(
        "replica_utilisation",
        "share",
        "number",
        "time with a busy step or an iteration, over all time",
    ),
    Column("iteration_count", "iterations", "count", "iterations of all replicas (reactive chips)"),
    Column(
        "batch_sequences_mean", "sequences", "number", "sequences that decode in an iteration, mean"
    ),
    Column(
        "kv_reserved_share_mean",
        "share",
        "number",
        "cached tokens reserved over room for them, mean",
    ),
    Column("preemption_count", "", "count", "times that a sequence lost its cache"),
    Column("recomputed_token_count", "tokens", "count", "tokens prefilled again because of that"),
    Column(
        "cached_token_share", "share", "number", "prompt tokens found in a prefix cache, over all"
    ),
    Column(
        "draft_acceptance", "share", "number", "draft tokens accepted over draft tokens proposed"
    ),
    Column(
        "transfer_ms_mean", "ms", "number", "cache from prefill to decode replica, waiting included"
    ),
    Column(
        "tok_latency_limit_ms",
        "ms",
        "number",
        "bound on TPOT: weights read once at full memory speed",
    ),
    Column("tpot_to_limit_ratio", "ratio", "number", "median tpot over that bound"),
    Column(
        "bottleneck",
        "",
        "words",
        "what bounds the interval between slots: stage or link, and term; of iterations, the term "
        "most of a gap between tokens goes to, of all iterations where there are no gaps",
    ),
    *COST_COLUMNS,
    Column("scenario_hash", "", "words", "digest of everything that went in"),
    Column("version", "", "words", "version of rack-sim"),
    Column("seed", "", "count", "seed of every random stream"),
)

REQUESTS: tuple[Column, ...] = (
    Column("request_id", "", "count", "number of the request, in order of issue, from 0"),
    Column("status", "", "words", "finished, rejected or timed_out"),
    Column("reason", "", "words", "why it did not finish"),
    Column("arrival_ms", "ms", "number", "arrival, from the start of the workload"),
    Column("input_tokens", "tokens", "count", "prompt length"),
    Column("output_tokens", "tokens", "count", "output length"),
    Column(
        "admitted_ms",
        "ms",
        "number",
        "when it was let in: a row (or a place) and its cache were free",
    ),
    Column(
        "prefill_start_ms",
        "ms",
        "number",
        "first prompt row enters (of batches: its iteration begins)",
    ),
    Column(
        "prefill_end_ms", "ms", "number", "last prompt row enters (of batches: its iteration ends)"
    ),
    Column("first_token_ms", "ms", "number", "first output token is sampled"),
    Column("finish_ms", "ms", "number", "last output token is sampled"),
    Column("slot", "", "count", "slot whose row the sequence owned while it decoded"),
    Column("replica", "", "count", "number of the replica that decoded it (or turned it away)"),
    Column(
        "prefill_replica", "", "count", "number of the replica that prefilled it, where another one"
    ),
    Column("queue_ms", "ms", "number", "arrival to admission"),
    Column(
        "prefill_ms", "ms", "number", "first to last prompt row, preemptions in between included"
    ),
    Column("decode_queue_ms", "ms", "number", "first token to being let in at the decode replica"),
    Column(
        "transfer_ms",
        "ms",
        "number",
        "cache from prefill to decode replica, waiting for links included",
    ),
    Column("preemption_count", "", "count", "times it lost its cache and was prefilled again"),
    Column("cached_tokens", "tokens", "count", "prompt tokens found in the prefix cache"),
    Column("accepted_draft_tokens", "tokens", "count", "output tokens that a draft had proposed"),
    *(Column(f"{metric}_ms", "ms", "number", text) for metric, text in LATENCY_METRICS.items()),
)

CHIPS: tuple[Column, ...] = (
    Column("chip", "", "count", "number of the chip"),
    Column("node", "", "count", "number of its node"),
    Column("rack", "", "count", "number of its rack"),
    Column(
        "role",
        "",
        "words",
        "stage: of the first replica; replica: of another; spare: of a spare node; idle: unused",
    ),
    Column("stage", "", "count", "number of its stage"),
    Column("used_bytes", "bytes", "count", "bytes in use"),
    Column("capacity_bytes", "bytes", "count", "bytes it can hold"),
    Column("step_busy_ms", "ms", "number", "time it works on one step"),
    Column("utilisation", "share", "number", "busy time over simulated time"),
)

MEMORY: tuple[Column, ...] = (
    Column("chip", "", "count", "number of the chip"),
    Column("stage", "", "count", "number of its stage"),
    Column("weight_bytes", "bytes", "count", "weights"),
    Column("kv_bytes", "bytes", "count", "room for cached keys and values"),
    Column("activation_bytes", "bytes", "count", "live activations"),
    Column("program_bytes", "bytes", "count", "program text"),
    Column("free_bytes", "bytes", "count", "what is left"),
    Column(
        "capacity_bytes", "bytes", "count", "bytes that the memory tiers in use can hold together"
    ),
    Column("weight_tier", "", "words", "memory tier in which weights lie"),
    Column("kv_tier", "", "words", "memory tier in which the cache lies"),
    Column("activation_tier", "", "words", "memory tier in which activations lie"),
)

STAGES: tuple[Column, ...] = (
    Column("stage", "", "count", "number of the stage"),
    Column("first_block", "", "words", "first block it holds"),
    Column("last_block", "", "words", "last block it holds"),
    Column("block_count", "blocks", "count", "blocks it holds"),
    Column("first_chip", "", "count", "first chip of its group"),
    Column("service_ms", "ms", "number", "time it works on one slot"),
    Column("fixed_latency_ms", "ms", "number", "of that: fixed latency of dependent operators"),
    Column("compute_ms", "ms", "number", "of that: operators bound by compute"),
    Column(
        "weight_feed_ms",
        "ms",
        "number",
        "of that: operators bound by the feed of stationary operands",
    ),
    Column("memory_ms", "ms", "number", "of that: operators bound by memory bandwidth"),
    Column("link_latency_ms", "ms", "number", "of that: latency of links inside the group"),
    Column(
        "link_serialisation_ms", "ms", "number", "of that: serialisation on links inside the group"
    ),
    Column("utilisation", "share", "number", "time serving busy steps over simulated time"),
    Column(
        "transfer_ms", "ms", "number", "on to the next stage (from the last: the token's way back)"
    ),
)

LINKS: tuple[Column, ...] = (
    Column("source_chip", "", "count", "chip that sends"),
    Column("target_chip", "", "count", "chip that receives"),
    Column("lane", "", "count", "number among parallel cables"),
    Column("kind", "", "words", "local (inside a node) or global"),
    Column("step_vectors", "vectors", "count", "vectors of one step"),
    Column("payload_bytes", "bytes", "count", "payload capacity of all vectors sent in the run"),
    Column("busy_ms", "ms", "number", "time the wire was occupied"),
    Column("utilisation", "share", "number", "busy time over simulated time"),
    *(
        column
        for traffic, text in TRAFFICS.items()
        for column in (
            Column(f"{traffic}_step_vectors", "vectors", "count", f"of step_vectors: {text}"),
            Column(
                f"{traffic}_step_busy_ms", "ms", "number", f"time of one step they hold it: {text}"
            ),
        )
    ),
)

CRITICAL_PATH: tuple[Column, ...] = (
    Column(
        "order", "", "count", "number of the task on the path, from 0; each lets the next begin"
    ),
    Column(
        "task",
        "",
        "words",
        "operator, weights or kind of message; 3/8 is the third of eight pieces",
    ),
    Column("unit", "", "words", "what it holds: matrix, vector, memory or switch unit, or a link"),
    Column("chip", "", "count", "number of its chip; of a link, of the chip that sends"),
    Column("target_chip", "", "count", "of a link, number of the chip that receives"),
    Column("stage", "", "count", "number of its stage; of a transfer, of the stage it leaves"),
    Column("block", "", "words", "name of its block, or from which stage to which"),
    Column("start_ms", "ms", "number", "when it begins, from the entry of the step"),
    Column("time_ms", "ms", "number", "what it adds to the latency: until it lets the next begin"),
    *(
        Column(f"{name}_ms", "ms", "number", f"of that: {words.phrase}")
        for name, words in TERMS.items()
        if name not in ("slack", "draft")
    ),
)

REPLICAS: tuple[Column, ...] = (
    Column("replica", "", "count", "number of the replica"),
    Column("role", "", "words", "both, prefill or decode"),
    Column("request_count", "requests", "count", "requests that the router sent to it"),
    Column("finished_count", "requests", "count", "requests that got their last token here"),
    Column("rejected_count", "requests", "count", "requests it turned away"),
    Column("timed_out_count", "requests", "count", "requests given up here"),
    Column("prompt_tokens", "tokens", "count", "prompt tokens prefilled, for the first time"),
    Column("cached_tokens", "tokens", "count", "prompt tokens found in its prefix cache"),
    Column("recomputed_tokens", "tokens", "count", "tokens prefilled again after a preemption"),
    Column("output_tokens", "tokens", "count", "output tokens of requests that finished here"),
    Column("draft_tokens", "tokens", "count", "tokens that the draft proposed"),
    Column("accepted_draft_tokens", "tokens", "count", "of these, accepted"),
    Column("preemption_count", "", "count", "times that a sequence lost its cache"),
    Column("transfer_count", "", "count", "caches fetched from prefill replicas"),
    Column("transfer_bytes", "bytes", "count", "bytes of these"),
    Column("busy_ms", "ms", "number", "busy steps times interval, or iterations"),
    Column("utilisation", "share", "number", "busy time over simulated time"),
    Column("running_max", "requests", "count", "most sequences running at a time"),
    Column("waiting_max", "requests", "count", "most requests waiting at a time"),
    Column(
        "kv_tokens_max",
        "tokens",
        "count",
        "most tokens of cache at a time (in blocks partly filled)",
    ),
    Column(
        "kv_parked_tokens_max",
        "tokens",
        "count",
        "most held for other replicas, or on their way here",
    ),
    Column("kv_capacity_tokens", "tokens", "count", "tokens that the cache holds"),
    Column("last_end_ms", "ms", "number", "when its last request ended"),
)

ITERATIONS: tuple[Column, ...] = (
    Column(
        "rows", "rows", "count", "of reactive chips: rows of an iteration, of sequences and prompts"
    ),
    Column("iteration_count", "iterations", "count", "iterations with so many rows"),
    Column("decoding_mean", "sequences", "number", "sequences that decoded in them, mean"),
    Column("sampled_mean", "rows", "number", "rows that went through the head, mean"),
    Column("time_ms_mean", "ms", "number", "time of one of them, mean"),
)

TIMELINE: tuple[Column, ...] = (
    Column("start_s", "s", "number", "start of the bin"),
    Column("arrived", "requests", "count", "requests that arrived"),
    Column("rejected", "requests", "count", "requests turned away"),
    Column("timed_out", "requests", "count", "requests given up because their time had run out"),
    Column("finished", "requests", "count", "requests that finished"),
    Column("prompt_tokens", "tokens", "count", "prompt tokens prefilled, for the first time"),
    Column("cached_tokens", "tokens", "count", "prompt tokens found in the prefix cache instead"),
    Column("recomputed_tokens", "tokens", "count", "tokens prefilled again after a preemption"),
    Column("output_tokens", "tokens", "count", "output tokens sampled"),
    Column(
        "waiting_mean", "requests", "number", "requests waiting for admission, mean over the bin"
    ),
    Column(
        "running_mean",
        "requests",
        "number",
        "sequences admitted and not finished, mean over the bin",
    ),
    Column(
        "kv_reserved_tokens_mean", "tokens", "number", "cached tokens reserved, mean over the bin"
    ),
)

_MACHINE = (
    Column("machine", "", "words", "name of the machine in the study"),
    Column("chip_count", "chips", "count", "chips that hold a part of the model"),
    Column("operator_jitter_ns", "ns", "number", "mean extra time of an operator; 0: as compiled"),
)

JITTER: tuple[Column, ...] = (
    *_MACHINE,
    Column("stage_count", "stages", "count", "pipeline stages"),
    Column("slot_count", "slots", "count", "slots that revolve through the pipeline"),
    Column(
        "path_operator_count",
        "operators",
        "count",
        "on the critical path, where jitter may hit them",
    ),
    Column(
        "compiled_token_gap_ms", "ms", "number", "compiled time between two tokens of one sequence"
    ),
    Column(
        "compiled_step_latency_ms", "ms", "number", "compiled time from entry to the token's return"
    ),
    Column(
        "tok_s_per_user", "token/s", "number", "1 / mean time between two tokens of one sequence"
    ),
    Column("tok_s", "token/s", "number", "tokens of all sequences per second, every row in use"),
    Column(
        "kept_share",
        "share",
        "number",
        "compiled over mean time between two tokens of one sequence",
    ),
    *_spread("token_gap", "time between two tokens of one sequence"),
    *_spread("step_latency", "from when a step really began to its token's return"),
)

SLIP: tuple[Column, ...] = (
    *_MACHINE,
    Column("stage", "", "count", "number of the stage"),
    Column(
        "compiled_start_ms", "ms", "number", "when it begins as compiled, from the step's entry"
    ),
    Column(
        "slip_ms_mean",
        "ms",
        "number",
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
