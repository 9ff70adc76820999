"""Models that come with hydroxr: trained on CAMELS-US, ready to simulate catchments of the contiguous US.

Each is a folder as ``model.save`` writes it, with a model card (``card.md``: data, periods, scores,
limits, licence) and the scores of each catchment (``scores.csv``) beside it. Beside them all are the
scores of every model of the paper (``results.nc``), of which these are a part.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "pretrained_models"
CARD = "card.md"
SCORES = "scores.csv"


def pretrained_names() -> tuple[str, ...]:
    """What ``hx.load_model`` knows by name."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}")))


def pretrained_folder(name: str) -> Path | None:
    """Where the model of that name is; None where there is none."""
    return FOLDER / name if name in pretrained_names() else None


def model_card(name: str) -> str:
    """The card of a model that comes with hydroxr, as Markdown.

    Parameters
    ----------
    name : str
        One of :func:`pretrained_names`.

    Raises
    ------
    ModelFileError
        Where there is no such model.
    """
    from ..errors import ModelFileError

    folder = pretrained_folder(name)
    if folder is None:
        raise ModelFileError(
            f"no model {name!r} comes with hydroxr; expected one of {', '.join(pretrained_names())}."
        )
    return (folder / CARD).read_text(encoding="utf-8")
