"""Stepped slots: the same policy as `static_slots`, walked entry by entry and token by token.

It exists to prove the closed forms: a property test draws workloads and compares every byte. It
keeps its own books, and shares with the skipping engine only admission and completion.
"""

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.slot_server import SlotServer
from rack_sim.engine.timeline import PROMPT


class SteppedSlots(SlotServer):
    """The engine that visits every slot entry while any sequence runs."""

    def set_up(self) -> None:
        self._owners: list[list[Sequence]] = [[] for _ in range(self.slot_count)]
        self._tokens_sent: dict[int, int] = {}
        self._walking = False

    def free_row_count(self) -> int:
        return self.row_count - sum(len(owners) for owners in self._owners)

    def final_before_ps(self, now_ps: int) -> int:
        return now_ps

    def prompt_added(self, now_ps: int) -> None:
        if not self._walking:
            self._walking = True
            self._visit_at(-(-now_ps // self.interval_ps))

    def withdraw(self, sequence: Sequence, now_ps: int) -> None:
        if sequence.prompt_left:
            self.prompts.remove(sequence)
        else:
            self._owners[sequence.slot].remove(sequence)
            sequence.emitted = self._tokens_sent.pop(sequence.request.request_id)

    def _visit_at(self, entry: int) -> None:
        Decision(self.env, entry * self.interval_ps, Priority.ENTRY, self._visit, entry)

    def _visit(self, decision: Decision) -> None:
        """A slot enters the first stage: its owners send a row each, prompts take the others."""
        if not self.running:
            self._walking = False
            return
        entry: int = decision.subject
        now = entry * self.interval_ps
        owners = self._owners[entry % self.slot_count]
        rows_used = len(owners)
        for sequence in tuple(owners):
            self._send_token(sequence, now)
        while rows_used < self.rows and self.prompts:
            sequence = self.prompts[0]
            if sequence.prefill_start_ps < 0:
                sequence.prefill_start_ps = now
            sequence.prompt_left -= 1
            rows_used += 1
            self.line.count(PROMPT, now, 1)
            if not sequence.prompt_left:
                self.prompts.popleft()
                sequence.prefill_end_ps = now
                sequence.first_token_ps = now + self.token_ps
                self._prefilled(sequence)
                sequence.slot = entry % self.slot_count
                owners.append(sequence)
                self._send_token(sequence, now)
        self.row_step_count += rows_used
        self.busy_step_count += 1 if rows_used else 0
        self._visit_at(entry + 1)

    def _send_token(self, sequence: Sequence, now: int) -> None:
        """A row enters whose token leaves the last stage `token_ps` later."""
        leaves_ps = now + self.token_ps
        self.line.add_output_tokens(leaves_ps, self.revolution_ps, 1)
        number = sequence.request.request_id
        self._tokens_sent[number] = self._tokens_sent.get(number, 0) + 1
        if self._tokens_sent[number] == sequence.request.output_tokens:
            Decision(self.env, leaves_ps, Priority.COMPLETION, self._finish, sequence, number)

    def _finish(self, decision: Decision) -> None:
        sequence: Sequence = decision.subject
        if sequence.ended:  # given up
            return
        sequence.finish_ps = int(self.env.now)
        self._owners[sequence.slot].remove(sequence)
        del self._tokens_sent[sequence.request.request_id]
        self._complete(sequence, sequence.finish_ps)
