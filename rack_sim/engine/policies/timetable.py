"""Timetable: when slots enter whose programs differ.

An entry comes no sooner than the separation of its program from that of the entry before, and no
sooner than the latency of its slot's last program after that one's entry:

    t[g] = max(t[g - 1] + separation[b[g - 1]][b[g]],  t[g - S] + latency[b[g - S]])

As long as every slot keeps its program, entries come to repeat: the recurrence only adds and takes
the larger, so once a revolution is the one before it moved by the same time everywhere, all that
follow are. What comes before is written out, the rest is a formula. Where the separations around
the slots bind that is at once; where the longest latency does, a slot that comes round a little
sooner gains that much in a revolution until it is close behind the one before it. That has no
bound but the length of the phase; with programs of one plan it was three revolutions at most.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

_NEVER = -(10**24)


class Timetable:
    """The entries of one replica: those past, as far as they matter, and those of a phase to come.

    A phase begins at an entry; every slot has one program in it until the next phase begins.
    """

    def __init__(
        self,
        slot_count: int,
        latency_ps: Sequence[int],
        separation_ps: Sequence[Sequence[int]],
    ) -> None:
        self.slot_count = slot_count
        self._latency_ps = latency_ps
        self._separation_ps = separation_ps
        # Of every slot the last entry; at first none, and entry 0 may come at 0.
        self._past_ps = [_NEVER] * slot_count
        self._past_bucket = [0] * slot_count
        self.buckets: list[int] = []
        self._first = 0
        self._times: list[int] = []
        self.period_ps = 0

    def earliest(self, entry: int, bucket: int, not_before_ps: int) -> int:
        """When the next entry comes with the program of `bucket`."""
        slot = entry % self.slot_count
        return max(
            not_before_ps,
            self._past_ps[slot - 1] + self._separation_ps[self._past_bucket[slot - 1]][bucket],
            self._past_ps[slot] + self._latency_ps[self._past_bucket[slot]],
        )

    def enter(self, entry: int, bucket: int, at_ps: int) -> None:
        """The next entry came, by itself and not in a phase."""
        slot = entry % self.slot_count
        self._past_ps[slot] = at_ps
        self._past_bucket[slot] = bucket

    def hold(self, entry: int) -> None:
        """No phase: when `entry` comes, which is the next, is decided by what will go in it."""
        self._first, self._times, self.period_ps = entry, [], 0

    @property
    def holding(self) -> bool:
        """Whether there is no phase."""
        return not self._times

    def begin(self, first: int, buckets: list[int], end: int | None, not_before_ps: int) -> None:
        """A phase begins at the next entry, `first`, with a program for every slot, up to `end`."""
        slots = self.slot_count
        self.buckets, self._first = buckets, first
        order = [(first + place) % slots for place in range(slots)]
        latency = [self._latency_ps[buckets[slot]] for slot in order]
        apart = [self._separation_ps[buckets[slot - 1]][buckets[slot]] for slot in order]
        at = self.earliest(first, buckets[order[0]], not_before_ps)
        times = self._times = [at]
        for place in range(1, slots):
            slot = order[place]
            back = self._past_ps[slot] + self._latency_ps[self._past_bucket[slot]]
            at = max(at + apart[place], back)
            times.append(at)
        self.period_ps = 0
        while end is None or first + len(times) < end:
            base = len(times) - slots
            for place in range(slots):
                at = max(at + apart[place], times[base + place] + latency[place])
                times.append(at)
            moved = times[base + slots] - times[base]
            if all(times[base + slots + i] - times[base + i] == moved for i in range(1, slots)):
                self.period_ps = moved
                return

    def written_out(self, entry: int) -> bool:
        """Whether the next entry of this one's slot need not be a period later."""
        return not self.period_ps or entry - self._first < len(self._times) - self.slot_count

    def time(self, entry: int) -> int:
        """When an entry of the phase comes."""
        place, known = entry - self._first, len(self._times)
        if place < known:
            return self._times[place]
        turns, rest = divmod(place - (known - self.slot_count), self.slot_count)
        return self._times[known - self.slot_count + rest] + turns * self.period_ps

    def entry_at(self, now_ps: int) -> int:
        """The first entry of the phase not before `now_ps`; one beyond it where there is none."""
        times = self._times
        if not self.period_ps or now_ps <= times[-1]:
            return self._first + bisect_left(times, now_ps)
        turns = -(-(now_ps - times[-1]) // self.period_ps)
        low = len(times) - self.slot_count
        place = bisect_left(times, now_ps - turns * self.period_ps, low)
        return self._first + place + turns * self.slot_count

    def bucket_of(self, slot: int) -> int:
        """The bucket of a slot's program in the phase."""
        return self.buckets[slot]

    def turns(self, entry: int, count: int) -> Iterator[tuple[int, int, int]]:
        """`entry` and the next of its slot, `count` in all: a time, a gap and how many so apart."""
        while count and self.written_out(entry):
            yield self.time(entry), 1, 1
            entry += self.slot_count
            count -= 1
        if count:
            yield self.time(entry), self.period_ps, count

    def leave(self, first: int, end: int) -> None:
        """Entries of the phase up to `end` came; `first` is the first of them not yet told."""
        for entry in range(max(first, end - self.slot_count), end):
            slot = entry % self.slot_count
            self._past_ps[slot] = self.time(entry)
            self._past_bucket[slot] = self.buckets[slot]
