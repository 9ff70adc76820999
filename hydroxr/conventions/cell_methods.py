"""CF cell methods along time."""

from __future__ import annotations

import re

# 'lat: lon: mean where land (interval: 1 hour)': dimensions, method, restriction, comment.
_METHOD = re.compile(
    r"(?P<dims>(?:\w+:\s*)+)(?P<method>\w+)(?P<where>(?:\s+(?:where|over|within)\s+\w+)*)\s*(?P<note>\([^)]*\))?"
)
_SPREAD = re.compile(r"standard.deviation|variance|\brange\b", re.IGNORECASE)


def time_method(methods: str) -> str | None:
    """The method along time, for example ``mean`` in ``area: mean time: mean (interval: 1 hour)``.

    Empty if there is none. None if there are several, because the values are then not plain daily values.
    """
    found = [match["method"] for match in _METHOD.finditer(methods) if _is_of_time(match)]
    return (found or [""])[0] if len(found) < 2 else None


def with_time_method(methods: str, method: str) -> str:
    """Replace the method along time; methods along other dimensions stay."""
    parts, done = [], False
    for match in _METHOD.finditer(methods):
        if not _is_of_time(match):
            parts.append(match[0].strip())
            continue
        others = match["dims"].replace("time:", "").split()
        if others:  # 'lat: lon: time: mean' is one method of three
            parts.append(f"{' '.join(others)} {match['method']}{match['where']}")
        parts.append(f"time: {method}")
        done = True
    return " ".join(parts if done else [*parts, f"time: {method}"])


def of_spread(methods: str) -> bool:
    """Whether values are a spread, over members or cells."""
    return _SPREAD.search(methods) is not None


def _is_of_time(match: re.Match[str]) -> bool:
    return "time:" in match["dims"].split()
