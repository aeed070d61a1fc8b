"""The `rack-sim` command, also as ``python -m rack_sim``: answers Ctrl-C from its first moment."""

import os
import signal
import sys

_INTERRUPTED = 130


def main() -> None:
    """Runs the command line; imports take a moment, and Ctrl-C in it is no traceback."""
    try:
        from rack_sim.cli import exit_code

        code = exit_code()
        # From here on the answer stands; a late Ctrl-C must not turn it into another.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.stderr.flush()
        os._exit(_INTERRUPTED)
    sys.exit(code)


if __name__ == "__main__":
    main()
