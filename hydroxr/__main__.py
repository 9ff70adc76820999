"""``python -m hydroxr``: fit, simulate and evaluate from a shell, and the demonstration."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .errors import HydroxrError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, or 1 after an error with its message."""
    from .cli.arguments import parser

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
