"""Static slots: serving on a statically scheduled pipeline, one closed form per decision.

Slot k of S enters the first stage at entries g = k, k + S, k + 2S, …; entry g is at time g x II.
A slot has `rows` rows. A decoding sequence owns one row of one slot; the other rows of every
passing slot take prompt tokens, first come first served. The row that carried a sequence's last
prompt token is the row it owns from then on, and its tokens leave the last stage `token_ps` after
each entry, one per revolution, whatever its neighbours do.

Between two decisions (arrival, last prompt row, completion) the free rows of the slots are a
periodic sequence of integers, so the entry at which a prompt is done is a division and a search
inside one revolution, not a walk along the slots. `stepped_slots` walks, and must agree.
"""

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.slot_server import IndexedTokens, SlotServer
from rack_sim.engine.timeline import OUTPUT, PROMPT


class StaticSlots(SlotServer):
    """The engine that computes the time between decisions."""

    def set_up(self) -> None:
        # Free rows of each slot, and 1 for each slot in which no sequence decodes.
        self._free = [self.seats] * self.slot_count
        self._idle = [1] * self.slot_count
        self._free_total = self.seat_count
        self._idle_total = self.slot_count
        self._owned_since = [0] * self.slot_count
        # The first prompt takes rows from entry `_cursor` on, where `_spent` are already gone.
        self._cursor = 0
        self._spent = 0
        # The entry at which the first prompt is done, and how many rows are gone there by then.
        self._done_entry = -1
        self._done_rows = 0
        self._aim_number = 0
        # With a draft: how many tokens each decoding request has after so many turns.
        self._totals: dict[int, IndexedTokens] = {}

    def free_seat_count(self) -> int:
        return self._free_total

    def final_before_ps(self, now_ps: int) -> int:
        return min(now_ps, self._cursor * self.interval_ps) if self.prompts else now_ps

    def add_prompt(self, sequence: Sequence, now_ps: int) -> None:
        self.prompts.append(sequence)
        if len(self.prompts) == 1:
            entry = self._entry_at(now_ps)
            if entry > self._cursor:
                self._cursor, self._spent = entry, 0
            self._aim()

    def withdraw(self, sequence: Sequence, now_ps: int) -> int:
        turns = 0
        if self.prompts:
            self._use_rows_until(self._entry_at(now_ps))
        if sequence.prompt_left:
            first = self.prompts[0] is sequence
            self.prompts.remove(sequence)
            if sequence.prefill_start_ps >= now_ps:
                sequence.prefill_start_ps = -1
            if not first:
                return turns
            self._aim_number += 1  # it will not be done
        else:
            turns = self._stop_decoding(sequence, now_ps)
        if self.prompts:
            self._aim()
        return turns

    def _stop_decoding(self, sequence: Sequence, now_ps: int) -> int:
        """Takes back the tokens of rows that would have entered from `now_ps` on.

        Returns how many turns entered before.
        """
        number = sequence.request.request_id
        totals = self._totals.pop(number, None) or self.turns_of(sequence.request)
        entered = (now_ps - sequence.prefill_end_ps - 1) // self.revolution_ps
        turns = min(len(totals) - 1, entered)
        self._count_turns(sequence, totals, turns, -1)
        sequence.emitted = 1 + totals[turns]
        sequence.finish_ps = -1
        self.row_step_count += turns * self.seat_rows
        first_entry = sequence.prefill_end_ps // self.interval_ps
        self._disown(sequence.slot, first_entry + turns * self.slot_count)
        return turns

    def _count_turns(
        self, sequence: Sequence, totals: IndexedTokens, first: int, each: int
    ) -> None:
        """Counts the tokens of turn `first` and later ones in the timeline, or takes them back."""
        first_ps = sequence.first_token_ps + (first + 1) * self.revolution_ps
        turns = range(first, len(totals) - 1)
        self.line.add_output_turns(first_ps, self.revolution_ps, totals, turns, each)

    def _entry_at(self, now_ps: int) -> int:
        """The first entry not before `now_ps`."""
        return -(-now_ps // self.interval_ps)

    def _aim(self) -> None:
        """Computes at which entry the first prompt is done, and decides then.

        There must be a prompt.
        """
        self._aim_number += 1  # a decision aimed earlier is void
        if not self._free_total:
            return  # the next completion aims again
        sequence = self.prompts[0]
        # Rows already spent at the cursor's entry come off the first sum.
        needed = -(-sequence.prompt_left // self.seat_rows) + self._spent
        turns, rest = divmod(needed - 1, self._free_total)
        first = self._cursor % self.slot_count
        turn = self._free[first:] + self._free[:first]
        offset, before = self._place_of(rest, turn)
        self._done_entry = self._cursor + turns * self.slot_count + offset
        self._done_rows = rest + 1 - before
        if sequence.prompt_left == sequence.request.input_tokens - sequence.hit_tokens:
            # Not begun: a row that was freed since may be an earlier one.
            skipped = 0
            if turn[0] <= self._spent:
                left = self._spent < self._free_total
                skipped = self._place_of(self._spent, turn)[0] if left else self._first_free(turn)
            sequence.prefill_start_ps = (self._cursor + skipped) * self.interval_ps
        Decision(
            self.env,
            self._done_entry * self.interval_ps,
            Priority.ENTRY,
            self._prompt_done,
            self._aim_number,
        )

    def _place_of(self, number: int, turn: list[int]) -> tuple[int, int]:
        """The slot of a turn that has free row `number` (from 0), and the rows before that slot.

        No slot has more rows than `seats`, so so many slots can be passed at once.
        """
        at = before = 0
        while passed := (number - before) // self.seats:
            before += sum(turn[at : at + passed])
            at += passed
        while before + turn[at] <= number:
            before += turn[at]
            at += 1
        return at, before

    def _first_free(self, turn: list[int]) -> int:
        """Entries from the cursor to the next turn's first free row: this turn has none left."""
        return self.slot_count + next(i for i, free in enumerate(turn) if free)

    def _prompt_done(self, decision: Decision) -> None:
        """The first prompt's last row enters now; that row is the sequence's own from here on."""
        if decision.subject != self._aim_number:
            return
        entry = self._done_entry
        now, slot = entry * self.interval_ps, entry % self.slot_count
        self._use_rows_until(entry)
        sequence = self.prompts.popleft()
        self._cursor = entry
        last_rows = sequence.prompt_left
        self.line.count(PROMPT, now, last_rows)
        self.row_step_count += last_rows
        sequence.prompt_left = 0
        self._spent = self._done_rows - 1
        if self._idle[slot]:
            self._idle[slot] = 0
            self._idle_total -= 1
            self._owned_since[slot] = entry
        self._free[slot] -= 1
        self._free_total -= 1

        self._prefilled(sequence)
        sequence.slot = slot
        sequence.prefill_end_ps = now
        sequence.first_token_ps = now + self.token_ps
        turns = sequence.request.output_tokens - 1
        if self.speculation:
            totals = self._totals[sequence.request.request_id] = self.turns_of(sequence.request)
            turns = len(totals) - 1
            self.line.count(OUTPUT, sequence.first_token_ps)
            self._count_turns(sequence, totals, 0, 1)
        else:
            self.line.add_output_tokens(sequence.first_token_ps, self.revolution_ps, turns + 1)
        sequence.finish_ps = sequence.first_token_ps + turns * self.revolution_ps
        Decision(
            self.env,
            sequence.finish_ps,
            Priority.COMPLETION,
            self._finish,
            sequence,
            sequence.request.request_id,
        )
        if self.prompts:
            self._aim()

    def _finish(self, decision: Decision) -> None:
        """The last token leaves now."""
        sequence: Sequence = decision.subject
        if sequence.ended:  # given up
            return
        now = sequence.finish_ps
        if self.prompts:
            self._use_rows_until(self._entry_at(now))
        last_entry = (now - self.token_ps) // self.interval_ps
        first_entry = sequence.prefill_end_ps // self.interval_ps
        turns = (last_entry - first_entry) // self.slot_count
        self.row_step_count += turns * self.seat_rows
        self._disown(sequence.slot, last_entry)
        if self.prompts:
            self._aim()
        gaps = {self.revolution_ps: turns} if turns else {}
        if self.speculation:
            del self._totals[sequence.request.request_id]
            at_once = sequence.request.output_tokens - 1 - turns
            if at_once:
                gaps[0] = at_once
        self._complete(sequence, now, turns, gaps)

    def _use_rows_until(self, entry: int) -> None:
        """The first prompt takes every free row from the cursor up to `entry`, not included."""
        interval_ps, bin_ps = self.interval_ps, self.line.bin_ps
        while self._cursor < entry:
            # One piece per timeline bin, so that tokens are counted where they entered.
            at_ps = self._cursor * interval_ps
            bin_end_ps = (at_ps // bin_ps + 1) * bin_ps
            end = entry if entry * interval_ps <= bin_end_ps else self._entry_at(bin_end_ps)
            taken = self._between(self._free, self._free_total, end) - self._spent
            if taken:
                tokens = taken * self.seat_rows
                self.line.count(PROMPT, at_ps, tokens)
                self.prompts[0].prompt_left -= tokens
                self.row_step_count += tokens
                self.busy_step_count += self._between(self._idle, self._idle_total, end)
            self._cursor, self._spent = end, 0

    def _between(self, by_slot: list[int], turn_total: int, end: int) -> int:
        """The sum of a per-slot amount over the entries from the cursor up to `end`."""
        turns, rest = divmod(end - self._cursor, self.slot_count)
        first = self._cursor % self.slot_count
        last = first + rest
        part = sum(by_slot[first:last])
        if last > self.slot_count:
            part += sum(by_slot[: last - self.slot_count])
        return turns * turn_total + part

    def _disown(self, slot: int, last_entry: int) -> None:
        self._free[slot] += 1
        self._free_total += 1
        if self._free[slot] == self.seats:
            self._idle[slot] = 1
            self._idle_total += 1
            owned = last_entry - self._owned_since[slot]
            self.busy_step_count += owned // self.slot_count + 1
