"""Trace files: opened by content, decompressed, read line by line, never held in memory.

What is unpacked is counted on the way: a small file that unpacks without an end, and a line
without an end, are refused before they take memory.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from rack_sim.foundation.errors import InputError, Problem, suggest
from rack_sim.foundation.work_limits import limit, over_limit
from rack_sim.workload.trace_cells import shown

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RATIO_FROM_BYTES = 10**8
"""assumed: what unpacks to less is read whatever its ratio, for it takes no time."""
UNPACKED = "unpacked bytes for a byte of the file"

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PARQUET_MAGIC = b"PAR1"
_BLOCK_BYTES = 2**18


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what the system says about an unreadable file into an `InputError` that names it."""
    try:
        yield
    except FileNotFoundError:
        names: list[str] = []
        with suppress(OSError):
            names = [entry.name for entry in path.parent.iterdir()]
        hint = suggest(path.name, names)
        hint = hint if hint.startswith("did you mean") else "name another with --trace FILE"
        raise InputError(Problem("no such file", place=str(path), suggestion=hint)) from None
    except IsADirectoryError:
        raise InputError(Problem("is a directory, not a trace file", place=str(path))) from None
    except PermissionError:
        raise InputError(Problem("may not be read: permission denied", place=str(path))) from None
    except (OSError, EOFError, zlib.error) as error:
        # A broken gzip stream shows as any of the three, a broken zstd stream as OSError.
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        message = f"cannot be read, the file may be damaged: {shown(said)}"
        raise InputError(Problem(message, place=str(path))) from error


def is_parquet(path: Path) -> bool:
    """Whether the file starts as Parquet files do.

    Raises `InputError` where it is missing, no regular file, unreadable or empty.
    """
    if "\0" in str(path):
        raise InputError(Problem("a path cannot hold the character NUL", place=repr(str(path))))
    with reading(path):
        if path.exists() and not path.is_dir() and not path.is_file():
            message = "is no regular file: a trace is read more than once"
            raise InputError(
                Problem(message, place=str(path), suggestion="write what it holds into a file")
            )
        with path.open("rb") as file:
            start = file.read(len(_PARQUET_MAGIC))
    if not start:
        raise InputError(Problem("the file is empty", place=str(path)))
    return start == _PARQUET_MAGIC


def sha256_of(path: Path) -> str:
    """SHA-256 of the file as it lies on disk, in hexadecimal."""
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines(path: Path) -> Generator[tuple[int, str], None, None]:
    """Lines of a text file with their numbers from 1, without line ends; blank ones left out.

    gzip and zstd are unpacked on the way. Bytes that are not UTF-8 become U+FFFD, which no number
    contains, so that the row counts as malformed. Raises `InputError` where the file cannot be
    read to its end, or more is in it than the limits of work allow.
    """
    with reading(path), _unpacked(path) as binary:
        text = io.TextIOWrapper(
            io.BufferedReader(_Counted(binary, path), _BLOCK_BYTES),
            encoding="utf-8-sig",
            errors="replace",
        )
        for number, line in enumerate(text, start=1):
            if line != "\n" and not line.isspace():
                yield number, line.rstrip("\n")


def _unpacked(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(_GZIP_MAGIC):
        return cast(BinaryIO, gzip.GzipFile(path))
    if start == _ZSTD_MAGIC:
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


class _Counted(io.RawIOBase):
    """The bytes of a file, as long as neither all of them nor one line are too many."""

    def __init__(self, binary: BinaryIO, path: Path) -> None:
        super().__init__()
        self._binary = binary
        self._place = str(path)
        self._packed_bytes = path.stat().st_size
        self._total_bytes = self._line_bytes = 0
        self._line = 1
        by_ratio = max(RATIO_FROM_BYTES, self._packed_bytes * limit("unpacking_ratio"))
        self._allowed_bytes = min(limit("unpacked_bytes"), by_ratio)
        self._line_allowed_bytes = limit("line_bytes")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Reads into `buffer`. Raises `InputError` where a limit is passed."""
        view = memoryview(buffer)
        block = self._binary.read(len(view))
        size = len(block)
        view[:size] = block
        self._total_bytes += size
        last = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._line_bytes = size - 1 - last if last >= 0 else self._line_bytes + size
        if self._line_bytes > self._line_allowed_bytes:
            self._refuse("line_bytes", self._line_bytes, "a line without an end", self._line)
        self._line += block.count(b"\n")
        if self._total_bytes > self._allowed_bytes:
            self._refuse("unpacked_bytes", self._total_bytes, "what it unpacks to")
            ratio = self._total_bytes // max(1, self._packed_bytes)
            self._refuse("unpacking_ratio", ratio + 1, UNPACKED)
        return size

    def _refuse(self, name: str, given: int, what: str, line: int | None = None) -> None:
        problem = over_limit(name, given, what, place=self._place, line=line)
        if problem is not None:
            raise InputError(problem)
