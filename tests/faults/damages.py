"""What the trials that damage files share: a flipped bit, and what became of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from hydroxr.errors import HydroxrError


def flipped(sound: bytes, place: int, rng: random.Random) -> bytes:
    """With one bit of the byte at ``place`` changed."""
    return sound[:place] + bytes([sound[place] ^ (1 << rng.randrange(8))]) + sound[place + 1 :]


def judge(
    counts: Counter[str], what: str, read: Callable[[], bool], named: type[HydroxrError] = HydroxrError
) -> None:
    """Count what reading a damaged file gives: a named error, the same values, or what breaks the promise.

    ``read`` says whether all is as it was.
    """
    try:
        harmless = read()
    except named:
        counts[f"{what}: found"] += 1
    except Exception as error:  # found, but not in words of ours
        counts[f"BROKEN: {what}: {type(error).__name__}"] += 1
    else:
        counts[f"{what}: harmless" if harmless else f"BROKEN: {what}: not found"] += 1
