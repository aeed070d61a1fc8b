"""Stepped slots: the policy of static slots walked entry by entry and token by token.

It exists to prove the closed forms: a property test draws workloads and compares every byte. It
keeps its own books, and shares with the skipping engines only admission and completion.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from rack_sim.engine.decision import Decision, Priority
from rack_sim.engine.observer import Sequence
from rack_sim.engine.policies.slot_server import SlotServer
from rack_sim.engine.timeline import OUTPUT, PROMPT


@dataclass(slots=True)
class _Decoding:
    """How far a decoding sequence is: tokens sent, the last one's entry and when it leaves.

    `to_come` holds how many tokens each turn to come emits.
    """

    to_come: deque[int]
    turns: int = 0
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
        self._entry = 0  # the next to come
        self._visit_number = 0
        # Entries of the last revolution, the latest at the end: when, and with which program.
        self._past: deque[tuple[int, int]] = deque(maxlen=self.slot_count)

    def free_seat_count(self) -> int:
        return self.seat_count - sum(len(owners) for owners in self._owners)

    def final_before_ps(self, now_ps: int) -> int:
        return now_ps

    def add_prompt(self, sequence: Sequence, now_ps: int) -> None:
        self.prompts.append(sequence)
        if not self._walking:
            self._walking = True
            if not self.buckets:
                self._entry = -(-now_ps // self.interval_ps)
            while self._time(0, 0) < now_ps:
                self._past.append((self._time(0, 0), 0))
                self._entry += 1
        self._plan(now_ps)

    def withdraw(self, sequence: Sequence, now_ps: int) -> int:
        turns = 0
        if sequence.prompt_left:
            self.prompts.remove(sequence)
        else:
            self._owners[sequence.slot].remove(sequence)
            state = self._decoding.pop(sequence.request.request_id)
            sequence.emitted, turns = state.sent, state.turns
        self._plan(now_ps)
        return turns

    def _time(self, bucket: int, not_before_ps: int) -> int:
        """When the next entry comes if its program is that of `bucket`."""
        if not self.buckets:
            return self._entry * self.interval_ps
        earliest = [not_before_ps]
        if self._past:
            at_ps, before = self._past[-1]
            earliest.append(at_ps + self.separation_ps[before][bucket])
        if len(self._past) == self.slot_count:
            at_ps, before = self._past[0]
            earliest.append(at_ps + self.buckets[before].latency_ps)
        return max(earliest)

    def _plan(self, now_ps: int) -> None:
        """Finds when the next entry comes, if nothing changes until then."""
        bucket = self.bucket_of(max(self._contexts(), default=0)) if self.buckets else 0
        at_ps = self._time(bucket, now_ps)
        self._visit_number += 1  # a visit planned earlier is void
        Decision(self.env, at_ps, Priority.ENTRY, self._visit, (bucket, self._visit_number))

    def _contexts(self) -> list[int]:
        """How many positions each row of the next entry looks at."""
        owners = self._owners[self._entry % self.slot_count]
        ready = [owner for owner in owners if self._is_back(owner, self._entry)]
        rows = self.seats if self.prefill_first else self.seats - len(owners)
        prompts = [
            sequence.request.input_tokens - max(left - self.seat_rows, 0)
            for sequence in self.prompts
            for left in range(sequence.prompt_left, 0, -self.seat_rows)
        ][:rows]
        if self.prefill_first:
            ready = ready[: self.seats - len(prompts)]
        draft = self.seat_rows - 1
        return prompts + [
            min(
                owner.request.input_tokens + self._decoding[owner.request.request_id].sent + draft,
                self.context_tokens,
            )
            for owner in ready
        ]

    def _visit(self, decision: Decision) -> None:
        """A slot enters the first stage with the rows that go in it."""
        bucket, number = decision.subject
        if number != self._visit_number:
            return
        entry, now = self._entry, int(self.env.now)
        self._past.append((now, bucket))
        self._entry += 1
        if not self.running:
            self._walking = False
            return
        token_ps = self._token_ps(bucket)
        owners = self._owners[entry % self.slot_count]
        ready = [owner for owner in owners if self._is_back(owner, entry)]
        if self.prefill_first:
            seats_used = self._send_prompts(entry, now, bucket, self.seats)
            ready = ready[: self.seats - seats_used]
        else:
            seats_used = self._send_prompts(entry, now, bucket, self.seats - len(owners))
        for owner in ready:
            self._decoding[owner.request.request_id].turns += 1
            self._send_tokens(owner, entry, now + token_ps)
            self.count_rows(self.seat_rows, bucket)
        if seats_used or ready:
            self.count_busy(1, bucket)
        self._plan(now)

    def _is_back(self, owner: Sequence, entry: int) -> bool:
        """Whether it has a row to send, the token of its last having come round."""
        state = self._decoding[owner.request.request_id]
        return bool(state.to_come) and state.entry + self.slot_count <= entry

    def _token_ps(self, bucket: int) -> int:
        return self.buckets[bucket].token_ps if self.buckets else self.token_ps

    def _send_prompts(self, entry: int, now: int, bucket: int, seats: int) -> int:
        """Prompts take up to `seats` seats, one after the other; returns how many they took."""
        token_ps = self._token_ps(bucket)
        for taken in range(seats):
            if not self.prompts:
                return taken
            sequence = self.prompts[0]
            if sequence.prefill_start_ps < 0:
                sequence.prefill_start_ps = now
            tokens = min(self.seat_rows, sequence.prompt_left)
            sequence.prompt_left -= tokens
            self.count_rows(tokens, bucket)
            self.line.count(PROMPT, now, tokens)
            if not sequence.prompt_left:
                self.prompts.popleft()
                sequence.prefill_end_ps = now
                sequence.first_token_ps = now + token_ps
                self._prefilled(sequence)
                self._own(sequence, entry)
                self._start_decoding(sequence)
                self._send_tokens(sequence, entry, now + token_ps)
        return seats

    def _start_decoding(self, sequence: Sequence) -> None:
        """The first token, then with each turn one, or what a draft comes to."""
        request = sequence.request
        if self.speculation:
            turns = self.speculation.emitted(request).tolist()
        else:
            turns = [1] * (request.output_tokens - 1)
        self._decoding[request.request_id] = _Decoding(deque([1, *turns]))

    def _own(self, sequence: Sequence, entry: int) -> None:
        """The sequence owns a row of the first slot, from this entry on, that has one free."""
        while len(self._owners[entry % self.slot_count]) == self.seats:
            entry += 1
        sequence.slot = entry % self.slot_count
        self._owners[sequence.slot].append(sequence)

    def _send_tokens(self, sequence: Sequence, entry: int, leaves_ps: int) -> None:
        """A seat enters whose tokens leave the last stage at `leaves_ps`."""
        number = sequence.request.request_id
        state = self._decoding[number]
        tokens = state.to_come.popleft()
        self.line.count(OUTPUT, leaves_ps, tokens)
        if state.sent:
            state.gaps[leaves_ps - state.leaves_ps] += 1
            if tokens > 1:
                state.gaps[0] += tokens - 1
        state.sent += tokens
        state.entry = entry
        state.leaves_ps = leaves_ps
        if not state.to_come:
            Decision(self.env, leaves_ps, Priority.COMPLETION, self._finish, sequence, number)

    def _finish(self, decision: Decision) -> None:
        sequence: Sequence = decision.subject
        if sequence.ended:  # given up
            return
        sequence.finish_ps = int(self.env.now)
        self._owners[sequence.slot].remove(sequence)
        state = self._decoding.pop(sequence.request.request_id)
        self._plan(sequence.finish_ps)
        self._complete(sequence, sequence.finish_ps, state.turns, state.gaps)
