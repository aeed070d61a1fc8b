"""Locks: files that one process holds at a time; the system lets go when the process ends."""

import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

# What file systems say that keep no locks.
_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)


def open_locked(path: Path) -> tuple[int, bool]:
    """A handle of the file, made where there is none, and whether this process alone holds it now.

    It may not, where the system or the file system keeps no locks. Whoever ends with the file
    removes it before the handle is closed. Raises BlockingIOError where another process holds it,
    OSError where it cannot be opened (a link is not followed).
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    while True:
        handle = os.open(path, flags, 0o666)
        try:
            if not _locked(handle):
                return handle, False
            if os.path.samestat(os.fstat(handle), os.stat(path)):  # noqa: PTH116 - as fstat is
                return handle, True
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the other process has ended and removed it in between


def _locked(handle: int) -> bool:
    if not HAS_LOCKS:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True
