"""Trace files: opened by content, decompressed, read line by line, never held in memory."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from rack_sim.foundation.errors import InputError, Problem, suggest

FIRST_LINE_CHARACTERS = 1 << 20
"""A first line longer than this is cut; no header and no JSON request comes near it."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PARQUET_MAGIC = b"PAR1"


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
        message = f"cannot be read, the file may be damaged: {error}"
        raise InputError(Problem(message, place=str(path))) from error


def is_parquet(path: Path) -> bool:
    """Whether the file starts as Parquet files do.

    Raises `InputError` where it is missing, a directory, unreadable or empty.
    """
    with reading(path), path.open("rb") as file:
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
    read to its end.
    """
    with reading(path), _open_text(path) as file:
        # The first line may be a gigabyte of something else, so it alone is read with a limit.
        number = 1
        first = file.readline(FIRST_LINE_CHARACTERS).rstrip("\n")
        if first.strip():
            yield number, first
        for line in file:
            number += 1
            if line != "\n" and not line.isspace():
                yield number, line.rstrip("\n")


def _open_text(path: Path) -> TextIO:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(_GZIP_MAGIC):
        binary = cast(BinaryIO, gzip.GzipFile(path))
    elif start == _ZSTD_MAGIC:
        import pyarrow as pa

        binary = cast(BinaryIO, pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    else:
        binary = path.open("rb")
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace")
