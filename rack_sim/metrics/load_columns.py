"""Load columns: load.csv and knee.csv of a load study."""

from rack_sim.metrics.column import Column
from rack_sim.metrics.latency import LATENCY_METRICS

_LOAD_MACHINE = (
    Column("machine", "", "words", "name of the machine in the study"),
    Column("chip_count", "chips", "count", "chips that hold a part of the model"),
)
# What "fit" means in the tables of a load study.
_FIT = "requests that fit (input + output within the compiled context and the cache)"

LOAD: tuple[Column, ...] = (
    *_LOAD_MACHINE,
    Column(
        "rate_rps", "1/s", "number", "offered rate asked for; every rate replays the same requests"
    ),
    Column(
        "offered_rps",
        "1/s",
        "number",
        "offered rate as drawn: requests after the first / arrival span",
    ),
    Column(
        "offered_to_capacity_ratio", "share", "number", "offered over capacity_limit_rps (knee.csv)"
    ),
    Column("request_count", "requests", "count", "requests offered"),
    Column("finished_count", "requests", "count", "requests that finished"),
    Column("rejected_count", "requests", "count", "requests turned away"),
    Column("rejected_share", "share", "number", "of all requests, those turned away"),
    Column("arrival_span_s", "s", "number", "from the first arrival to the last"),
    Column(
        "request_throughput_rps",
        "1/s",
        "number",
        "requests finished per second over the steady window",
    ),
    Column("output_throughput_tok_s", "token/s", "number", "output tokens over the steady window"),
    Column(
        "request_goodput_rps",
        "1/s",
        "number",
        "requests that met every objective per second over the steady window",
    ),
    Column("slo_attainment", "share", "number", "of all requests, those that met every objective"),
    Column(
        "fit_slo_attainment", "share", "number", f"of the {_FIT}, those that met every objective"
    ),
    *(
        Column(
            f"fit_{metric}_attainment",
            "share",
            "number",
            f"the same for the objective on {metric} alone",
        )
        for metric in ("ttft", "tpot", "e2el")
    ),
    *(
        Column(
            f"{metric}_ms_p{percent}",
            "ms",
            "number",
            f"{LATENCY_METRICS[metric]}; percentile {percent}",
        )
        for metric in ("ttft", "tpot", "e2el")
        for percent in (50, 90, 99)
    ),
    Column(
        "ttft_queue_share",
        "share",
        "number",
        "of the mean TTFT, the time before the first prefill row enters the pipeline",
    ),
    Column(
        "backlog_mid",
        "requests",
        "count",
        "in the system when half of the requests that fit had arrived",
    ),
    Column("backlog_end", "requests", "count", "in the system when all had arrived"),
    Column(
        "backlog_noise",
        "requests",
        "count",
        "root of the arrivals between the two: the growth that chance alone explains (independent "
        "arrivals vary by the root of their number; 2 % of 2,500, 20 % of 25); where requests come "
        "faster at the end, with what that alone adds (Little's law)",
    ),
    Column(
        "keeps_up",
        "true/false",
        "flag",
        "the backlog grew by no more than backlog_noise, and no more is offered than the capacity",
    ),
    Column(
        "meets_slo", "true/false", "flag", "keeps up, and fit_slo_attainment is what the study asks"
    ),
)

KNEE: tuple[Column, ...] = (
    *_LOAD_MACHINE,
    Column(
        "attainment_asked",
        "share",
        "number",
        "of the requests that fit, those that must meet every objective",
    ),
    Column(
        "slo_met_rps",
        "1/s",
        "number",
        "highest offered rate (as drawn) that meets the SLO: the knee",
    ),
    Column("slo_failed_rps", "1/s", "number", "lowest offered rate that does not"),
    Column(
        "slo_limited_by", "", "words", "what fails there: saturation, or the objective missed most"
    ),
    Column("kept_up_rps", "1/s", "number", "highest offered rate that the machine keeps up with"),
    Column("not_kept_up_rps", "1/s", "number", "lowest offered rate that it does not keep up with"),
    Column(
        "capacity_limit_rps",
        "1/s",
        "number",
        "compiled_limit_tok_s over the mean rows of a request that fits (input + output - 1), over "
        "the share that fits: the offered rate at which every row carries a token",
    ),
    Column("slo_met_to_capacity_ratio", "share", "number", "slo_met_rps over capacity_limit_rps"),
    Column("kept_up_to_capacity_ratio", "share", "number", "kept_up_rps over capacity_limit_rps"),
    Column("request_goodput_rps_max", "1/s", "number", "highest request_goodput_rps of any rate"),
    Column(
        "request_throughput_rps_max", "1/s", "number", "highest request_throughput_rps of any rate"
    ),
    Column(
        "output_throughput_tok_s_max",
        "token/s",
        "number",
        "highest output_throughput_tok_s of any rate",
    ),
    Column(
        "is_short",
        "true/false",
        "flag",
        "arrivals at not_kept_up_rps lasted less than twice e2el_ms_p99 of the lowest rate: the "
        "backlog had no time to become steady, and more requests would tell better",
    ),
)
