"""Claim: a place that this process alone writes to, from the start of a command to its end.

Beside the place stand, hidden, a lock that names the process, and the draft of what is to come
there. The system lets go of a lock when its process ends, however that ends: what a killed process
has left is so known, and the next one that writes into the folder clears it away. Where a file
system keeps no locks, a draft that is there is in the way, and is named.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rack_sim.foundation.errors import InputError
from rack_sim.foundation.locks import open_locked
from rack_sim.record.place import Place, cannot_be_written, refusal
from rack_sim.record.renames import take_name

_LOCK, _DRAFT, _OLD = ".rack-sim-lock", ".rack-sim-draft", ".rack-sim-old"
# Hidden names begin with so much of the place's own, for whoever looks.
_NAME_SHOWN = 24
# How often, and at what intervals, it is tried to hold a lock.
_TRIES, _PAUSE_S = 5, 0.02
# Signals that end a command.
ENDINGS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class TakenError(InputError):
    """Another process writes to the place at this moment."""


@dataclass(frozen=True)
class Claim:
    """A place that is held. `draft` is where to write, `old` where what stood there waits."""

    place: Place
    draft: Path
    old: Path


@contextmanager
def claimed(place: Place, make: Callable[[Path], None]) -> Iterator[Claim]:
    """Holds a place, and the folders on the way to it, with a draft that `make` makes.

    What is left of the draft at the end is removed.

    Raises TakenError where another process holds it, InputError where it cannot be written to.
    """
    folder, shown = place.path.parent, place.shown
    made = [above for above in place.path.parents if not above.exists()]
    stem = _stem(place.path.name)
    lock = folder / f"{stem}{_LOCK}"
    claim = Claim(place, folder / f"{stem}{_DRAFT}", folder / f"{stem}{_OLD}")
    try:
        handle, alone = _hold(lock)
    except BlockingIOError:
        raise _taken(_holder(lock), shown, "wait for it, or another --out") from None
    except OSError as error:
        _remove_empty(made)
        raise cannot_be_written(error, shown) from None
    ours = alone
    try:
        if alone:
            _clear(lock)
            _clear_folder(folder, but=lock)
        _make(claim, make, alone=alone)
        ours = True
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "name": place.path.name}).encode())
        yield claim
    finally:
        with undisturbed():
            if ours:
                _remove(claim.draft)
            if ours and not os.path.lexists(claim.old):
                lock.unlink(missing_ok=True)
            os.close(handle)
            _remove_empty(made)


def _make(claim: Claim, make: Callable[[Path], None], *, alone: bool) -> None:
    try:
        with suppress(FileNotFoundError):
            os.lstat(claim.place.path)  # a name that is too long is told here, not at the end
        make(claim.draft)
    except FileExistsError as error:
        if alone:
            raise cannot_be_written(error, claim.place.shown) from None
        who = f"another process, or one was killed: {claim.draft}"
        raise _taken(who, claim.place.shown, "wait for it, or remove that") from None
    except OSError as error:
        raise cannot_be_written(error, claim.place.shown) from None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Puts off Ctrl-C and the like until the block has ended: what is half done would stay so."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _stem(name: str) -> str:
    """What the hidden names of a place begin with: short, and another one for each place."""
    return f".{name[:_NAME_SHOWN]}-{sha256(os.fsencode(name)).hexdigest()[:8]}"


def _hold(lock: Path) -> tuple[int, bool]:
    for _ in range(_TRIES):
        lock.parent.mkdir(parents=True, exist_ok=True)
        # Another process that ends may take the folder away, which it had made, while it is empty;
        # and one that begins may hold the lock for a moment, to see whether it was left behind.
        with suppress(FileNotFoundError, BlockingIOError):
            return open_locked(lock)
        time.sleep(_PAUSE_S)
    return open_locked(lock)


def _taken(who: str, shown: Path, hint: str) -> TakenError:
    return TakenError(refusal(f"is being written by {who}", shown, hint).problems)


def _holder(lock: Path) -> str:
    pid = _said(lock).get("pid")
    return f"process {pid}" if isinstance(pid, int) else "another process"


def _said(lock: Path) -> dict[str, object]:
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _clear_folder(folder: Path, *, but: Path) -> None:
    """Clears away what processes that are gone have left in a folder."""
    left = {path.with_suffix(_LOCK) for path in folder.glob(f".*{_DRAFT}")}
    for lock in sorted({*left, *folder.glob(f".*{_LOCK}")} - {but}):
        with suppress(OSError):  # another process works there, or we may not
            handle, alone = open_locked(lock)
            try:
                if alone:
                    _clear(lock)
                    lock.unlink()
            finally:
                os.close(handle)


def _clear(lock: Path) -> None:
    """Brings back what a killed process had moved aside, and removes its draft.

    It had moved it to put the draft there; if the draft is still a draft, it did not come to that.
    """
    draft, old, name = lock.with_suffix(_DRAFT), lock.with_suffix(_OLD), _said(lock).get("name")
    if os.path.lexists(old) and isinstance(name, str):
        if os.path.lexists(draft):
            place = Place(lock.with_name(name), Path(name))
            take_free_name(old, place)
        else:
            _remove(old)
    _remove(draft)


def take_free_name(source: Path, place: Place) -> Place:
    """Renames `source` to a place, or to the first one beside it that is free; returns which."""
    found, number = place, 1
    while True:
        try:
            take_name(source, found.path)
        except FileExistsError:
            number += 1
            found = place.beside(number)
        else:
            return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _remove_empty(folders: list[Path]) -> None:
    """Removes those of `folders`, deepest first, that hold nothing."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
