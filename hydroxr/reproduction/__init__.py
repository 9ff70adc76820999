"""Reproduction of Feng et al. (2022): train and test the models, tabulate the scores."""

from __future__ import annotations

from .experiment import Experiment
from .reproduce import reproduce
from .runs import Run, chosen_runs, specification
from .table import PUBLISHED, markdown

__all__ = ["PUBLISHED", "Experiment", "Run", "chosen_runs", "markdown", "reproduce", "specification"]
