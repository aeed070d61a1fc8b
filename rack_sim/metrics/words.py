"""Words: what latency terms, phases, metrics, statuses and goals are called, each once.

Headings, legends, sentences and definitions of columns read them from here; their colours stand in
`report.colours`.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """What a thing is called.

    `short` fits a narrow column, `name` a bar or a legend; `phrase` says what it is.
    """

    short: str
    name: str
    phrase: str

    @property
    def title(self) -> str:
        """Its name where a line begins."""
        return capital(self.name)


def capital(words: str) -> str:
    """Words where a line begins: ``capital("time to first token") == "Time to first token"``."""
    return words[:1].upper() + words[1:]


# Of the time between two tokens, in the order in which it is split.
TERMS: Mapping[str, Words] = {
    "fixed_latency": Words("fixed", "fixed latency", "fixed latency of dependent operators"),
    "compute": Words("compute", "compute", "operators bound by compute"),
    "weight_feed": Words(
        "feed", "weight feed", "operators bound by the feed of stationary operands"
    ),
    "memory": Words("memory", "memory bandwidth", "operators bound by memory bandwidth"),
    "link_latency": Words("link latency", "link latency", "latency of links"),
    "link_serialisation": Words("on links", "link serialisation", "serialisation on links"),
    "slack": Words(
        "slack", "slack", "waiting: for the slot to come round, or for a lost or distant cache"
    ),
    "draft": Words("draft", "draft", "the draft's proposals"),
}
# Of the time to the first token, one after the other.
PHASES: Mapping[str, Words] = {
    "admission": Words("admission", "admission", "waiting to be let in"),
    "row_wait": Words("row wait", "wait for a row", "waiting for a row, once let in"),
    "prefill": Words("prefill", "prefill", "the rows of the prompt, which enter one by one"),
    "pass": Words("pass", "last row's pass", "the last row's way to the token"),
}
METRICS: Mapping[str, Words] = {
    "ttft": Words("TTFT", "time to first token (TTFT)", "from arrival to the first token"),
    "tpot": Words("TPOT", "time per output token (TPOT)", "between two tokens of a request"),
    "itl": Words("ITL", "time between tokens (ITL)", "between two tokens of any request"),
    "e2el": Words("end-to-end latency", "latency end to end", "from arrival to the last token"),
    "ntpot": Words(
        "latency per token", "latency over output tokens", "end-to-end latency per output token"
    ),
    "scheduling_delay": Words(
        "wait before prefill", "wait before the first prefill", "from arrival to the first row"
    ),
}
# What a replica does.
ROLES: Mapping[str, Words] = {
    "both": Words("both", "prefills and decodes", "prefills prompts and decodes their answers"),
    "prefill": Words("prefill", "prefills", "prefills prompts alone"),
    "decode": Words("decode", "decodes", "decodes answers alone"),
}
# How a point of a study ended.
STATUSES: Mapping[str, Words] = {
    "ok": Words("ok", "done", "has numbers"),
    "infeasible": Words("infeasible", "infeasible", "the machine cannot hold or serve it"),
    "bad_input": Words("bad input", "bad input", "its keys are not allowed together"),
    "failed": Words("failed", "failed", "an error of rack-sim's own"),
}
# How a candidate of a sizing ended.
VERDICTS: Mapping[str, Words] = {
    "pruned": Words("ruled out", "ruled out", "ruled out by a bound, without a replay"),
    "fails": Words("fails", "replayed, fails", "replayed, and misses an objective"),
    "meets": Words("meets all", "meets every objective", "replayed, and meets every objective"),
}
GOALS: Mapping[str, Words] = {
    "fewest_chips": Words("fewest chips", "fewest chips", "the fewest chips to buy"),
    "cheapest": Words("cheapest", "cheapest", "the fewest dollars a year"),
    "least_power": Words("least power", "least power", "the least mean power"),
}

# What names of columns have in them of which less is better, and of which more.
_LESS = ("usd", "joules", "watts", "_ms", "chip_count", "rack_count", "bytes")
_MORE = ("tok_s", "rps", "attainment", "tokens_per", "utilisation")


def wants(column: str) -> str:
    """Whether `less` or `more` of a column is better; nothing where that is not for us to say.

    >>> wants("ttft_ms_p99"), wants("output_tokens_per_usd"), wants("seed")
    ('less', 'more', '')
    """
    if any(part in column for part in _MORE):
        return "more"
    return "less" if any(part in column for part in _LESS) else ""
