"""Grid titles: how the columns and the keys of a grid study are called in pictures."""

from rack_sim.foundation.units import UNITS
from rack_sim.metrics.columns import SUMMARY
from rack_sim.metrics.grid_columns import COMPILED
from rack_sim.metrics.words import METRICS, capital
from rack_sim.scenario import GridAxis
from rack_sim.scenario.studies import last_words

_DEFINITIONS = {column.name: column.definition for column in (*COMPILED, *SUMMARY)}


def column_title(name: str) -> str:
    """What a column of results.csv holds, as a heading.

    >>> column_title("ttft_ms_p99")
    'Time to first token (TTFT), p99'
    """
    stem, _, part = name.partition("_ms_")
    if stem in METRICS and part:
        return f"{METRICS[stem].title}, {'median' if part == 'p50' else part}"
    return capital(_DEFINITIONS[name])


def axis_title(axis: GridAxis) -> str:
    """What a key is, with its unit."""
    unit = axis_unit(axis)
    return f"{axis.title}, {unit}" if unit and axis.title != last_words(axis.key) else axis.title


def axis_unit(axis: GridAxis) -> str:
    """The unit of a key's values, as people write it; empty where it has none."""
    return UNITS[axis.unit].words if axis.unit in UNITS else axis.unit
