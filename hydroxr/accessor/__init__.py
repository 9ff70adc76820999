"""``ds.hbv``: everything that hydroxr does with a Dataset. Each method delegates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from .results import ResultMethods
from .simulation import SimulationMethods
from .training import TrainingMethods

if TYPE_CHECKING:
    from ..accessor_plot import Plots
    from ..models.specs import Spec
    from ..simulation.check import CheckReport


@xr.register_dataset_accessor("hbv")
class HBVAccessor(TrainingMethods, SimulationMethods, ResultMethods):
    """Differentiable HBV on a labelled Dataset."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def check(self, spec: Spec | None = None) -> CheckReport:
        """Check names, units, time axis, completeness and ranges of the inputs; reads all values.

        Parameters
        ----------
        spec : DeltaHBV or LSTMStreamflow, optional
            The model that the inputs are for; default: a δ model.

        Returns
        -------
        CheckReport
            The variable found for each role, and remarks. It prints as a table.

        Raises
        ------
        HydroxrError
            If ``fit`` or ``simulate`` would refuse the inputs; the class names the first problem.
        """
        from ..simulation.check import check

        return check(self._ds, spec)

    def pet(self) -> xr.DataArray:
        """Potential evapotranspiration: that of the Dataset, or else by Hargreaves' equation.

        Returns
        -------
        DataArray
            ``(time, space)`` in the Dataset's order, kg m-2 day-1 (mm/day); lazy if the Dataset is.

        Raises
        ------
        MissingVariableError
            If the Dataset has neither PET nor tmin, tmax and latitude.
        """
        from ..inputs.resolve import potential_evapotranspiration

        return potential_evapotranspiration(self._ds)

    @property
    def plot(self) -> Plots:
        """Plots of a simulation: ``sim.isel(basin=0).hbv.plot.hydrograph(ds.isel(basin=0))``."""
        from ..accessor_plot import Plots

        return Plots(self._ds)
