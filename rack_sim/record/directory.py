"""Run directory: where the files of a run go, all of them or none; likewise for a single file.

The place is taken at the start, and what is written there stands beside it, hidden, until all of
it is there (see `claim`). An error, Ctrl-C or a signal that ends the command removes it, and what
was there before stays. Something of another's that appears at the place meanwhile stays as well:
the result then goes beside it, as `Draft.shown` says.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rack_sim.foundation.errors import InputError
from rack_sim.record.claim import Claim, TakenError, claimed, take_free_name, undisturbed
from rack_sim.record.manifest import MANIFEST, sign
from rack_sim.record.place import (
    Place,
    cannot_be_written,
    directory_place,
    file_place,
    is_of_writing,
    still_replaceable,
)
from rack_sim.record.renames import exchange


class Draft:
    """What is being written: `path` is where; `shown` is where it goes, by the user's words.

    When it stands there, `is_placed`; `was_moved` tells that it came to stand beside.
    """

    def __init__(self, claim: Claim) -> None:
        self.path = claim.draft
        self.asked = claim.place.shown
        self.shown = claim.place.shown
        self.is_placed = False
        self._claim = claim

    @property
    def was_moved(self) -> bool:
        """Whether the result does not stand where it was to go."""
        return self.shown != self.asked

    def take_place(self) -> None:
        """Lets the draft become what it is the draft of."""
        place = self._claim.place
        with undisturbed():
            if not (still_replaceable(place) and self._replaced()):
                self.shown = take_free_name(self.path, place).shown
            self.is_placed = True

    def _replaced(self) -> bool:
        """Puts the draft where an older one stands, which goes; False where it cannot go."""
        target = self._claim.place.path
        self.path.chmod(stat.S_IMODE(target.stat().st_mode))
        if self.path.is_file():
            self.path.replace(target)
            return True
        if not any(target.iterdir()):
            try:
                self.path.rename(target)  # of all directories, only an empty one goes like this
            except OSError:
                return False
            return True
        if not exchange(self.path, target):
            self._replaced_in_two_steps(target)
        return True

    def _replaced_in_two_steps(self, target: Path) -> None:
        old = self._claim.old
        target.rename(old)  # a process that dies here leaves what `claim` brings back
        try:
            self.path.rename(target)
        except BaseException:
            take_free_name(old, self._claim.place)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def run_directory(target: Path, *, force: bool) -> Iterator[Draft]:
    """A directory to write into that becomes `target` when the block ends without an error.

    Raises InputError before the block where no result may come there (see `directory_place`),
    where another process is writing to it, and where it cannot be made.
    """
    with _draft(directory_place(target, force=force), Path.mkdir) as draft:
        yield draft


@contextmanager
def free_directory(folder: Path, name: str) -> Iterator[Draft]:
    """A directory to write into that becomes `folder`/`name`, or that with -2, -3, … behind it.

    It takes the first name that nothing has and that no other process is writing to.
    """
    with ExitStack() as stack:
        yield _first_free(stack, folder, name)


def _first_free(stack: ExitStack, folder: Path, name: str) -> Draft:
    number = 1
    while True:
        target = folder / (name if number == 1 else f"{name}-{number}")
        if not os.path.lexists(target):
            with suppress(TakenError):
                return stack.enter_context(run_directory(target, force=False))
        number += 1


@contextmanager
def whole_file(target: Path, *, force: bool) -> Iterator[Draft]:
    """A file to write that becomes `target` when the block ends without an error.

    Raises InputError before the block where no file may come there (see `file_place`), where
    another process is writing to it, and where it cannot be made.
    """
    with _draft(file_place(target, force=force), _make_file) as draft:
        yield draft


def _make_file(path: Path) -> None:
    path.touch(exist_ok=False)


def _by_shown_names(error: InputError, draft: Draft) -> InputError:
    """The same error, hidden names in its places by what the user knows them by."""
    hidden, shown = str(draft.path), str(draft.shown)
    if not any(problem.place.startswith(hidden) for problem in error.problems):
        return error
    return InputError(
        replace(problem, place=problem.place.replace(hidden, shown, 1))
        for problem in error.problems
    )


@contextmanager
def _draft(place: Place, make: Callable[[Path], None]) -> Iterator[Draft]:
    with claimed(place, make) as claim:
        draft = Draft(claim)
        try:
            yield draft
        except OSError as error:
            if not is_of_writing(error, draft.path):
                raise
            named = Path(error.filename or draft.path).relative_to(draft.path)
            raise cannot_be_written(error, place.shown / named) from None
        except InputError as error:  # of a file that is written into it
            raise _by_shown_names(error, draft) from None
        try:
            if (draft.path / MANIFEST).is_file():
                sign(draft.path)
            draft.take_place()
        except OSError as error:
            raise cannot_be_written(error, place.shown) from None
