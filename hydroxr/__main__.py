"""``python -m hydroxr``: the command line."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from .errors import HydroxrError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 after an error, 130 after an interrupt."""
    from .cli.arguments import parser

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # letters such as δ, on a terminal that lacks them
            stream.reconfigure(errors="backslashreplace")
    given = parser().parse_args(arguments)
    try:
        given.command(given)
    except HydroxrError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
