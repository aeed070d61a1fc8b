"""Run directory: where the files of a run go, all of them or none; likewise for a single file.

Files are written to a hidden directory beside the target, which takes the target's name when
everything is there. An error or Ctrl-C removes it; what was there before stays.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp, mkstemp
from typing import BinaryIO

from rack_sim.foundation.errors import InputError, Problem


def free_directory(folder: Path, name: str) -> Path:
    """`folder`/`name`, or with -2, -3, … behind it where that exists: no run replaces another."""
    target, number = folder / name, 2
    while target.exists():
        target, number = folder / f"{name}-{number}", number + 1
    return target


def refuse_taken_directory(target: Path, *, force: bool) -> None:
    """Raises InputError where no run can be written to `target`, by what is there already."""
    if target.exists() and not force:
        raise InputError(
            Problem(
                "exists already, and is kept", str(target), suggestion="another --out, or --force"
            )
        )
    if target.exists() and not target.is_dir():
        raise InputError(Problem("is a file, not a directory", str(target)))
    if target.exists() and any(target.iterdir()) and not (target / "manifest.json").is_file():
        raise InputError(
            Problem(
                "holds other things than a run, and is kept",
                str(target),
                suggestion="another --out",
            )
        )


@contextmanager
def run_directory(target: Path, *, force: bool) -> Iterator[Path]:
    """A directory to write into that becomes `target` when the block ends without an error.

    Raises InputError where `target` exists and `force` is not given, where it holds anything but a
    run, or where it cannot be made.
    """
    refuse_taken_directory(target, force=force)
    given, target = target, target.resolve()
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        _remove_empty(made)
        raise InputError(
            Problem(f"cannot be written: {error.strerror}", str(given), suggestion="another --out")
        ) from None
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        _take_place(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _remove_empty(made)


def refuse_taken_file(target: Path, *, force: bool) -> None:
    """Raises InputError where a file cannot become `target`: it is a directory, or exists.

    `force` allows that it exists.
    """
    if target.is_dir():
        raise InputError(Problem("is a directory, not a file", str(target)))
    if target.exists() and not force:
        raise InputError(
            Problem(
                "exists already, and is kept", str(target), suggestion="another --out, or --force"
            )
        )


@contextmanager
def whole_file(target: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write into that becomes `target` when the block ends without an error.

    Raises InputError where `target` exists and `force` is not given, where it is a directory, or
    where it cannot be made.
    """
    refuse_taken_file(target, force=force)
    given, target = target, target.resolve()
    made = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = mkstemp(prefix=f".{target.name}-", dir=target.parent)
    except OSError as error:
        _remove_empty(made)
        raise InputError(
            Problem(f"cannot be written: {error.strerror}", str(given), suggestion="another --out")
        ) from None
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        draft.chmod(0o666 & ~_umask())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
        _remove_empty(made)


def _remove_empty(folders: list[Path]) -> None:
    """Removes those of `folders`, deepest first, that hold nothing."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _take_place(draft: Path, target: Path) -> None:
    """Renames `draft` to `target`; an older target is moved away first and removed after."""
    old = draft.with_name(f"{draft.name}-old")
    if target.exists():
        target.rename(old)
    try:
        draft.rename(target)
    except BaseException:  # Ctrl-C, too, must not leave the target without a run
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    """The process's mask for new files; mkdtemp ignores it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
