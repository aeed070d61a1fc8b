"""Progress: one line on stderr that says what is being done, and for how much longer."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn
from rich.text import Text

from rack_sim.cli.console import err, tell, words_column


class Shown:
    """The line of one command; it is not there when stderr is no terminal."""

    def __init__(self, bar: Progress, *, quiet: bool) -> None:
        self._bar = bar
        self._task = bar.add_task("starting", total=None, detail="")
        self._quiet = quiet

    def __call__(self, words: str, share: float | None = None, detail: str = "") -> None:
        """Shows what is being done, and what share of it is, where that is known."""
        total = None if share is None else 1.0
        self._bar.update(
            self._task, description=words, total=total, completed=share or 0, detail=detail
        )

    def note(self, text: str) -> None:
        """Says something that stays on the screen."""
        if self._quiet:
            return
        if self._bar.disable:
            tell(text)
        else:
            self._bar.console.print(text, soft_wrap=True)

    def stop(self) -> None:
        """Takes the line away before the end."""
        self._bar.stop()


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Shown]:
    """Shows how far a command is while the block runs."""
    columns = (words_column(), BarColumn(), _Share(), _TimeColumn(), words_column("detail"))
    hidden = quiet or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=hidden) as bar:
        yield Shown(bar, quiet=quiet)


class _Share(TaskProgressColumn):
    """The share that is done, where it is known."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class _TimeColumn(ProgressColumn):
    """The time that is left, or, where nobody knows, that has gone by."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text(f"{_clock(task.elapsed or 0)} so far")
        left = task.time_remaining
        return Text("" if left is None else f"{_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
