"""Load columns: load.csv and knee.csv of a load study."""

from rack_sim.metrics.column import Column, count, flag, number, taken, words
from rack_sim.metrics.columns import SUMMARY

LOAD_METRICS = ("ttft", "tpot", "e2el")
LOAD_PERCENTS = (50, 90, 99)

_LOAD_MACHINE = (
    words("machine", "name of the machine in the study"),
    *taken(SUMMARY, "chip_count"),
)
# What "fit" means in the tables of a load study.
_FIT = "requests that fit (input + output within the compiled context and the cache)"

LOAD: tuple[Column, ...] = (
    *_LOAD_MACHINE,
    number("rate_rps", "1/s", "offered rate asked for; every rate replays the same requests"),
    number("offered_rps", "1/s", "offered rate as drawn: requests after the first / arrival span"),
    number("offered_to_capacity_ratio", "share", "offered over capacity_limit_rps (knee.csv)"),
    *taken(SUMMARY, "request_count", "finished_count", "rejected_count"),
    number("rejected_share", "share", "of all requests, those turned away"),
    number("arrival_span_s", "s", "from the first arrival to the last"),
    *taken(
        SUMMARY,
        "request_throughput_rps",
        "output_throughput_tok_s",
        "request_goodput_rps",
        "slo_attainment",
    ),
    number("fit_slo_attainment", "share", f"of the {_FIT}, those that met every objective"),
    *(
        number(f"fit_{metric}_attainment", "share", f"the same for the objective on {metric} alone")
        for metric in LOAD_METRICS
    ),
    *taken(SUMMARY, *(f"{metric}_ms_p{p}" for metric in LOAD_METRICS for p in LOAD_PERCENTS)),
    number(
        "ttft_queue_share",
        "share",
        "of the mean TTFT, the time before the first prefill row enters the pipeline",
    ),
    count(
        "backlog_mid", "requests", "in the system when half of the requests that fit had arrived"
    ),
    count("backlog_end", "requests", "in the system when all had arrived"),
    count(
        "backlog_noise",
        "requests",
        "root of the arrivals between the two: the growth that chance alone explains (independent "
        "arrivals vary by the root of their number; 2 % of 2,500, 20 % of 25); where requests come "
        "faster at the end, with what that alone adds (Little's law)",
    ),
    flag(
        "keeps_up",
        "the backlog grew by no more than backlog_noise, and no more is offered than the capacity",
    ),
    flag("meets_slo", "keeps up, and fit_slo_attainment is what the study asks"),
)

KNEE: tuple[Column, ...] = (
    *_LOAD_MACHINE,
    number(
        "attainment_asked",
        "share",
        "of the requests that fit, those that must meet every objective",
    ),
    number("slo_met_rps", "1/s", "highest offered rate (as drawn) that meets the SLO: the knee"),
    number("slo_failed_rps", "1/s", "lowest offered rate that does not"),
    words("slo_limited_by", "what fails there: saturation, or the objective missed most"),
    number("kept_up_rps", "1/s", "highest offered rate that the machine keeps up with"),
    number("not_kept_up_rps", "1/s", "lowest offered rate that it does not keep up with"),
    number(
        "capacity_limit_rps",
        "1/s",
        "compiled_limit_tok_s over the mean rows of a request that fits (input + output - 1), over "
        "the share that fits: the offered rate at which every row carries a token",
    ),
    number("slo_met_to_capacity_ratio", "share", "slo_met_rps over capacity_limit_rps"),
    number("kept_up_to_capacity_ratio", "share", "kept_up_rps over capacity_limit_rps"),
    number("request_goodput_rps_max", "1/s", "highest request_goodput_rps of any rate"),
    number("request_throughput_rps_max", "1/s", "highest request_throughput_rps of any rate"),
    number("output_throughput_tok_s_max", "token/s", "highest output_throughput_tok_s of any rate"),
    flag(
        "is_short",
        "arrivals at not_kept_up_rps lasted less than twice e2el_ms_p99 of the lowest rate: the "
        "backlog had no time to become steady, and more requests would tell better",
    ),
)
