"""The command line's arguments and their help."""

from __future__ import annotations

import argparse
from pathlib import Path

from .._version import __version__
from . import commands, demo

_DATA_HELP = (
    "CAMELS (its folder as published, or a compact NetCDF file of it), or your own NetCDF file or Zarr store "
    "with prcp, tmean and pet (or tmin, tmax, lat), streamflow and units"
)

_PRESETS = ("default", "long", "paper")

_TIME_HELP = "first and last day, such as 1980-10-01:1995-09-30 (default: all days)"


def parser() -> argparse.ArgumentParser:
    """All commands with their options and help."""
    parser = argparse.ArgumentParser(
        prog="python -m hydroxr",
        description="Differentiable HBV hydrology: train a model on gauged catchments, "
        "simulate every flux and storage.",
        epilog="Start with: python -m hydroxr demo. Each command has its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"hydroxr {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="command")

    for add in (_add_demo, _add_fit, _add_simulate, _add_evaluate, _add_reproduce):
        add(subparsers)
    return parser


def _add_demo(subparsers) -> None:  # type: ignore[no-untyped-def]
    command = _command(
        subparsers,
        "demo",
        demo.demo,
        "fit two embedded catchments, simulate them, draw the result; takes about a minute",
    )
    command.add_argument(
        "--out", type=Path, default=Path("demo-output"), help="folder for the results (default: demo-output)"
    )


def _add_fit(subparsers) -> None:  # type: ignore[no-untyped-def]
    fit = _command(subparsers, "fit", commands.fit, "train a model on observed streamflow")
    _data(fit)
    fit.add_argument("--out", type=Path, required=True, help="folder for the model")
    fit.add_argument("--time", type=_period, help=f"training period: {_TIME_HELP}")
    _add_description(fit)
    _add_training(fit)


def _add_description(fit) -> None:  # type: ignore[no-untyped-def]
    """What is fitted."""
    fit.add_argument(
        "--model",
        choices=commands.MODELS,
        help="a model of the paper, instead of --components, --dynamic and --network: HBV with one "
        "component (d1), sixteen (dn), dynamic BETA and BETAET (dn-bt-gt) or NN_r (dn-nnr), or an LSTM that "
        "gives streamflow itself (lstm)",
    )
    fit.add_argument("--components", type=int, help="parallel HBV components a cell (default: 16)")
    fit.add_argument(
        "--dynamic",
        nargs="*",
        metavar="NAME",
        help="parameters that vary from day to day, such as BETA BETAET",
    )
    fit.add_argument(
        "--network",
        choices=("lstm", "constant"),
        help="one network for all cells, or a parameter set for each (default: lstm)",
    )
    fit.add_argument(
        "--forcing",
        nargs="+",
        metavar="NAME",
        help="daily inputs of --model lstm (default: prcp tmean srad vp dayl)",
    )
    fit.add_argument("--hidden", type=int, help="width of the network (default: 256)")
    fit.add_argument(
        "--dropout",
        type=float,
        help="share of the network's weights left out in each pass (default: the preset's)",
    )


def _add_training(fit) -> None:  # type: ignore[no-untyped-def]
    """How it is fitted, and to what."""
    fit.add_argument(
        "--iterations", type=int, help="training steps (default: 1500, for a constant network 300)"
    )
    fit.add_argument("--batch", type=int, help="windows a step (default: 100)")
    fit.add_argument(
        "--preset",
        choices=_PRESETS,
        default="default",
        help="how it is trained: hydroxr's way, the same with more iterations, or the paper's protocol "
        "(default: default)",
    )
    fit.add_argument(
        "--validation",
        type=_period,
        help="period to judge the weights by, of which the best are kept (default: none, the last are kept)",
    )
    fit.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FOLDER",
        help="folder to keep the training in while it runs; the same command goes on from there",
    )
    fit.add_argument(
        "--target",
        default="streamflow",
        metavar="NAME",
        help="variable of observed streamflow (default: found by its name)",
    )
    fit.add_argument(
        "--attributes",
        nargs="+",
        metavar="NAME",
        help="static inputs (default: those of the paper that are there)",
    )
    fit.add_argument("--seed", type=int, default=0, help="of weights and draws (default: 0)")


