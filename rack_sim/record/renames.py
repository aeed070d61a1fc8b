"""Renames that replace nothing, and one that lets two names change places, in a single step."""

import ctypes
import errno
import os
import sys
from pathlib import Path

# The system call of each platform, the number that stands for the working directory, and the flags
# for "fail where the new name is taken" and "let both change places" (renameat2(2) of Linux,
# renameatx_np(2) of macOS).
_CALLS = {
    "linux": ("renameat2", -100, 1, 2),
    "darwin": ("renameatx_np", -2, 4, 2),
}
# What a kernel or a file system says that has no such call.
_MISSING = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def take_name(source: Path, target: Path) -> None:
    """Renames `source` to `target`. Raises FileExistsError where something has that name."""
    if _renamed(source, target, exchange=False):
        return
    if os.name == "nt":
        source.rename(target)  # replaces nothing there
    elif source.is_dir():
        target.mkdir()  # the name is ours, or taken
        source.rename(target)  # replaces an empty directory only
    else:
        target.hardlink_to(source)
        source.unlink()


def exchange(first: Path, second: Path) -> bool:
    """Lets two names change places at once, both or none; False where the system cannot."""
    return _renamed(first, second, exchange=True)


def _renamed(source: Path, target: Path, *, exchange: bool) -> bool:
    if sys.platform not in _CALLS:
        return False
    name, here, keep, swap = _CALLS[sys.platform]
    call = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if call is None:
        return False
    flags = ctypes.c_uint(swap if exchange else keep)
    if call(here, os.fsencode(source), here, os.fsencode(target), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _MISSING:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))
