"""Phased slots: static slots where neighbours do change when a sequence has its turns.

Between two turning points nothing changes but how far everybody is: prompts take the same rows of
every revolution, and a sequence sends a row in each or in none. Turning points are entries: the
last row of a prompt, the last row of a sequence; and whatever happens between entries: an arrival,
a completion, a request given up. From one to the next every sequence is moved on by one formula
(`_leap`); the entry at a turning point is looked at row by row (`_visit`). When entries come, and
which program is in a slot, a clock says: an `EvenClock`, or a `Timetable` (see `bucketed_slots`).

With `priority: prefill` prompts come first: while any waits, every row of every entry is theirs,
and a sequence whose row is taken skips that turn. In the entry in which prompts run out, the rows
that are left serve the slot's sequences in the order in which they came to own a row.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.slot_server import IndexedTokens, SlotServer
from rack_sim.engine.timeline import PROMPT


@dataclass(slots=True, eq=False)
class Owner:
    """A decoding sequence: `next_entry` is its next turn if nobody takes it; `left` turns are left.

    ``totals[t]`` tokens after the first are out after t turns; `leaves_ps` is when those of the
    last turn leave.
    """

    sequence: Sequence
    totals: IndexedTokens
    next_entry: int
    left: int
    leaves_ps: int
    gaps: Counter[int] = field(default_factory=Counter)

    @property
    def turns(self) -> int:
        """Turns it had."""
        return len(self.totals) - 1 - self.left


class Clock(Protocol):
    """When entries come, up to the next turning point, and the program of each slot."""

    def time(self, entry: int) -> int:
        """When an entry comes."""

    def entry_at(self, now_ps: int) -> int:
        """The first entry not before `now_ps`."""

    def bucket_of(self, slot: int) -> int:
        """The bucket whose program a slot runs."""

    def turns(self, entry: int, count: int) -> Iterator[tuple[int, int, int]]:
        """`entry` and the next of its slot, `count` in all: a time, a gap and how many so apart."""

    def enter(self, entry: int, bucket: int, at_ps: int) -> None:
        """An entry came that was looked at row by row."""

    def leave(self, first: int, end: int) -> None:
        """Entries from `first` up to `end` came."""


class EvenClock:
    """The clock of a single program: entries are one interval apart, whatever goes in."""

    def __init__(self, interval_ps: int, slot_count: int) -> None:
        self._interval_ps = interval_ps
        self._revolution_ps = slot_count * interval_ps

    def time(self, entry: int) -> int:
        return entry * self._interval_ps

    def entry_at(self, now_ps: int) -> int:
        return -(-now_ps // self._interval_ps)

    def bucket_of(self, slot: int) -> int:
        return 0

    def turns(self, entry: int, count: int) -> Iterator[tuple[int, int, int]]:
        yield self.time(entry), self._revolution_ps, count

    def enter(self, entry: int, bucket: int, at_ps: int) -> None:
        pass

    def leave(self, first: int, end: int) -> None:
        pass


class PhasedSlots(SlotServer):
    """The engine that moves everybody on from one turning point to the next.

    Where programs differ, more entries are turning points, and what goes in at one decides when it
    comes: a subclass says so in `turning_point` and `aim`, and brings its clock.
    """

    def set_up(self) -> None:
        self.clock: Clock = EvenClock(self.interval_ps, self.slot_count)
        # How long after its entry a row of a program has its token.
        self._token_after_ps = [bucket.token_ps for bucket in self.buckets] or [self.token_ps]
        self._owners: list[list[Owner]] = [[] for _ in range(self.slot_count)]
        # Everything that entered before this entry is in the books.
        self._cursor = 0
        self._aim_number = 0

    def free_seat_count(self) -> int:
        return self.seat_count - sum(len(owners) for owners in self._owners)

    def final_before_ps(self, now_ps: int) -> int:
        self._leap(self._entry_at(now_ps))
        return now_ps

    def add_prompt(self, sequence: Sequence, now_ps: int) -> None:
        if self.prompts:
            self.prompts.append(sequence)
            return
        self._leap(self._entry_at(now_ps))
        self.prompts.append(sequence)
        self.aim(now_ps)

    def withdraw(self, sequence: Sequence, now_ps: int) -> int:
        turns = 0
        self._leap(self._entry_at(now_ps))
        if sequence.prompt_left:
            self.prompts.remove(sequence)
        else:
            owner = self._disown(sequence)
            turns = owner.turns
            sequence.emitted = 1 + owner.totals[turns]
        self.aim(now_ps)
        return turns

    def _entry_at(self, now_ps: int) -> int:
        """The first entry not before `now_ps` that is not in the books."""
        return max(self._cursor, self.clock.entry_at(now_ps))

    def _decodes(self) -> bool:
        """Whether sequences have their turns: while prompts wait that come first, they do not."""
        return not (self.prefill_first and self.prompts)

    def aim(self, now_ps: int) -> None:
        """Finds the next turning point among the entries to come, none of them before `now_ps`."""
        self._aim_number += 1  # a decision aimed earlier is void
        entry = self.turning_point()
        if entry is not None:
            self._decide_turn(entry, 0, self.clock.time(entry))

    def _decide_turn(self, entry: int, bucket: int, at_ps: int) -> None:
        subject = (entry, bucket, self._aim_number)
        Decision(self.env, at_ps, Priority.ENTRY, self._turn, subject)

    def turning_point(self) -> int | None:
        """The next entry in which somebody's last row enters."""
        slots = self.slot_count
        found = self._prompt_end()
        if self._decodes():
            for owners in self._owners:
                for owner in owners:
                    if owner.left:
                        last = owner.next_entry + (owner.left - 1) * slots
                        if found is None or last < found:
                            found = last
        return found

    def _prompt_end(self) -> int | None:
        """The entry in which the first prompt's last row enters."""
        if not self.prompts:
            return None
        return self._entry_of_seat(self.seats_for(self.prompts[0].prompt_left))

    def _entry_of_seat(self, number: int) -> int | None:
        """The entry in which prompts get their seat `number` from the cursor on, counted from 1."""
        if self.prefill_first:
            return self._cursor + (number - 1) // self.seats
        free = self._free_by_turn()
        total = sum(free)
        if not total:
            return None  # the next completion aims again
        turns, rest = divmod(number - 1, total)
        offset = next(i for i, rows in enumerate(accumulate(free)) if rows > rest)
        return self._cursor + turns * self.slot_count + offset

    def _free_by_turn(self) -> list[int]:
        """Rows that prompts get in the entries of one revolution, from the cursor on."""
        if self.prefill_first:
            return [self.seats] * self.slot_count
        first = self._cursor % self.slot_count
        free = [self.seats - len(owners) for owners in self._owners]
        return free[first:] + free[:first]

    def _turn(self, decision: Decision) -> None:
        """A turning point: the books are brought up to it, then its entry is looked at."""
        entry, bucket, number = decision.subject
        if number == self._aim_number:
            now = int(self.env.now)
            self._leap(entry)
            self.clock.enter(entry, bucket, now)
            self._visit(entry, now, bucket)
            self.count_busy(1, bucket)
            self.aim(now)

    def _leap(self, end: int) -> None:
        """Puts the entries from the cursor up to `end` into the books; no turning point among them.

        Every sequence has at least one turn left at `end`, every prompt a row.
        """
        if end <= self._cursor:
            return
        decodes, slots = self._decodes(), self.slot_count
        if self.prompts:
            self._leap_prompt(end)
        for slot, owners in enumerate(self._owners):
            most = 0
            for owner in owners:
                if not owner.left or owner.next_entry >= end:
                    continue
                turns = (end - 1 - owner.next_entry) // slots + 1
                if decodes:
                    self._send_turns(owner, turns)
                    most = max(most, turns)
                owner.next_entry += turns * slots
            if self.prompts:  # every entry is busy
                first = self._cursor + (slot - self._cursor) % slots
                most = max(-(-(end - first) // slots), 0)
            if most:
                self.count_busy(most, self.clock.bucket_of(slot))
        self.clock.leave(self._cursor, end)
        self._cursor = end

    def _leap_prompt(self, end: int) -> None:
        """The first prompt takes the rows that are there for prompts up to `end`."""
        free = self._free_by_turn()
        sums = [0, *accumulate(free)]
        start, sequence, bin_ps = self._cursor, self.prompts[0], self.line.bin_ps
        if not sums[-1]:
            return
        if sequence.prefill_start_ps < 0:
            begins = start + next(i for i, rows in enumerate(free) if rows)
            if begins < end:
                sequence.prefill_start_ps = self.clock.time(begins)
        at, taken = start, 0
        while at < end:
            # One piece per timeline bin, so that tokens are counted where they entered.
            at_ps = self.clock.time(at)
            bin_end_ps = (at_ps // bin_ps + 1) * bin_ps
            stop = min(end, max(self._entry_at(bin_end_ps), at + 1))
            turns, rest = divmod(stop - start, self.slot_count)
            rows = turns * sums[-1] + sums[rest]
            self.line.count(PROMPT, at_ps, (rows - taken) * self.seat_rows)
            at, taken = stop, rows
        sequence.prompt_left -= taken * self.seat_rows
        for place, rows in enumerate(free):
            turns = max(-(-(end - start - place) // self.slot_count), 0)
            bucket = self.clock.bucket_of((start + place) % self.slot_count)
            self.count_rows(turns * rows * self.seat_rows, bucket)

    def _send_turns(self, owner: Owner, turns: int) -> None:
        """A sequence's rows enter, from its next entry on one in a revolution."""
        bucket = self.clock.bucket_of(owner.sequence.slot)
        token_ps = self._token_after_ps[bucket]
        for at_ps, gap_ps, count in self.clock.turns(owner.next_entry, turns):
            self._send(owner, at_ps + token_ps, gap_ps, count, bucket)

    def _send(self, owner: Owner, first_ps: int, gap_ps: int, turns: int, bucket: int) -> None:
        """Rows have entered whose tokens leave at `first_ps`, `first_ps` + `gap_ps`, …"""
        if self.speculation:
            had, totals = owner.turns, owner.totals
            self.line.add_output_turns(first_ps, gap_ps, totals, range(had, had + turns))
            at_once = totals[had + turns] - totals[had] - turns
            if at_once:
                owner.gaps[0] += at_once
        else:
            self.line.add_output_tokens(first_ps, gap_ps, turns)
        owner.gaps[first_ps - owner.leaves_ps] += 1
        if turns > 1:
            owner.gaps[gap_ps] += turns - 1
        owner.leaves_ps = first_ps + (turns - 1) * gap_ps
        owner.left -= turns
        self.count_rows(turns * self.seat_rows, bucket)
        if not owner.left:
            self._ends(owner)

    def _visit(self, entry: int, now: int, bucket: int) -> None:
        """One entry row by row: prompts and sequences may end in it."""
        slots = self.slot_count
        owners = self._owners[entry % slots]
        ready = [owner for owner in owners if owner.next_entry == entry and owner.left]
        rows = self.seats if self.prefill_first else self.seats - len(owners)
        rows_left = rows - self._visit_prompts(entry, rows, now, bucket)
        served = ready[:rows_left] if self.prefill_first else ready
        for owner in served:
            self._send(owner, now + self._token_after_ps[bucket], 1, 1, bucket)
        for owner in ready:
            owner.next_entry += slots
        self._cursor = entry + 1

    def _visit_prompts(self, entry: int, rows: int, now: int, bucket: int) -> int:
        """Prompts take up to `rows` rows of one entry; returns how many they took."""
        taken = 0
        while taken < rows and self.prompts:
            sequence = self.prompts[0]
            if sequence.prefill_start_ps < 0:
                sequence.prefill_start_ps = now
            part = min(rows - taken, self.seats_for(sequence.prompt_left))
            tokens = min(part * self.seat_rows, sequence.prompt_left)
            sequence.prompt_left -= tokens
            self.line.count(PROMPT, now, tokens)
            self.count_rows(tokens, bucket)
            taken += part
            if not sequence.prompt_left:
                self.prompts.popleft()
                self._own(sequence, entry, now, self._token_after_ps[bucket])
        return taken

    def _own(self, sequence: Sequence, entry: int, now: int, token_ps: int) -> None:
        """A prompt is done: its sequence owns a row of this slot, or of the next that has one."""
        self._prefilled(sequence)
        sequence.prefill_end_ps = now
        sequence.first_token_ps = now + token_ps
        away = 0
        while len(self._owners[(entry + away) % self.slot_count]) == self.seats:
            away += 1
        sequence.slot = (entry + away) % self.slot_count
        totals = self.turns_of(sequence.request)
        owner = Owner(
            sequence,
            totals,
            # The first token must be back, so its row of this revolution is too early.
            next_entry=entry + away + self.slot_count,
            left=len(totals) - 1,
            leaves_ps=sequence.first_token_ps,
        )
        self._owners[sequence.slot].append(owner)
        self.line.add_output_tokens(sequence.first_token_ps, 1, 1)
        if not owner.left:
            self._ends(owner)

    def _ends(self, owner: Owner) -> None:
        """The last row has entered: the sequence is finished when its token leaves."""
        number = owner.sequence.request.request_id
        Decision(
            self.env, owner.leaves_ps, Priority.COMPLETION, self._finish, owner.sequence, number
        )

    def _finish(self, decision: Decision) -> None:
        """The last token leaves now."""
        sequence: Sequence = decision.subject
        if sequence.ended:  # given up
            return
        now = int(self.env.now)
        sequence.finish_ps = now
        if self.prompts:
            self._leap(self._entry_at(now))
        owner = self._disown(sequence)
        if self.prompts:
            self.aim(now)
        self._complete(sequence, now, owner.turns, owner.gaps)

    def _disown(self, sequence: Sequence) -> Owner:
        """The row that a sequence owns is free."""
        owners = self._owners[sequence.slot]
        place = next(i for i, owner in enumerate(owners) if owner.sequence is sequence)
        return owners.pop(place)
