"""Models that come with hydroxr, trained on CAMELS-US for catchments of the contiguous US.

Each is a folder that ``model.save`` wrote, with a model card (data, periods, scores, limits, licence).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelFileError

FOLDER = Path(__file__).parents[1] / "pretrained_models"
CARD = "card.md"


def pretrained_names() -> tuple[str, ...]:
    """Names that ``hx.load_model`` knows."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}")))


def pretrained_folder(name: str) -> Path | None:
    """The folder of a model by its name; None if there is no such model."""
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
        If there is no such model.
    """
    folder = pretrained_folder(name)
    if folder is None:
        raise ModelFileError(
            f"no model {name!r} comes with hydroxr; expected one of {', '.join(pretrained_names())}."
        )
    return (folder / CARD).read_text(encoding="utf-8")
