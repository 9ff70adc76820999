"""Commands of the command line, their arguments and help texts."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .._version import __version__
from . import commands, demo

_DATA_HELP = (
    "the folder of CAMELS as published, a compact NetCDF file of CAMELS, or your own NetCDF file, Zarr store "
    "or CSV with prcp, tmean and pet (or tmin, tmax, lat), streamflow, and units, in a CSV as 'prcp (mm/day)'"
)

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_PRESETS = ("default", "long", "paper")

_DROPOUT_HELP = "share of the network's weights that each training step drops (default: the preset's)"
_NOISE_HELP = "noise of the attributes in training, in standard deviations (default: 0)"
_TIME_HELP = "first and last day, such as 1980-10-01:1995-09-30 (default: all days)"


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m hydroxr",
        description="Differentiable HBV hydrology: train a model on gauged catchments, then simulate all "
        "fluxes "
        "and storages.",
        epilog="Start with: python -m hydroxr demo. See the options of a command with: python -m hydroxr "
        "COMMAND --help.",
    )
    parser.add_argument("--version", action="version", version=f"hydroxr {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="command")

    for add in (_add_demo, _add_check, _add_fit, _add_simulate, _add_evaluate, _add_reproduce):
        add(subparsers)
    return parser


def _add_demo(commands_of: Commands) -> None:
    command = _command(
        commands_of,
        "demo",
        demo.demo,
        "fit and simulate two sample catchments and plot the results, in about a minute",
    )
    command.add_argument(
        "--out", type=Path, default=Path("demo-output"), help="folder for the results (default: demo-output)"
    )


def _add_check(commands_of: Commands) -> None:
    check = _command(
        commands_of, "check", commands.check, "say what data hold, how large it is, and what is improbable"
    )
    check.add_argument("data", type=Path, help=_DATA_HELP)
    check.add_argument("--time", type=_period, help=f"period to check: {_TIME_HELP}")
    check.add_argument("--strict", action="store_true", help="fail if anything is improbable")


def _add_fit(commands_of: Commands) -> None:
    fit = _command(commands_of, "fit", commands.fit, "train a model on observed streamflow")
    _data(fit)
    fit.add_argument("--out", type=Path, required=True, help="folder to save the model in")
    fit.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    fit.add_argument("--time", type=_period, help=f"training period: {_TIME_HELP}")
    _add_description(fit)
    _add_training(fit)


def _add_description(fit: argparse.ArgumentParser) -> None:
    """Options that describe the model."""
    fit.add_argument(
        "--model",
        choices=commands.MODELS,
        help="a model of Feng et al. (2022), instead of --components, --dynamic and --network: HBV with one "
        "component (d1) or 16 (dn), with dynamic BETA (dn-bt), BETAET (dn-gt) or both (dn-bt-gt), with a "
        "network for runoff (dn-nnr), or an LSTM that predicts streamflow alone (lstm)",
    )
    fit.add_argument("--components", type=int, help="parallel HBV components per cell (default: 16)")
    fit.add_argument(
        "--dynamic",
        nargs="*",
        metavar="NAME",
        help="parameters that vary from day to day, such as BETA BETAET",
    )
    fit.add_argument(
        "--network",
        choices=("filters", "mlp", "lstm", "constant"),
        help="one network for all cells: filters without recurrence, mlp for static parameters alone, or the "
        "paper's LSTM; or a constant parameter set per cell (default: filters with --dynamic, else mlp)",
    )
    fit.add_argument(
        "--forcing",
        nargs="+",
        metavar="NAME",
        help="daily inputs of --model lstm (default: prcp tmean srad vp dayl)",
    )
    fit.add_argument("--hidden", type=int, help="width of the network (default: 256)")
    fit.add_argument("--dropout", type=float, help=_DROPOUT_HELP)


def _add_training(fit: argparse.ArgumentParser) -> None:
    """Options of the training."""
    fit.add_argument(
        "--iterations", type=int, help="training steps (default: 1500; with --network constant 300)"
    )
    fit.add_argument("--batch", type=int, help="windows per training step (default: 100)")
    fit.add_argument("--attribute-noise", type=float, help=_NOISE_HELP)
    fit.add_argument(
        "--preset",
        choices=_PRESETS,
        default="default",
        help="training protocol: that of hydroxr, the same with more iterations, or that of the paper "
        "(default: "
        "default)",
    )
    fit.add_argument(
        "--validation",
        type=_period,
        help="validation period; the weights with the best validation are kept (default: none, the last are "
        "kept)",
    )
    fit.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FOLDER",
        help="folder for checkpoints; repeat the command to resume an interrupted training",
    )
    fit.add_argument(
        "--target",
        default="streamflow",
        metavar="NAME",
        help="variable with observed streamflow (default: found by its name)",
    )
    fit.add_argument(
        "--attributes",
        nargs="+",
        metavar="NAME",
        help="static inputs (default: the attributes of the paper that the data have)",
    )
    fit.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")


def _add_simulate(commands_of: Commands) -> None:
    simulate = _command(
        commands_of, "simulate", commands.simulate, "simulate fluxes and storages with a trained model"
    )
    _data(simulate)
    simulate.add_argument("--model", type=Path, required=True, help="folder of a model from 'fit'")
    simulate.add_argument(
        "--out",
        type=Path,
        required=True,
        help="path of the result: a NetCDF file if it ends in .nc, otherwise a Zarr store",
    )
    simulate.add_argument(
        "--time", type=_period, help=f"period to write: {_TIME_HELP}; earlier days are the warm-up"
    )
    simulate.add_argument(
        "--variables", nargs="+", metavar="NAME", help="variables to write (default: all fluxes and storages)"
    )
    simulate.add_argument(
        "--missing",
        choices=("raise", "fill"),
        default="raise",
        help="for missing forcing: stop with an error, or fill it and flag it (default: raise)",
    )
    simulate.add_argument(
        "--gauged", action="store_true", help="simulate only cells with observed streamflow"
    )
    simulate.add_argument("--overwrite", action="store_true", help="replace an existing result")
    simulate.add_argument(
        "--resume", action="store_true", help="continue the Zarr store of the same, interrupted command"
    )


def _add_evaluate(commands_of: Commands) -> None:
    evaluate = _command(
        commands_of, "evaluate", commands.evaluate, "compare a simulation with observed streamflow"
    )
    evaluate.add_argument("simulation", type=Path, help="a result of 'simulate'")
    evaluate.add_argument("--observed", type=Path, required=True, help=_DATA_HELP)
    evaluate.add_argument("--time", type=_period, help=f"period to evaluate: {_TIME_HELP}")
    evaluate.add_argument("--out", type=Path, help="write the metrics of each cell to this NetCDF file")
    evaluate.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a report as one web page: tables, figures, water balance, metadata",
    )
    evaluate.add_argument(
        "--borders",
        type=Path,
        metavar="FILE",
        help="outlines for the map of the report, such as states: shapefile or GeoJSON file, in degrees",
    )


def _add_reproduce(commands_of: Commands) -> None:
    reproduce = _command(
        commands_of,
        "reproduce",
        commands.reproduce,
        "train and test the models of Feng et al. (2022) on CAMELS-US and write the table of results; "
        "repeat the "
        "command to resume it",
    )
    _data(reproduce)
    reproduce.add_argument("--out", type=Path, required=True, help="folder for models, scores and the table")
    reproduce.add_argument(
        "--models",
        nargs="+",
        help="models to train (default: all of the paper in the split): those of 'fit --model', and mlp, "
        "filters, gauged, gauged-corrected and ungauged, which are hydroxr's own; mlp-rise, gauged-rise and "
        "ungauged-rise have capillary rise (both ungauged ones with --attribute-noise 0.3; this one with "
        "--dropout 0.3, too)",
    )
    reproduce.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        help="random seeds per model (default: 0; in the split time 0 1 2 for dn-bt-gt and lstm)",
    )
    reproduce.add_argument(
        "--splits",
        nargs="+",
        choices=("time", "ensemble", "pub", "pur"),
        default=("time",),
        help="time: all catchments, later years; ensemble: mean over seeds; pub: ungauged basins; pur: "
        "ungauged "
        "regions (default: time)",
    )
    reproduce.add_argument("--hidden", type=int, default=256, help="width of the networks (default: 256)")
    reproduce.add_argument("--iterations", type=int, help="training steps (default: the preset's)")
    reproduce.add_argument("--preset", choices=_PRESETS, help="training protocol (default: default)")
    reproduce.add_argument("--attribute-noise", type=float, help=_NOISE_HELP)
    reproduce.add_argument("--dropout", type=float, help=_DROPOUT_HELP)
    reproduce.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    reproduce.add_argument(
        "--et",
        type=Path,
        metavar="FILE",
        help="evapotranspiration product of the same catchments, such as MOD16A2 from hx.compare.open_mod16 "
        "and "
        "hx.compare.aggregate: a NetCDF file or Zarr store",
    )
    reproduce.add_argument("--list", action="store_true", help="list the runs without doing them")


def _command(
    commands_of: Commands, name: str, function: Callable[[argparse.Namespace], None], text: str
) -> argparse.ArgumentParser:
    parser = commands_of.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=function)
    return parser


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help=_DATA_HELP)


def _period(text: str) -> slice:
    first, colon, last = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a period; expected FIRST:LAST, such as 1980-10-01:1995-09-30"
        )
    return slice(first or None, last or None)
