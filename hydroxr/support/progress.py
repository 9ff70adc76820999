"""Progress bars, in terminals and notebooks."""

from __future__ import annotations

import warnings
from typing import Any


def progress_bar(**options: Any) -> Any:
    """A progress bar of tqdm with its options; a text bar in a notebook without widgets."""
    with warnings.catch_warnings():
        # Missing widgets do not matter to the user.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from tqdm.auto import tqdm
    return tqdm(**options)
