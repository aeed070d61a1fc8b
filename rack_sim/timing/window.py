"""Window: what a row attends to where attention does not look back to the beginning.

A sliding window is the last so many tokens, the row's own among them. A chunk is what has come
since its beginning: every so many tokens of a sequence begin a new one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """The last `tokens` tokens, or with `is_chunk` those of a row's chunk of so many."""

    tokens: int
    is_chunk: bool = False

    def met(self, context_tokens: int) -> int:
        """Tokens that a row attends to at a context, itself among both."""
        if self.is_chunk:
            return (context_tokens - 1) % self.tokens + 1
        return min(context_tokens, self.tokens)

    def pairs(self, before: int, rows: int) -> int:
        """Pairs of a row and a token it attends to, of so many rows after `before` tokens."""
        if self.is_chunk:
            return self._pairs_of_chunks(before + rows) - self._pairs_of_chunks(before)
        growing = min(max(self.tokens - before, 0), rows)
        return growing * before + _triangle(growing) + (rows - growing) * self.tokens

    def read(self, before: int, rows: int) -> int:
        """Tokens that any of so many rows after `before` tokens attends to: each is read once."""
        return rows + (before % self.tokens if self.is_chunk else min(before, self.tokens - 1))

    def growing_alike(self, before: int, rows: int) -> int | None:
        """For how many goes of so many rows pairs grow by as much from one to the next.

        None: as many as come, they grow by nothing.
        """
        if self.is_chunk:
            return max((self.tokens - before % self.tokens) // rows, 1)
        return None if before + 1 >= self.tokens else max((self.tokens - before) // rows, 1)

    def _pairs_of_chunks(self, rows: int) -> int:
        whole, rest = divmod(rows, self.tokens)
        return whole * _triangle(self.tokens) + _triangle(rest)


def _triangle(count: int) -> int:
    return count * (count + 1) // 2
