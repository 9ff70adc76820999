"""Methods of ``ds.hbv`` that run a model: simulate, plan, parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import xarray as xr

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from ..models.ensemble import Ensemble
    from ..models.model import Model
    from ..simulation.engine.plan import Plan

    class _Options(TypedDict, total=False):
        """Options of ``simulate`` that do not change the type of the result."""

        components: bool
        missing: Literal["raise", "fill"]
        dtype: Literal["float32", "float64"]
        device: str
        backend: Literal["auto", "cpu", "cuda", "torch"]
        members: bool
        memory: str | float | None
        spinup: str | int | slice | None
        offsets: bool
        quantiles: Sequence[float] | None


class SimulationMethods:
    """Run a model over the Dataset."""

    _ds: xr.Dataset

    @overload
    def simulate(
        self,
        model_or_parameters: Model | Ensemble | xr.Dataset,
        initial_state: xr.Dataset | None = None,
        variables: Sequence[str] | None = None,
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_Options],
    ) -> xr.Dataset: ...

    @overload
    def simulate(
        self,
        model_or_parameters: Model | Ensemble | xr.Dataset,
        initial_state: xr.Dataset | None = None,
        variables: Sequence[str] | None = None,
        *,
        return_state: Literal[True],
        **options: Unpack[_Options],
    ) -> tuple[xr.Dataset, xr.Dataset]: ...

    def simulate(
        self,
        model_or_parameters: Model | Ensemble | xr.Dataset,
        initial_state: xr.Dataset | None = None,
        variables: Sequence[str] | None = None,
        components: bool = False,
        return_state: bool = False,
        missing: Literal["raise", "fill"] = "raise",
        dtype: Literal["float32", "float64"] = "float32",
        device: str = "auto",
        backend: Literal["auto", "cpu", "cuda", "torch"] = "auto",
        members: bool = False,
        memory: str | float | None = None,
        spinup: str | int | slice | None = None,
        offsets: bool = True,
        quantiles: Sequence[float] | None = None,
    ) -> Any:
        """Simulate every cell: fluxes and states of HBV, or the streamflow of an LSTM; lazy if the input is.

        Cells where a variable ``mask`` is 0 or missing are not computed. Of a lazy result whole blocks are
        computed (:meth:`plan` shows their size). For few of the cells or days select from the input:
        ``ds.sel(basin="01022500").hbv.simulate(model)`` instead of ``sim.sel(basin="01022500")``.

        Parameters
        ----------
        model_or_parameters : Model, Ensemble or Dataset
            A fitted model; an ensemble, which gives the mean of its members and ``streamflow_spread``; or
            parameters by the names of ``hx.physics.PARAMETERS``, ``(space..., component, time)``, where
            component and time are optional.
        initial_state : Dataset, optional
            State from the end of an earlier run, with its static parameters. Default: nearly empty stores.
        variables : sequence of str, optional
            Variables to return, including derived ones that need one day only, see :meth:`derive`.
            Default: all variables of the model.
        components : bool
            Return the components separately; streamflow and channel_storage have none.
        return_state : bool
            Return the pair ``(simulation, state)``.
        missing : {"raise", "fill"}
            What to do with missing forcing: raise an error, or fill it and set ``forcing_flag`` to 1. Gaps
            of up to a week are interpolated, longer ones get a climatology of the record
            (:func:`hydroxr.inputs.gaps.fill_gaps`). "fill" also replaces attributes that the Dataset
            lacks by their training mean.
        dtype : {"float32", "float64"}
            Precision of HBV (or the LSTM of streamflow) and of the results.
        device : str
            "cpu", "cuda", or "auto": each worker uses its GPU if it has one.
        backend : {"auto", "cpu", "cuda", "torch"}
            Implementation of HBV. "auto" takes the compiled kernel of the device.
        members : bool
            Return the members of an ensemble, ``(member, ...)``, instead of their mean.
        memory : str or float, optional
            Memory of each process for lazy data, such as ``"2GB"`` or a number of bytes. Default: the
            workers' limit, or half of the machine's memory; :mod:`hydroxr.simulation.engine.plan`.
        spinup : str, int or slice, optional
            Days that run before the simulation, from nearly empty stores: the first year this many times,
            ``"1y"`` or 3, or a period once, ``slice("1990", "1999")``. ``spinup_storage_change`` tells by how
            much the storages changed the last time: small, once they are in balance. Not with
            ``initial_state``.
        offsets : bool
            Use the offsets of a model with ``gauge_offsets=True`` in the cells that it was trained on,
            recognised by label and attributes. False: parameters from attributes alone, as in other cells.
        quantiles : sequence of float, optional
            Add ``streamflow_quantile(quantile, ...)``: quantiles of predicted streamflow, from 0.005 to
            0.995, by the errors that the model carries, see :meth:`hydroxr.Model.with_errors`.

        Returns
        -------
        Dataset, or (Dataset, Dataset) if ``return_state``
            Fluxes in kg m-2 day-1 (mm/day) and states at the end of the day in kg m-2 (mm),
            ``(space..., time)``. Regional models add ``attribute_flag``, which marks cells unlike those of
            the training; for data in memory there is also a warning. Models with offsets add
            ``offset_flag``, which is 1 in the cells whose offsets were used.

        Raises
        ------
        HydroxrError
            If inputs, model or options do not fit; the class names the problem. Problems in the values of
            lazy data are raised when they are computed.

        Examples
        --------
        >>> sim = ds.hbv.simulate(hx.load_model("camels-us"))  # doctest: +SKIP
        >>> sim, state = ds.hbv.simulate(model, return_state=True)  # doctest: +SKIP
        """
        from ..simulation.simulate import simulate

        options = (variables, components, return_state, missing, dtype, device, backend, members)
        more: dict[str, Any] = {"memory": memory, "spinup": spinup, "offsets": offsets}
        more["quantiles"] = quantiles
        return simulate(self._ds, model_or_parameters, initial_state, *options, **more)

    def plan(
        self,
        model_or_parameters: Model | Ensemble | xr.Dataset,
        initial_state: xr.Dataset | None = None,
        variables: Sequence[str] | None = None,
        components: bool = False,
        missing: Literal["raise", "fill"] = "raise",
        dtype: Literal["float32", "float64"] = "float32",
        memory: str | float | None = None,
    ) -> Plan:
        """How :meth:`simulate` would divide a lazy run into blocks, and its memory and time.

        Computes nothing. For an ensemble it describes the mean of the members.

        Parameters
        ----------
        model_or_parameters, initial_state, variables, components, missing, dtype, memory
            As for :meth:`simulate`.

        Returns
        -------
        Plan
            Blocks, segments of days, memory and estimated time. It prints as a table.

        Raises
        ------
        HydroxrError
            If :meth:`simulate` would refuse the inputs or options.
        MemoryLimitError
            If the run does not fit into memory.
        """
        from ..simulation.simulate import plan

        options = (variables, components, missing, dtype, memory)
        return plan(self._ds, model_or_parameters, initial_state, *options)

    def parameters(
        self,
        model: Model | Ensemble,
        time: slice | None = None,
        missing: Literal["raise", "fill"] = "raise",
        offsets: bool = True,
    ) -> xr.Dataset:
        """Parameters that a model gives for the cells of the Dataset; lazy if the Dataset is.

        Parameters
        ----------
        model : Model or Ensemble
            A δ model. An ensemble adds the dimension ``member``.
        time : slice, optional
            Window of days that static parameters are read at the end of. Default: the training period if
            the Dataset has it, otherwise its first days, as many as the training period has.
        missing : {"raise", "fill"}
            What to do with missing forcing and absent attributes, as for :meth:`simulate`.
        offsets : bool
            As for :meth:`simulate`.

        Returns
        -------
        Dataset
            Static parameters ``(space..., component)``, dynamic ones ``(space..., time, component)``, routing
            parameters UH_SHAPE and UH_SCALE ``(space...)``. Cells unlike those of the training are warned of.

        Raises
        ------
        DescriptionError
            If the model is an LSTM of streamflow, which has no parameters.
        HydroxrError
            If the inputs do not fit the model; the class names the problem.
        """
        from ..simulation.parameters import parameters

        return parameters(self._ds, model, time, missing=missing, offsets=offsets)
