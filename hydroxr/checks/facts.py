"""What a user should know of a summary, without being improbable."""

from __future__ import annotations

from .summary import Summary


def facts(summary: Summary) -> list[str]:
    """What a user should know."""
    return [text for rule in (_sampled, _ungauged, _gaps) if (text := rule(summary)) is not None]


def _sampled(summary: Summary) -> str | None:
    if len(summary.cells) == summary.land:
        return None
    return f"{len(summary.cells)} of {summary.land} cells were looked at, an even sample of a large grid"


def _ungauged(summary: Summary) -> str | None:
    flow = summary.statistics.get("streamflow")
    if flow is None or (flow.known > 0).all():
        return None
    return (
        f"{int((flow.known == 0).sum())} of {len(flow.known)} cells have no observed streamflow: they are "
        "not trained on"
    )


def _gaps(summary: Summary) -> str | None:
    flow = summary.statistics.get("streamflow")
    if flow is None:
        return None
    gaps = int((len(summary.days) - flow.known[flow.known > 0]).sum())
    if not gaps:
        return None
    where = "" if (flow.known > 0).all() else " in the cells that have some"
    return f"observed streamflow is missing on {gaps} cell-days{where}: they do not count in the loss"
