"""Stepped slots: the policy of static slots walked entry by entry and token by token.

It exists to prove the closed forms: a property test draws workloads and compares every byte. It
keeps its own books, and shares with the skipping engines only admission and completion.
"""

from collections import Counter
from dataclasses import dataclass, field

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.slot_server import SlotServer
from rack_sim.engine.timeline import PROMPT


@dataclass(slots=True)
class _Decoding:
    """How far a decoding sequence is: tokens sent, the last one's entry and when it leaves."""

    sent: int = 0
    entry: int = -1
    leaves_ps: int = -1
    gaps: Counter[int] = field(default_factory=Counter)


class SteppedSlots(SlotServer):
    """The engine that visits every slot entry while any sequence runs."""

    def set_up(self) -> None:
        self._owners: list[list[Sequence]] = [[] for _ in range(self.slot_count)]
        self._decoding: dict[int, _Decoding] = {}
        self._walking = False

    def free_row_count(self) -> int:
        return self.row_count - sum(len(owners) for owners in self._owners)

    def final_before_ps(self, now_ps: int) -> int:
        return now_ps

    def add_prompt(self, sequence: Sequence, now_ps: int) -> None:
        self.prompts.append(sequence)
        if not self._walking:
            self._walking = True
            self._visit_at(-(-now_ps // self.interval_ps))

    def withdraw(self, sequence: Sequence, now_ps: int) -> None:
        if sequence.prompt_left:
            self.prompts.remove(sequence)
        else:
            self._owners[sequence.slot].remove(sequence)
            sequence.emitted = self._decoding.pop(sequence.request.request_id).sent

    def _visit_at(self, entry: int) -> None:
        Decision(self.env, entry * self.interval_ps, Priority.ENTRY, self._visit, entry)

    def _visit(self, decision: Decision) -> None:
        """A slot enters the first stage with the rows that go in it."""
        if not self.running:
            self._walking = False
            return
        entry: int = decision.subject
        now = entry * self.interval_ps
        owners = self._owners[entry % self.slot_count]
        ready = [owner for owner in owners if self._is_back(owner, entry)]
        if self.prefill_first:
            rows_used = self._send_prompts(entry, now, self.rows)
            ready = ready[: self.rows - rows_used]
        else:
            rows_used = self._send_prompts(entry, now, self.rows - len(owners))
        for owner in ready:
            self._send_token(owner, entry, now)
        rows_used += len(ready)
        self.row_step_count += rows_used
        self.busy_step_count += 1 if rows_used else 0
        self._visit_at(entry + 1)

    def _is_back(self, owner: Sequence, entry: int) -> bool:
        """Whether the token of its last row has come round since."""
        last = self._decoding[owner.request.request_id].entry
        return last + self.slot_count <= entry

    def _send_prompts(self, entry: int, now: int, rows: int) -> int:
        """Prompts take up to `rows` rows, one after the other; returns how many they took."""
        for taken in range(rows):
            if not self.prompts:
                return taken
            sequence = self.prompts[0]
            if sequence.prefill_start_ps < 0:
                sequence.prefill_start_ps = now
            sequence.prompt_left -= 1
            self.line.count(PROMPT, now, 1)
            if not sequence.prompt_left:
                self.prompts.popleft()
                sequence.prefill_end_ps = now
                sequence.first_token_ps = now + self.token_ps
                self._prefilled(sequence)
                self._own(sequence, entry)
                self._decoding[sequence.request.request_id] = _Decoding()
                self._send_token(sequence, entry, now)
        return rows

    def _own(self, sequence: Sequence, entry: int) -> None:
        """The sequence owns a row of the first slot, from this entry on, that has one free."""
        while len(self._owners[entry % self.slot_count]) == self.rows:
            entry += 1
        sequence.slot = entry % self.slot_count
        self._owners[sequence.slot].append(sequence)

    def _send_token(self, sequence: Sequence, entry: int, now: int) -> None:
        """A row enters whose token leaves the last stage `token_ps` later."""
        leaves_ps = now + self.token_ps
        self.line.add_output_tokens(leaves_ps, 1, 1)
        number = sequence.request.request_id
        state = self._decoding[number]
        if state.sent:
            state.gaps[leaves_ps - state.leaves_ps] += 1
        state.sent += 1
        state.entry = entry
        state.leaves_ps = leaves_ps
        if state.sent == sequence.request.output_tokens:
            Decision(self.env, leaves_ps, Priority.COMPLETION, self._finish, sequence, number)

    def _finish(self, decision: Decision) -> None:
        sequence: Sequence = decision.subject
        if sequence.ended:  # given up
            return
        sequence.finish_ps = int(self.env.now)
        self._owners[sequence.slot].remove(sequence)
        state = self._decoding.pop(sequence.request.request_id)
        self._complete(sequence, sequence.finish_ps, state.gaps)
