"""Place: where a command's files go, and what is said of that on stderr."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rack_sim.cli.console import err
from rack_sim.record.directory import Draft, free_directory, run_directory, whole_file


@contextmanager
def result_directory(out_dir: Path | None, name: str, *, force: bool) -> Iterator[Draft]:
    """The directory of a result: `out_dir`, or the first free one of reports/`name`, -2, -3, …"""
    if out_dir is None:
        with _told(free_directory(Path("reports"), name)) as draft:
            yield draft
    else:
        with _told(run_directory(out_dir, force=force)) as draft:
            yield draft


@contextmanager
def result_file(target: Path, *, force: bool) -> Iterator[Draft]:
    """A single file that a command writes."""
    with _told(whole_file(target, force=force)) as draft:
        yield draft


@contextmanager
def _told(place: AbstractContextManager[Draft]) -> Iterator[Draft]:
    draft = None
    try:
        with place as draft:
            yield draft
    except KeyboardInterrupt:
        if draft and not draft.is_placed:
            err.print(f"nothing was written to {draft.asked}", soft_wrap=True)
        raise
    if draft.was_moved:
        words = f"{draft.asked} appeared meanwhile, and is kept: the result is in {draft.shown}"
        err.print(words, soft_wrap=True)