def _add_simulate(subparsers) -> None:  # type: ignore[no-untyped-def]
    simulate = _command(
        subparsers, "simulate", commands.simulate, "simulate all fluxes and storages with a trained model"
    )
    _data(simulate)
    simulate.add_argument("--model", type=Path, required=True, help="folder of a model that 'fit' wrote")
    simulate.add_argument(
        "--out", type=Path, required=True, help="result: a NetCDF file if it ends in .nc, else a Zarr store"
    )
    simulate.add_argument(
        "--time", type=_period, help=f"days to write: {_TIME_HELP}; earlier days warm the model up"
    )
    simulate.add_argument(
        "--variables", nargs="+", metavar="NAME", help="only these (default: all fluxes and storages)"
    )
    simulate.add_argument(
        "--missing",
        choices=("raise", "fill"),
        default="raise",
        help="what to do where forcing is missing: stop, or interpolate in time and flag it (default: raise)",
    )
    simulate.add_argument("--gauged", action="store_true", help="only cells that have observed streamflow")
    simulate.add_argument("--overwrite", action="store_true", help="replace the result where it exists")
    simulate.add_argument(
        "--resume", action="store_true", help="go on with the Zarr store of the same command that was ended"
    )


def _add_evaluate(subparsers) -> None:  # type: ignore[no-untyped-def]
    evaluate = _command(
        subparsers, "evaluate", commands.evaluate, "compare a simulation with observed streamflow"
    )
    evaluate.add_argument("simulation", type=Path, help="a result of 'simulate'")
    evaluate.add_argument("--observed", type=Path, required=True, help=_DATA_HELP)
    evaluate.add_argument("--time", type=_period, help=f"days that count: {_TIME_HELP}")
    evaluate.add_argument("--out", type=Path, help="also write all metrics of each cell to this NetCDF file")
    evaluate.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="also write a report with tables, figures, water balance and origin: one web page",
    )
    evaluate.add_argument(
        "--borders",
        type=Path,
        metavar="FILE",
        help="outlines for the map of the report, such as states: a shapefile or GeoJSON file in degrees",
    )


def _add_reproduce(subparsers) -> None:  # type: ignore[no-untyped-def]
    reproduce = _command(
        subparsers,
        "reproduce",
        commands.reproduce,
        "train and test the models of Feng et al. (2022) on CAMELS-US and make their table; the same command "
        "goes on after whatever ended it",
    )
    _data(reproduce)
    reproduce.add_argument("--out", type=Path, required=True, help="folder for models, scores and the table")
    reproduce.add_argument(
        "--models", nargs="+", choices=commands.MODELS, help="only these (default: all of the split)"
    )
    reproduce.add_argument(
        "--seeds", nargs="+", type=int, help="of each model (default: 0; over time dn-bt-gt and lstm 0, 1, 2)"
    )
    reproduce.add_argument(
        "--splits",
        nargs="+",
        choices=("time", "ensemble", "pub", "pur"),
        default=("time",),
        help="all catchments in time, the mean of seeds, ungauged basins, ungauged regions (default: time)",
    )
    reproduce.add_argument("--hidden", type=int, default=256, help="width of the networks (default: 256)")
    reproduce.add_argument("--iterations", type=int, help="training steps (default: the preset's)")
    reproduce.add_argument("--preset", choices=_PRESETS, help="how they are trained (default: default)")
    reproduce.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    reproduce.add_argument(
        "--et",
        type=Path,
        metavar="FILE",
        help="evapotranspiration of another origin for the same catchments, such as MOD16A2 after "
        "hx.compare.open_mod16 and hx.compare.aggregate: a NetCDF file or Zarr store",
    )
    reproduce.add_argument("--list", action="store_true", help="say which runs these are, and do nothing")


def _command(subparsers, name: str, function, text: str) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    parser.set_defaults(command=function)
    return parser


def _data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help=_DATA_HELP)


def _period(text: str) -> slice:
    first, colon, last = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no period; expected FIRST:LAST, such as 1980-10-01:1995-09-30"
        )
    return slice(first or None, last or None)
