"""Progress bars, in terminals and notebooks."""

from __future__ import annotations

import warnings
from typing import Any


def progress_bar(**options: Any) -> Any:
    """A bar of tqdm, with its options; in a notebook without widgets, one of text."""
    with warnings.catch_warnings():
        # That there are no widgets is no concern of who trains a model.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm
    return tqdm(**options)
