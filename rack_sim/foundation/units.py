"""Units: every quantity has one base unit inside, and this file is the only border.

Base units: integer picoseconds, integer bytes, integer FLOP (one multiply-add is 2 FLOP), integer
bytes per second per direction, watts, US dollars. 1 GB is 10**9 bytes and 1 GiB is 2**30 bytes.

A key in a file carries its unit as a suffix (``latency_ns``, ``capacity_mib``). `split_unit` reads
the suffix, `to_base` converts the value. Conversions are exact rational arithmetic, never floats,
so that no machine rounds differently from another.
"""

from dataclasses import dataclass
from fractions import Fraction

PS_PER_NS = 10**3
PS_PER_US = 10**6
PS_PER_MS = 10**9
PS_PER_S = 10**12


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as the suffix of a key: what it measures and how many base units it is.

    `factor` is the number of base units (see `BASE_SUFFIX`) in one of this unit, `words` how people
    write it.
    """

    suffix: str
    dimension: str
    factor: int
    words: str


_UNITS = (
    Unit("ps", "time", 1, "ps"),
    Unit("ns", "time", PS_PER_NS, "ns"),
    Unit("us", "time", PS_PER_US, "µs"),
    Unit("ms", "time", PS_PER_MS, "ms"),
    Unit("s", "time", PS_PER_S, "s"),
    Unit("bytes", "size", 1, "bytes"),
    Unit("kb", "size", 10**3, "kB"),
    Unit("mb", "size", 10**6, "MB"),
    Unit("gb", "size", 10**9, "GB"),
    Unit("tb", "size", 10**12, "TB"),
    Unit("kib", "size", 2**10, "KiB"),
    Unit("mib", "size", 2**20, "MiB"),
    Unit("gib", "size", 2**30, "GiB"),
    Unit("tib", "size", 2**40, "TiB"),
    Unit("bytes_per_s", "bandwidth", 1, "B/s"),
    Unit("mbytes_per_s", "bandwidth", 10**6, "MB/s"),
    Unit("gbytes_per_s", "bandwidth", 10**9, "GB/s"),
    Unit("tbytes_per_s", "bandwidth", 10**12, "TB/s"),
    Unit("pbytes_per_s", "bandwidth", 10**15, "PB/s"),
    Unit("tibytes_per_s", "bandwidth", 2**40, "TiB/s"),
    Unit("flop_per_s", "compute", 1, "FLOP/s"),
    Unit("gflop_per_s", "compute", 10**9, "GFLOP/s"),
    Unit("tflop_per_s", "compute", 10**12, "TFLOP/s"),
    Unit("pflop_per_s", "compute", 10**15, "PFLOP/s"),
    Unit("hz", "frequency", 1, "Hz"),
    Unit("mhz", "frequency", 10**6, "MHz"),
    Unit("ghz", "frequency", 10**9, "GHz"),
)
UNITS: dict[str, Unit] = {unit.suffix: unit for unit in _UNITS}
BASE_SUFFIX: dict[str, str] = {
    "time": "ps",
    "size": "bytes",
    "bandwidth": "bytes_per_s",
    "compute": "flop_per_s",
    "frequency": "hz",
}
_LONGEST_FIRST = sorted(UNITS, key=len, reverse=True)


def split_unit(key: str) -> tuple[str, Unit] | None:
    """Stem and unit of a key: ``split_unit("link_latency_ns")`` is ``("link_latency", ns)``.

    None where the key ends in no known unit.
    """
    for suffix in _LONGEST_FIRST:
        if key.endswith("_" + suffix):
            return key[: -len(suffix) - 1], UNITS[suffix]
    return None


def suffixes_of(dimension: str) -> list[str]:
    """Every suffix that measures `dimension`, smallest unit first."""
    return [unit.suffix for unit in _UNITS if unit.dimension == dimension]


def to_base(value: int | float, unit: Unit) -> int:
    """`value` in `unit` as a whole number of base units, rounded up.

    A float is read as the shortest decimal that names it (12.5, not its binary expansion), so
    what a file says is what is converted.
    """
    return _ceil(Fraction(str(value)) * unit.factor)


def seconds_to_ps(seconds: float | Fraction) -> int:
    """Seconds as picoseconds, rounded up. The one place where seconds become time.

    A float is read as the shortest decimal that names it, as in `to_base`.
    """
    exact = seconds if isinstance(seconds, Fraction) else Fraction(str(seconds))
    return _ceil(exact * PS_PER_S)


def work_to_ps(amount: int, per_s: int) -> int:
    """Time that `amount` (bytes, FLOP, cycles) takes at the rate `per_s`, rounded up, exact."""
    return -(-amount * PS_PER_S // per_s)


def counted(count: int, noun: str) -> str:
    """``counted(1, "token") == "1 token"``, ``counted(2000, "token") == "2,000 tokens"``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_ms(ps: int) -> str:
    """Picoseconds as decimal milliseconds, exact: ``format_ms(1) == "0.000000001"``."""
    sign = "-" if ps < 0 else ""
    whole, part = divmod(abs(ps), PS_PER_MS)
    return f"{sign}{whole}.{part:09d}"


def format_bytes(count: int) -> str:
    """Bytes for people, decimal units: ``format_bytes(68_976_648_192) == "68.98 GB"``."""
    for suffix, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(count) >= size:
            return f"{count / size:.2f} {suffix}"
    return f"{count} B"


def format_time(ps: int) -> str:
    """A duration for people: ``format_time(3_330_000_000) == "3.33 ms"``."""
    for suffix, size in (("s", PS_PER_S), ("ms", PS_PER_MS), ("µs", PS_PER_US), ("ns", PS_PER_NS)):
        if abs(ps) >= size:
            return f"{ps / size:.2f} {suffix}"
    return f"{ps} ps"


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
