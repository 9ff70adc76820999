"""Methods of ``ds.hbv`` for results: evaluate, water_balance, derive, aggregate_time, to_zarr, to_netcdf."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import xarray as xr

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    class _StoreOptions(TypedDict, total=False):
        """Options of ``to_zarr``."""

        overwrite: bool
        progress: bool
        resume: bool
        append_dim: Literal["time"] | None
        layout: Literal["series", "maps"] | None
        shards: bool
        zarr_format: Literal[2, 3]
        packed: bool | Mapping[str, float]
        keep_bits: int | Mapping[str, int] | None
        storage_options: Mapping[str, Any] | None


_Store = TypeVar("_Store")


class ResultMethods:
    """Evaluate, derive, aggregate and write a simulation."""

    _ds: xr.Dataset

    def evaluate(
        self,
        observed: xr.Dataset,
        time: slice | None = None,
        *,
        dim: Hashable | Iterable[Hashable] = "time",
        mask: xr.DataArray | None = None,
        target: str = "streamflow",
    ) -> xr.Dataset:
        """Metrics of the simulated streamflow against observations; lazy if one of them is.

        Parameters
        ----------
        observed : Dataset
            Observed streamflow in any known units, for at least the cells of the simulation, in any order.
        time : slice, optional
            Days that count, such as ``slice("1995-10-01", "2010-09-30")``. Default: all common days.
        dim : str, sequence of str or ``...``
            Dimensions to reduce; ``...`` reduces all.
        mask : DataArray of bool, optional
            Pairs of values that count, with dimensions of the simulation. Default: all pairs without NaN.
        target : str
            Name of the observed streamflow; the default is found by name or standard name.

        Returns
        -------
        Dataset
            ``nse``, ``kge``, ``rmse`` and more, ``(space...)``, see :func:`hydroxr.metrics.evaluate`.

        Raises
        ------
        MissingVariableError
            If the simulation or the observations have no streamflow.
        ValueRangeError
            If observations in memory are out of range.
        CoordinateError, DescriptionError, DimensionError, EmptySelectionError, UnitsError
            As for :func:`hydroxr.metrics.evaluate`.
        """
        from ..metrics.evaluate import evaluate_simulation

        return evaluate_simulation(self._ds, observed, time, dim=dim, mask=mask, target=target)

    def water_balance(self, by: Literal["year"] | None = None) -> xr.Dataset:
        """Check the water balance of each cell: precipitation less losses equals the change of storage.

        The simulation must be daily, ``(..., time)``, with ``initial_storage``, all storages, and the fluxes
        rainfall, snowfall, evapotranspiration and streamflow. If it does not begin with the run,
        ``initial_storage`` does not apply, and the balance starts after the first day. Of a routed run the
        balance is that of all cells and reaches above each reach, in m3.

        Parameters
        ----------
        by : "year", optional
            One balance per calendar year; default: one for all days.

        Returns
        -------
        Dataset
            ``(space)`` or ``(space, year)``, kg m-2 (mm), float64, lazy if the simulation is:

            - ``precipitation``, ``evapotranspiration``, ``streamflow``, ``storage_change``: sums.
            - ``residual``: precipitation - evapotranspiration - streamflow - storage_change.
            - ``tolerance``: largest residual that rounding to the type of each variable, and the stated
              errors of packed or rounded variables, can cause.
            - ``largest_daily_residual``, ``daily_tolerance``: largest daily values of both.
            - ``closed``: True if the residual is within the tolerance on every day and in the sum. False if
              not, or if this cannot be verified: a value is missing or infinite, or stated errors may exceed
              1 % of the precipitation. True in cells that were not simulated, such as the sea.
            - ``days``: number of days that count.

        Raises
        ------
        MissingVariableError
            If a variable is absent, or the simulation is that of an LSTM.
        TimeAxisError
            If values are not daily, sorted and without gaps.
        EmptySelectionError
            If no day is left: a single day that is not the first of the run.
        UnitsError
            If a variable has other units than ``simulate`` gives.
        DescriptionError
            If ``by`` is unknown, or a variable is neither float32 nor float64 (such as packed integers).
        """
        from ..analysis.water_balance import water_balance
        from ..rivers import water_balance as of_rivers

        if of_rivers.is_routed(self._ds):
            return of_rivers.water_balance(self._ds, by)
        return water_balance(self._ds, by)

    def derive(
        self,
        names: str | Sequence[str],
        *,
        area: xr.DataArray | None = None,
        reference_period: slice | None = None,
    ) -> xr.Dataset:
        """Add derived variables to a simulation, ``(..., time)``; lazy if it is.

        Parameters
        ----------
        names : str or sequence of str
            - ``snow_water_equivalent`` (kg m-2): frozen and liquid water of the snowpack.
            - ``terrestrial_water_storage`` (kg m-2): sum of all storages, including the channel.
            - ``discharge`` (m3 s-1): streamflow times ``area``.
            - ``terrestrial_water_storage_anomaly`` (kg m-2): difference from the mean over
              ``reference_period``, as in GRACE products.
            - ``baseflow_index`` (1): sum of baseflow over sum of runoff, in the whole years of the run
              counted from its first day.

            The last two need the whole period: write a large run to a store before deriving them. The first
            three can also be derived after :meth:`aggregate_time`.
        area : DataArray, optional
            Area of each catchment or cell, ``(space)``, km2 or m2; default: that of the Dataset. It is read
            into memory, and ``discharge`` gets a digest of it as an attribute, which tells results of
            different areas apart.
        reference_period : slice, optional
            Such as ``slice("2004", "2009")``, that of the GRACE mascons; default: all days.

        Returns
        -------
        Dataset
            The simulation with the variables ``names``. Variables that it already has are kept, unless they
            are for another period, ``area`` or ``reference_period``. Snow water equivalent and discharge keep
            components, the others average them. Stated errors of packed or rounded variables are propagated
            where possible.

        Raises
        ------
        MissingVariableError
            If a name is unknown, or a variable or the area that it needs is absent.
        DescriptionError
            If ``area`` or ``reference_period`` is given without its variable, or has the wrong type.
        UnitsError
            If units are missing or unknown.
        DimensionError
            If the area has a dimension that is not one of space.
        CoordinateError
            If the area lacks cells of the simulation.
        ValueRangeError
            If an area is 0 or negative.
        TimeAxisError
            If the baseflow index is derived from values that are not daily.
        EmptySelectionError
            If no day lies in ``reference_period``, or the run has no whole year.
        """
        from ..analysis.derived import derive

        return derive(self._ds, names, area=area, reference_period=reference_period)

    def aggregate_time(
        self,
        step: Literal["month", "year", "8day"],
        *,
        fluxes: Literal["mean", "sum"] = "mean",
        states: Literal["end", "mean"] = "end",
        first_month: int = 1,
    ) -> xr.Dataset:
        """Aggregate daily values to months, years or 8-day composites, lazily and in any calendar.

        Attributes tell the kind of each variable: fluxes have units such as kg m-2 day-1; amounts of a day
        are in mm or kg m-2 with ``time: sum``; states have ``cell_methods`` of a point in time.

        Parameters
        ----------
        step : {"month", "year", "8day"}
            Composites are defined as for MODIS: they begin on days 1, 9, ..., 361 of each year; the last
            one has 5 days, 6 in leap years (8 in a calendar of 360 days).
        fluxes : {"mean", "sum"}
            Mean fluxes, kg m-2 day-1 (``time: mean``), or amounts, kg m-2 (``time: sum``), with the standard
            names of amounts.
        states : {"end", "mean"}
            Storage at the end of the step, which closes the balance, or the mean over its days (``time:
            mean``), which compares with GRACE.
        first_month : int
            First month of a year, 1 to 12; 10 for hydrologic years of the USGS.

        Returns
        -------
        Dataset
            Stamped with the first day of each step, with ``time_bnds``. Incomplete steps, usually the first
            and the last, are left out; a missing daily value makes the step missing. Amounts of a day are
            treated as fluxes. Flags keep their largest value, or with ``flag_masks`` every bit that was set.
            Other variables are averaged. ``initial_storage`` is kept only if the balance closes and the first
            step begins with the run. The stated errors of packed or rounded variables are propagated.

        Raises
        ------
        DescriptionError
            If an option is unknown, or a variable is not numeric or mixes kinds of flags.
        DimensionError
            If there is no dimension ``time``.
        TimeAxisError
            If ``time`` has no dates, is not sorted, or a day occurs more than once.
        EmptySelectionError
            If no step is complete.
        """
        from ..analysis.time_means import aggregate_time

        return aggregate_time(self._ds, step, fluxes=fluxes, states=states, first_month=first_month)

    @overload
    def to_zarr(self, path: os.PathLike[str], **options: Unpack[_StoreOptions]) -> Path: ...

    @overload
    def to_zarr(self, path: str, **options: Unpack[_StoreOptions]) -> Path | str: ...

    @overload
    def to_zarr(self, path: _Store, **options: Unpack[_StoreOptions]) -> _Store: ...

    def to_zarr(
        self,
        path: Any,
        *,
        overwrite: bool = False,
        progress: bool = False,
        resume: bool = False,
        append_dim: Literal["time"] | None = None,
        layout: Literal["series", "maps"] | None = None,
        shards: bool = False,
        zarr_format: Literal[2, 3] = 3,
        packed: bool | Mapping[str, float] = False,
        keep_bits: int | Mapping[str, int] | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Write to a Zarr store block by block, with checksums of the chunks: complete, or not there.

        A folder is written next to ``path`` as ``NAME.partial-ID`` and renamed when it is complete. If
        another program has taken the name by then, it stays there, complete, and an error says so. In an
        object store the metadata of the root is written last, so that nobody finds an incomplete store;
        nothing there prevents two programs from writing to one path at once. Missing text (None) becomes
        empty text.

        Parameters
        ----------
        path : path, URL or zarr store
            A folder; a URL that fsspec knows, such as ``s3://bucket/run.zarr``; a store such as
            ``zarr.storage.ObjectStore``; or the ``session.store`` of icechunk, where others see the run when
            you commit the session, see :mod:`hydroxr.storage.zarr.icechunk`.
        overwrite : bool
            Replace an existing store: a folder only when the new one is complete. In an object store the
            old one is removed first, since both have the same keys; a lazy run that reads from it is
            refused.
        progress : bool
            Show a progress bar.
        resume : bool
            Continue an earlier call for the same run, and keep the finished blocks if this call ends early.
            With ``overwrite``, blocks of another run are given up. The run is the same if names, shapes,
            attributes (including the checksum of the model), coordinates, the path of the input with sizes
            and dates of its files and chunks, and the operations on a lazy simulation are the same; values
            are not read again. If the input has changed since, all blocks are computed anew, with a warning.
            A complete store is left as it is.
        append_dim : "time", optional
            Add the days of the Dataset to the complete store at ``path``, with its layout and encoding.
            Readers see the earlier days until all new days are there. Repeat the call to finish one
            that was interrupted. The days must continue the stored run, or begin with a state of the day
            before; this is checked before anything is computed. The check compares the water of the state
            with that of the store if both have all storages. With fewer variables, or for an LSTM, it
            cannot detect a state of the right day with other water.
        layout : {"series", "maps"}, optional
            Chunks for reading whole time series of few cells, or maps of few days. Default: the blocks of a
            lazy Dataset, and "series" for data in memory.
        shards : bool
            Write one file per block and variable, which holds its chunks (Zarr format 3).
        zarr_format : {3, 2}
            Version of the Zarr format.
        packed : bool or dict
            Store fluxes as integers with an error of at most 0.005 kg m-2 day-1, and states with at most
            0.05 kg m-2. A dict gives the largest error by variable. It is written as the attribute
            ``packing_maximum_absolute_error``.
        keep_bits : int or dict, optional
            Bits of the mantissa to keep, for all variables or by name. The largest relative error,
            2 ** -(keep_bits + 1), is written as the attribute ``quantization_maximum_relative_error``.
        storage_options : dict, optional
            Options of fsspec for a URL.

        Returns
        -------
        Path or type of ``path``
            The folder; for a URL or a store ``path`` itself.

        Raises
        ------
        StoreError
            If ``path`` exists, holds another run, is being written, or writing fails.
        TypeError
            If ``path`` is neither text, nor a path, nor a zarr store.
        TimeAxisError, CoordinateError, StateError
            If days to append do not follow the stored ones, have other cells, or start from other water.
        DescriptionError
            If options contradict each other, or a variable has a name that no file can have.
        """
        from ..storage.to_zarr import to_zarr

        return to_zarr(
            self._ds,
            path,
            overwrite=overwrite,
            progress=progress,
            resume=resume,
            append_dim=append_dim,
            layout=layout,
            shards=shards,
            zarr_format=zarr_format,
            packed=packed,
            keep_bits=keep_bits,
            storage_options=storage_options,
        )

    def to_netcdf(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: bool = False,
        packed: bool | Mapping[str, float] = False,
        keep_bits: int | Mapping[str, int] | None = None,
    ) -> Path:
        """Write a compressed CF NetCDF-4 file with checksums of its content: complete, or not there.

        The file is written in a folder ``NAME.partial-ID`` next to ``path``, and renamed when it is complete.

        Parameters
        ----------
        path : path or str
            Path of the file to write.
        overwrite : bool
            Replace an existing file.
        progress : bool
            Show a progress bar over the blocks of a lazy Dataset.
        packed, keep_bits
            As for :meth:`to_zarr`.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        StoreError
            If ``path`` is a URL, exists and ``overwrite`` is false, or writing fails.
        TypeError
            If ``path`` is neither text nor a path.
        DescriptionError
            If a name, or the type of a variable or an attribute, cannot be written.
        """
        from ..storage.netcdf import to_netcdf

        options = {"overwrite": overwrite, "progress": progress}
        return to_netcdf(self._ds, path, packed=packed, keep_bits=keep_bits, **options)
