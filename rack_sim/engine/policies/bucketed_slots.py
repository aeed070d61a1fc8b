"""Bucketed slots: static slots with a program for each of several lengths of context.

A slot's entry runs the program of the smallest bucket that covers all its rows. An empty one runs
the smallest. So the time from entry to entry depends on what goes in, and what goes in is known
when it enters: if it changes before (an arrival, a completion), so does its time, though never to
the past. Between turning points, which now are also the entries in which a row is the first beyond
its bucket, every slot keeps its program, and a `Timetable` says when entries are.
"""

from bisect import bisect_left
from itertools import islice

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.phased_slots import Owner, PhasedSlots
from rack_sim.engine.policies.timetable import Timetable


class BucketedSlots(PhasedSlots):
    """Phased slots on a timetable, which begins anew at every turning point."""

    def set_up(self) -> None:
        super().set_up()
        latency_ps = [bucket.latency_ps for bucket in self.buckets]
        self.clock = self._table = Timetable(self.slot_count, latency_ps, self.separation_ps)
        self._table.begin(0, [0] * self.slot_count, None, 0)

    def add_prompt(self, sequence: Sequence, now_ps: int) -> None:
        behind = bool(self.prompts)
        super().add_prompt(sequence, now_ps)
        if behind and self._table.holding:  # it may have rows in the entry to come
            self.aim(now_ps)

    def aim(self, now_ps: int) -> None:
        """What goes in at a turning point is known when the entry before has come, not earlier."""
        self._aim_number += 1
        entry = self.turning_point()
        if entry == self._cursor:
            bucket = self._bucket_at(entry)
            at_ps = self._table.earliest(entry, bucket, now_ps)
            self._table.hold(entry)
            self._decide_turn(entry, bucket, at_ps)
            return
        self._table.begin(self._cursor, self._buckets(), entry, now_ps)
        if entry is not None:
            at_ps, subject = self._table.time(entry - 1), (entry, self._aim_number)
            Decision(self.env, at_ps, Priority.ENTRY, self._pass, subject)

    def _pass(self, decision: Decision) -> None:
        """The last entry before a turning point comes now."""
        entry, number = decision.subject
        if number == self._aim_number:
            now = int(self.env.now)
            self._leap(entry)
            self.aim(now)

    def turning_point(self) -> int | None:
        """Also the next entry in which a row is the first beyond its bucket, or asks for less."""
        found = [super().turning_point()]
        if self.prompts:
            prompt = self.prompts[0]
            position = prompt.request.input_tokens - prompt.prompt_left + 1
            covered = self.bucket_bounds[self.bucket_of(position)] - position + 1
            if covered < prompt.prompt_left:
                found.append(self._entry_of_seat(covered // self.seat_rows + 1))
        if self._decodes():
            for owners in self._owners:
                found += [self._owner_changes(owner) for owner in owners if owner.left]
        return min((entry for entry in found if entry is not None), default=None)

    def _owner_changes(self, owner: Owner) -> int | None:
        """The entry from which on a sequence asks for another program in its slot."""
        if owner.next_entry >= self._cursor + self.slot_count:
            return owner.next_entry  # its slot enters once without it
        bound = self.bucket_bounds[self.bucket_of(self._context(owner))]
        if bound == self.context_tokens:
            return None
        # Before turn t it looks at input + 1 + totals[t] positions, and the draft's.
        input_tokens = owner.sequence.request.input_tokens
        beyond = bisect_left(owner.totals, bound + 1 - input_tokens - self.seat_rows)
        turns = beyond - owner.turns
        return owner.next_entry + turns * self.slot_count if turns < owner.left else None

    def _context(self, owner: Owner) -> int:
        """Positions that a sequence's next rows look at, their own included."""
        out = owner.sequence.request.input_tokens + owner.totals[owner.turns]
        return min(out + self.seat_rows, self.context_tokens)

    def _buckets(self) -> list[int]:
        """The program of every slot, from the cursor up to the turning point."""
        decodes, end = self._decodes(), self._cursor + self.slot_count
        prompt_bucket = 0
        if self.prompts:
            prompt = self.prompts[0]
            position = prompt.request.input_tokens - prompt.prompt_left + 1
            prompt_bucket = self.bucket_of(position)
        found = []
        for owners in self._owners:
            room = self.prefill_first or len(owners) < self.seats
            bucket = prompt_bucket if room else 0
            if decodes:
                for owner in owners:
                    if owner.left and owner.next_entry < end:
                        bucket = max(bucket, self.bucket_of(self._context(owner)))
            found.append(bucket)
        return found

    def _bucket_at(self, entry: int) -> int:
        """The smallest bucket that covers all that goes in at the next entry, a turning point."""
        owners = self._owners[entry % self.slot_count]
        ready = [owner for owner in owners if owner.next_entry == entry and owner.left]
        rows = self.seats if self.prefill_first else self.seats - len(owners)
        longest = 0
        for prompt in islice(self.prompts, rows):
            part = min(rows, self.seats_for(prompt.prompt_left))
            if not part:
                break
            rows -= part
            left = max(prompt.prompt_left - part * self.seat_rows, 0)
            longest = max(longest, prompt.request.input_tokens - left)
        for owner in ready[:rows] if self.prefill_first else ready:
            longest = max(longest, self._context(owner))
        return self.bucket_of(longest)
