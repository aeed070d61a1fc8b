"""Jitter text: a user's speed and the tail of a token's time, by the jitter of operators."""

from collections.abc import Callable, Iterator

from rack_sim.foundation.units import PS_PER_MS, counted, format_time
from rack_sim.record.record import Record
from rack_sim.record.table import Row
from rack_sim.report.numbers import number_text, share
from rack_sim.report.text import Line, TextTable, study_head

# Of a replay in the JSON: its columns.
_REPLAY = (
    "operator_jitter_ns",
    "tok_s_per_user",
    "tok_s",
    "kept_share",
    "token_gap_ms_mean",
    "token_gap_ms_p99",
)


def jitter_text(study: Record) -> Iterator[Line]:
    """Two tables: a user's tokens per second, and the tail of a token's time."""
    machines = _by_machine(study)
    first = next(iter(machines.values()))
    columns = [("machine", "left"), *((_jitter_words(row), "right") for row in first)]
    shown: tuple[tuple[str, Callable[[Row], str]], ...] = (
        ("tokens/s of a user, by mean extra time of an operator", _speed),
        ("time between two tokens of a user, p99", _tail),
    )
    for title, cell in shown:
        rows = [(name, *map(cell, replays)) for name, replays in machines.items()]
        yield TextTable(f"{study.name}: {title}", columns, rows)


def jitter_answers(study: Record) -> Iterator[str]:
    """Of each machine, its speed as compiled and with the largest jitter."""
    for name, rows in _by_machine(study).items():
        ordered = sorted(rows, key=lambda row: float(row["operator_jitter_ns"] or 0))
        first, last = ordered[0], ordered[-1]
        chips = counted(int(first["chip_count"] or 0), "chip")
        yield (
            f"{name}{'' if name == chips else f', {chips}'}: "
            f"{number_text(first['tok_s_per_user'])} tokens/s per user as compiled, "
            f"{number_text(last['tok_s_per_user'])} where an operator takes "
            f"{number_text(last['operator_jitter_ns'])} ns more on average: "
            f"{share(last['kept_share'])} of it is kept"
        )


def jitter_content(study: Record) -> dict[str, object]:
    """Every machine with its replays."""
    # Of each replay, that of the last stage stands last.
    slips = {
        (row["machine"], row["operator_jitter_ns"]): row["slip_ms_mean"]
        for row in study.rows("slip.csv")
    }
    return {
        **study_head(study),
        "machines": [
            {
                "name": name,
                "chip_count": replays[0]["chip_count"],
                "replays": [
                    {
                        **{key: row[key] for key in _REPLAY},
                        "last_stage_slip_ms_mean": slips[name, row["operator_jitter_ns"]],
                    }
                    for row in replays
                ],
            }
            for name, replays in _by_machine(study).items()
        ],
    }


def _by_machine(study: Record) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in study.rows("jitter.csv"):
        found.setdefault(str(row["machine"]), []).append(row)
    return found


def _speed(row: Row) -> str:
    return f"{row['tok_s_per_user']:,.0f} ({row['kept_share']:.0%})"


def _tail(row: Row) -> str:
    return format_time(round(float(row["token_gap_ms_p99"] or 0) * PS_PER_MS))


def _jitter_words(row: Row) -> str:
    jitter_ns = row["operator_jitter_ns"]
    return f"{jitter_ns:,.10g} ns" if jitter_ns else "none"
