"""``ds.hbv``: everything that hydroxr does with a Dataset. Each method delegates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import xarray as xr

from .cross_validation import CrossValidationMethods
from .forecasts import ForecastMethods
from .results import ResultMethods
from .rivers import RiverMethods
from .simulation import SimulationMethods
from .training import TrainingMethods

if TYPE_CHECKING:
    from ..accessor_plot import Plots
    from ..checks.report import CheckReport
    from ..models.specs import Spec


@xr.register_dataset_accessor("hbv")
class HBVAccessor(
    TrainingMethods, CrossValidationMethods, SimulationMethods, ForecastMethods, ResultMethods, RiverMethods
):
    """Differentiable HBV on a labelled Dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def check(
        self,
        spec: Spec | None = None,
        target: str = "streamflow",
        attributes: Sequence[str] | None = None,
        *,
        strict: bool = False,
    ) -> CheckReport:
        """Check the inputs: what was found, how large it is, what is improbable; reads all values once.

        Lazy data are read block by block, of a grid beyond a thousand million values an even sample.

        Parameters
        ----------
        spec : DeltaHBV or LSTMStreamflow, optional
            The model that the inputs are for; default: a δ model.
        target : str
            Name of the observed streamflow. The default is found by name or standard name.
        attributes : sequence of str, optional
            Static inputs of a regional model; default: those of the paper's Table A1.
        strict : bool
            Raise what is improbable as well, not only what is impossible. Remarks that judge nothing, such
            as gaps in observed streamflow, are never raised.

        Returns
        -------
        CheckReport
            The variable found for each role; mean yearly precipitation, PET and streamflow and mean
            temperature (median and range over cells); missing days; remarks. It prints as a table, in a
            notebook with small pictures.

        Raises
        ------
        HydroxrError
            If ``fit`` or ``simulate`` would refuse the inputs: one error that tells all faults, of the
            class of the first.
        ImprobableValueError
            With ``strict``, if there are remarks that judge the data.
        """
        from ..checks.check import check

        return check(self._ds, spec, target, attributes, strict=strict)

    def pet(self, method: str | None = None) -> xr.DataArray:
        """Potential evapotranspiration: that of the Dataset, or by a formula.

        Parameters
        ----------
        method : {"hargreaves", "oudin", "hamon", "priestley-taylor", "penman-monteith"}, optional
            A formula, also if the Dataset has PET. Default: PET of the Dataset; else Hargreaves from
            ``tmin``, ``tmax`` and ``lat``; else Oudin from ``tmean`` and ``lat``. Hamon needs the same as
            Oudin. Priestley-Taylor (coefficient 1.26) needs temperature, ``lat``, radiation (``srad``,
            ``rsds``), and elevation (``elev_mean``, ``elevation``) or surface pressure (``ps``);
            Penman-Monteith (FAO 56) also wind (``u2`` at 2 m; ``wind``, ``sfcWind`` at 10 m). Both read
            humidity from the first of vapour pressure (``vp``), dew point (``tdew``), specific humidity
            (``huss``), relative humidity (``rh``); without any, the daily minimum counts as the dew point
            (FAO 56, equation 48). Beside a day length ``dayl``, ``srad`` is the mean over the daylight hours,
            as in Daymet, unless its cell methods are "time: mean".

        Returns
        -------
        DataArray
            ``(time, space)`` in the Dataset's order, kg m-2 day-1 (mm/day), at least 0; lazy if the Dataset
            is. The ``comment`` of a computed PET names the formula and its variables.

        Raises
        ------
        MissingVariableError
            If the Dataset lacks variables for the formula.
        DescriptionError
            If there is no such formula.
        UnitsError
            If units are missing or not understood.

        Notes
        -----
        Any calendar serves: in one of 360 days, a month has the same sun as in others.

        Sources: Hargreaves (1994); Oudin et al. (2005); Hamon (1963) in the form of Lu et al. (2005);
        Priestley and Taylor (1972); Allen et al. (1998), FAO 56.

        Examples
        --------
        >>> ds = ds.assign(pet=ds.hbv.pet("priestley-taylor"))  # doctest: +SKIP
        """
        from ..inputs.resolve import potential_evapotranspiration

        return potential_evapotranspiration(self._ds, method)

    @property
    def plot(self) -> Plots:
        """Plots of a simulation: ``sim.isel(basin=0).hbv.plot.hydrograph(ds.isel(basin=0))``."""
        from ..accessor_plot import Plots

        return Plots(self._ds)
