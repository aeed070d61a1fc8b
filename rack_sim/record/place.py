"""Place: where a result is to stand, found once before anything is made, and what stands there.

A result replaces nothing but another result of rack-sim, and that only where `force` is given; a
file replaces a file. Neither ever takes the place of the working directory or of one that holds
it, of a root, of what is mounted, or of a link and what that leads to.
"""

import errno
import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rack_sim.foundation.errors import InputError, Problem
from rack_sim.record.manifest import MANIFEST

# What `rack-sim report` adds to a finished result, whose manifest does not know of them.
_ADDED = frozenset(("report.html", "report.xlsx"))
_NAMES_SHOWN = 3
# What the system says where there is no room for what is written.
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EROFS)


@dataclass(frozen=True)
class Place:
    """Where a result is to stand.

    `path` is absolute, and no link is on its way; `shown` is what the user knows it by. `standing`
    tells what is there already and may be replaced (None: nothing is) from what comes later.
    """

    path: Path
    shown: Path
    standing: tuple[int, int] | None = None

    def beside(self, number: int) -> "Place":
        """The place next to it: ``run-2``, ``trace-2.json.gz``."""
        ending = "".join(self.path.suffixes[-2:]) if self.path.suffix == ".gz" else ""
        ending = ending or (self.path.suffix if self.path.suffix in _FILE_ENDINGS else "")
        name = f"{self.path.name.removesuffix(ending)}-{number}{ending}"
        return Place(self.path.with_name(name), self.shown.with_name(name))


_FILE_ENDINGS = (".html", ".xlsx", ".yaml", ".yml", ".json", ".md")


def directory_place(given: Path, *, force: bool) -> Place:
    """The place of a result's directory. Raises InputError where none may come there.

    What is there may be an empty directory, which is filled, or with `force` a result of rack-sim
    that holds nothing else.
    """
    found = _resolved(given)
    here = _standing(found)
    if here is None:
        return found
    if not stat.S_ISDIR(here.st_mode):
        raise refusal("is a file, not a directory", found.shown)
    try:
        names = sorted(os.listdir(found.path))  # noqa: PTH208 - names, not paths
    except OSError as error:
        raise cannot_be_written(error, found.shown) from None
    if names:
        _refuse_strangers(found, names)
        if not force:
            raise _taken(found)
    return Place(found.path, found.shown, _identity(here))


def file_place(given: Path, *, force: bool) -> Place:
    """The place of a single file. Raises InputError where none may come there.

    With `force` it may be that of a file, which is replaced.
    """
    found = _resolved(given)
    here = _standing(found, file=True)
    if here is None:
        return found
    if not stat.S_ISREG(here.st_mode):
        raise refusal("is no file, and is kept", found.shown)
    if not force:
        raise _taken(found)
    return Place(found.path, found.shown, _identity(here))


def still_replaceable(place: Place) -> bool:
    """Whether what stood there at the start does so still, and holds nothing new of another's."""
    if place.standing is None:
        return False
    try:
        here = os.lstat(place.path)
        if _identity(here) != place.standing:
            return False
        if stat.S_ISDIR(here.st_mode):
            _refuse_strangers(place, os.listdir(place.path))  # noqa: PTH208 - likewise
    except (OSError, InputError):
        return False
    return True


def refusal(message: str, shown: Path | str, hint: str = "another --out") -> InputError:
    """The error that says why nothing can be written to a place."""
    text = str(shown).replace("\0", "\\0")
    return InputError(Problem(message, text or "--out ''", suggestion=hint))


def cannot_be_written(error: OSError, shown: Path) -> InputError:
    """The error for what the system says of a place."""
    return refusal(f"cannot be written: {error.strerror or error}", shown)


def is_of_writing(error: OSError, folder: Path) -> bool:
    """Whether the system said it of something in `folder`, or of a write that names no file.

    Who writes anywhere else names the file.
    """
    if error.filename is None:
        return error.errno in NO_ROOM
    return isinstance(error.filename, str) and Path(error.filename).is_relative_to(folder)


def _resolved(given: Path) -> Place:
    """The place that a path leads to, however many dots, slashes and links are in it.

    Only its last part may be a link still, and `..` is followed through what is there, as the
    system does: behind something that does not exist it leads nowhere.
    """
    if "\0" in str(given):
        raise refusal("holds a NUL, which no path can", given)
    try:
        whole = given if given.is_absolute() else Path.cwd() / given
    except FileNotFoundError:
        message = "starts in the working directory, which is gone"
        raise refusal(message, given, "go to another one") from None
    name = "" if whole.name == ".." else whole.name
    there, missing = (whole.parent if name else whole), list[str]()
    while not os.path.lexists(there):
        missing.insert(0, there.name)
        there = there.parent
    if ".." in missing:
        gone = there / missing[0]
        raise refusal(f"leads nowhere: {gone} does not exist, and `..` stands behind it", given)
    try:
        parent = Path(os.path.realpath(there, strict=True))
    except OSError as error:
        raise cannot_be_written(error, given) from None
    if not parent.is_dir():
        raise refusal(f"cannot be written: {there} is no directory", given)
    path = parent.joinpath(*missing, name)
    return Place(path, given if given.name == path.name else path)


def _standing(found: Place, *, file: bool = False) -> os.stat_result | None:
    """What is there, None for nothing. Raises InputError where it is never to be replaced."""
    path, shown = found.path, found.shown
    try:
        here = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise cannot_be_written(error, shown) from None
    if stat.S_ISLNK(here.st_mode):
        message = f"is a link to {os.readlink(path)}, and both are kept"  # noqa: PTH115
        raise refusal(message, shown, "another --out, or the path that it leads to")
    if file and stat.S_ISDIR(here.st_mode):
        raise refusal("is a directory, not a file", shown)
    if path.parent == path:
        raise refusal("is the root of the file system", shown)
    if os.path.ismount(path):
        raise refusal("is where something is mounted", shown, "a directory inside of it")
    for place in _working_directories():
        if os.path.samestat(here, place):
            raise refusal("is the working directory, or holds it, and is kept", shown)
    return here


def _working_directories() -> list[os.stat_result]:
    """The working directory and all that hold it, as far as they are there and may be seen."""
    found = []
    with suppress(OSError):
        here = Path.cwd()
        for folder in (here, *here.parents):
            found.append(folder.stat())
    return found


def _refuse_strangers(found: Place, names: list[str]) -> None:
    """Raises InputError where a directory holds anything that rack-sim did not write there."""
    ours = _files_of(found.path / MANIFEST)
    strange = [name for name in names if name not in ours]
    if not strange:
        return
    said = ", ".join(strange[:_NAMES_SHOWN]) + (", …" if len(strange) > _NAMES_SHOWN else "")
    what = "besides a result also other things" if ours else "other things than a result"
    hint = "move them away, or another --out" if ours else "another --out"
    raise refusal(f"holds {what}, and is kept: {said}", found.shown, hint)


def _files_of(manifest: Path) -> frozenset[str]:
    """What rack-sim wrote beside a manifest, by what it says; nothing where it is none of ours."""
    try:
        if not stat.S_ISREG(os.lstat(manifest).st_mode):
            return frozenset()
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return frozenset()
    if not isinstance(content, dict) or "version" not in content or "files" not in content:
        return frozenset()
    files = content["files"]
    if not isinstance(files, dict) or MANIFEST not in files:
        return frozenset()
    return _ADDED.union(files)


def _taken(found: Place) -> InputError:
    return refusal("exists already, and is kept", found.shown, "another --out, or --force")


def _identity(here: os.stat_result) -> tuple[int, int]:
    return here.st_dev, here.st_ino
