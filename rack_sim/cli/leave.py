"""Leave: how a command that leaves a directory works: its progress, its place, its last lines."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rack_sim.cli.console import err, say_json, say_line
from rack_sim.cli.options import OutputOptions
from rack_sim.cli.place import result_directory
from rack_sim.cli.progress import Shown, progress
from rack_sim.record.directory import Draft
from rack_sim.record.record import Record, Recordable
from rack_sim.record.store import read
from rack_sim.report.kinds import story_of
from rack_sim.report.views import leave


@dataclass
class Leaving:
    """The work of one command, and the directory in which its result comes to stand."""

    output: OutputOptions
    show: Shown
    _stack: ExitStack
    _draft: Draft | None = None
    _started_s: float = field(default_factory=time.perf_counter)

    @property
    def asked(self) -> Path:
        """Where the result is to go, by the user's words."""
        return self._place().asked

    @property
    def shown(self) -> Path:
        """Where the result stands, by the user's words."""
        return self._place().shown

    @property
    def has_place(self) -> bool:
        """Whether it is known where the result goes."""
        return self._draft is not None

    def leave(self, outcome: Recordable, name: str = "") -> None:
        """Writes what a result leaves behind; `name` is for a place that is not taken yet."""
        if self._draft is None:
            self._draft = self._stack.enter_context(result_directory(None, name, force=False))
        leave(
            outcome,
            self._place().path,
            wall_s=time.perf_counter() - self._started_s,
            wanted=self.output.wanted,
            on_step=self.show,
        )

    def say(
        self,
        *,
        lines: Iterable[str] = (),
        also: Callable[[Record], Mapping[str, object]] = lambda _record: {},
    ) -> int:
        """Ends with what came out, on a screen or as JSON, and gives the exit code.

        `lines` stand below the rest on a screen; `also` stands in the JSON.
        """
        record, output = read(self.shown), self.output
        story = story_of(record.kind)
        if not output.quiet:
            for warning in story.warnings(record):
                err.print(f"warning: {warning}", soft_wrap=True)
        if output.as_json:
            say_json({**story.content(record), **also(record), "path": str(self.shown)})
        elif not output.quiet:
            for line in (
                *story.answers(record),
                *story.text(record),
                *lines,
                f"files: {self.shown}",
            ):
                say_line(line)
        return story.exit_code(record)

    def _place(self) -> Draft:
        if self._draft is None:
            raise AssertionError("a place is taken before anything asks for it")
        return self._draft


@contextmanager
def leaving(output: OutputOptions, name: str = "") -> Iterator[Leaving]:
    """The work of a command whose result goes to --out, or to reports/`name`.

    What cannot be written to is said before the work begins. Without --out and a name, the place is
    taken when the result is there.
    """
    with ExitStack() as stack:
        draft = None
        if name or output.out_dir is not None:
            place = result_directory(output.out_dir, name, force=output.force)
            draft = stack.enter_context(place)
        shown = stack.enter_context(progress(quiet=output.quiet))
        work = Leaving(output, shown, stack, draft)
        try:
            yield work
        except KeyboardInterrupt:
            if not work.has_place:
                shown.stop()
                err.print("nothing was written")
            raise
