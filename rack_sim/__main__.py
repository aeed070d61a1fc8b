"""The `rack-sim` command, also as ``python -m rack_sim``: it ends well from its first moment.

Ctrl-C, SIGTERM and SIGHUP end it alike: nothing half-written stays, and its exit code is 128 and
the number of the signal, as shells have it. A reader that goes away ends it with 141 (SIGPIPE).
"""

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn, TextIO

_BAD_INPUT = 2
_SIGNAL_BASE = 128
_INTERRUPTED = _SIGNAL_BASE + signal.SIGINT
# Of SIGPIPE, which Windows does not have.
_NOBODY_READS = _SIGNAL_BASE + 13
_ENDINGS = ("SIGINT", "SIGTERM", "SIGHUP")


class _Ending:
    """A handler of the signals that end a program: a KeyboardInterrupt, and its exit code."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.has_begun = False
        for number in self._numbers():
            # Who started us may have it ignored: nohup, a shell's background.
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, self)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.exit_code = _SIGNAL_BASE + number
        if not self.has_begun:  # nothing to clear away; and imports make other errors of it
            os.write(2, b"interrupted\n")
            os._exit(self.exit_code)
        raise KeyboardInterrupt

    def ignore_more(self) -> None:
        """From here on the answer stands; a late signal must not turn it into another."""
        for number in self._numbers():
            signal.signal(number, signal.SIG_IGN)

    def _numbers(self) -> list[signal.Signals]:
        return [signal.Signals[name] for name in _ENDINGS if name in signal.Signals.__members__]


class _Stream(io.FileIO):
    """A standard stream that ends the program quietly when nobody reads it any more."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer, as the base has it
        """Writes as any file does; where the reader is gone, what is left goes nowhere."""
        try:
            return super().write(data)
        except BrokenPipeError:
            _send_nowhere(self.fileno())
            raise SystemExit(_NOBODY_READS) from None


def main() -> None:
    """Runs the command line; imports take a moment, and Ctrl-C in it is no traceback."""
    ending = _Ending()
    _open_streams()
    from rack_sim.cli import exit_code

    try:
        ending.has_begun = True
        code = exit_code(lambda: ending.exit_code is not None)
        ending.ignore_more()
    except KeyboardInterrupt:
        ending.ignore_more()
        sys.stderr.write("interrupted\n")
        code = _INTERRUPTED
    if code and ending.exit_code:  # whatever went wrong because of it
        _leave_at_once(ending.exit_code)
    try:
        sys.stdout.flush()
    except OSError as error:  # a full disk
        _send_nowhere(1)
        if not code:
            sys.stderr.write(f"error: stdout: cannot be written: {error.strerror}\n")
            code = _BAD_INPUT
    sys.exit(code)


def _send_nowhere(number: int) -> None:
    """Lets go of a stream: what is left in buffers has somewhere to go at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def _open_streams() -> None:
    """Lets output go where it can: nowhere, if a stream is closed, and never into another file."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free is this one.
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    sys.stdout = _text(1, sys.stdout)
    sys.stderr = _text(2, sys.stderr)


def _text(number: int, usual: TextIO | None) -> io.TextIOWrapper:
    raw = _Stream(number, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(usual, "encoding", None) or "utf-8",
        errors=getattr(usual, "errors", None) or "backslashreplace",
        line_buffering=number == 2 or raw.isatty(),
    )


def _leave_at_once(code: int) -> NoReturn:
    """Ends the process without the interpreter's own end.

    An interrupt may have hit anything, also the end of a library's thread; what such a thread
    does while the interpreter takes itself apart is a crash.
    """
    with suppress(OSError, SystemExit):
        sys.stdout.flush()
    with suppress(OSError, SystemExit):
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
