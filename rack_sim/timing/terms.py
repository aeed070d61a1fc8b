"""Terms: where a latency went. Every duration in rack-sim is the sum of these seven."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """A duration split by cause, in picoseconds.

    fixed latency of dependent operators; the roof that bound each operator (compute, weight feed
    or memory); latency of links; serialisation on links; slack (time spent waiting for the slot).
    """

    fixed_latency_ps: int = 0
    compute_ps: int = 0
    weight_feed_ps: int = 0
    memory_ps: int = 0
    link_latency_ps: int = 0
    link_serialisation_ps: int = 0
    slack_ps: int = 0

    def __add__(self, other: "Terms") -> "Terms":
        return Terms(
            self.fixed_latency_ps + other.fixed_latency_ps,
            self.compute_ps + other.compute_ps,
            self.weight_feed_ps + other.weight_feed_ps,
            self.memory_ps + other.memory_ps,
            self.link_latency_ps + other.link_latency_ps,
            self.link_serialisation_ps + other.link_serialisation_ps,
            self.slack_ps + other.slack_ps,
        )

    @property
    def total_ps(self) -> int:
        """The whole duration."""
        return (
            self.fixed_latency_ps
            + self.compute_ps
            + self.weight_feed_ps
            + self.memory_ps
            + self.link_latency_ps
            + self.link_serialisation_ps
            + self.slack_ps
        )

    def by_name(self) -> dict[str, int]:
        """Picoseconds by term, without the unit suffix: ``{"fixed_latency": …}``."""
        return {name.removesuffix("_ps"): getattr(self, name) for name in self.__slots__}

    def piece(self, number: int, count: int) -> "Terms":
        """A piece's share of an operator: the fixed latency is the first one's, the rest shared."""
        if count == 1:
            return self
        shares = {
            f"{name}_ps": spent * (number + 1) // count - spent * number // count
            for name, spent in self.by_name().items()
        }
        shares["fixed_latency_ps"] = 0 if number else self.fixed_latency_ps
        return Terms(**shares)

    def times(self, count: int) -> "Terms":
        """The split of `count` such durations."""
        return Terms(**{f"{name}_ps": count * ps for name, ps in self.by_name().items()})

    @property
    def largest(self) -> str:
        """The name of the largest term."""
        named = self.by_name()
        return max(named, key=lambda name: named[name])


def total(parts: Iterable[Terms]) -> Terms:
    """The sum of several splits."""
    result = Terms()
    for part in parts:
        result = result + part
    return result


def weighted_total(parts: Iterable[tuple[Terms, int]]) -> Terms:
    """The sum of splits of which each counts so many times."""
    weighted = list(parts)

    def summed(name: str) -> int:
        return sum(getattr(terms, name) * count for terms, count in weighted)

    return Terms(*map(summed, Terms.__slots__))
