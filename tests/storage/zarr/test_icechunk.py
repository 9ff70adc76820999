"""Runs in sessions of icechunk: there for others when they are committed, and not before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hydroxr as hx
from hydroxr.errors import DescriptionError, StateError, StoreError, TimeAxisError
from hydroxr.support.dask_graphs import local_threads
from tests.storage.zarr.test_continuity import parts
from tests.support.cluster import local_client
from tests.support.labelled import make_dataset, make_parameters

icechunk = pytest.importorskip("icechunk", reason="the extra 'transactions' is not installed")


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    """One in a folder."""
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "repository")))


def published(repository: Any) -> xr.Dataset:
    """What others see, with xarray."""
    return xr.open_zarr(repository.readonly_session("main").store, consolidated=False)


@pytest.mark.parametrize(("chunks", "shards"), [({}, False), ({"basin": 2, "time": 7}, True)])
def test_a_run_and_its_later_days(repository: Any, chunks: dict[str, int], shards: bool) -> None:
    """Each is seen from its commit on, by snapshots taken before not at all; nothing is left of a session
    that is discarded."""
    ds = make_dataset(100, 5)
    sim, later, _ = parts(ds, **chunks)
    session = repository.writable_session("main")
    sim.hbv.to_zarr(session.store, shards=shards)
    with pytest.raises((FileNotFoundError, KeyError)):
        published(repository)
    session.commit("first days")
    before = published(repository)
    for stretch in (later.isel(time=slice(0, 11)), later.isel(time=slice(11, None))):
        for ends in ("discarded", "committed"):
            session = repository.writable_session("main")
            stretch.hbv.to_zarr(session.store, append_dim="time")
            if ends == "committed":
                session.commit("later days")
    whole = ds.hbv.simulate(make_parameters(ds))
    found = published(repository)
    assert before.load().sizes["time"] == 40
    assert found.attrs["history"].count("appended") == 2
    for name, array in whole.variables.items():
        if array.dtype.kind in "fM":
            other = found[name].transpose(*array.dims)
            if array.dtype.kind == "M":
                np.testing.assert_array_equal(other, array)
            else:
                np.testing.assert_allclose(other, array, rtol=1e-5, atol=1e-5, err_msg=str(name))
    assert bool(found.hbv.water_balance()["closed"].all())
    opened = hx.open_run(repository.readonly_session("main").store)
    assert opened.sizes["time"] == 100
    with pytest.raises(StoreError, match="without a manifest"):
        hx.open_run(repository.readonly_session("main").store, verify=True)


def test_what_does_not_fit_is_refused(repository: Any, ds: xr.Dataset) -> None:
    """As in other stores; the session says that it is not to be committed."""
    sim, later, state = parts(ds, at=40)
    session = repository.writable_session("main")
    with pytest.raises(StoreError, match="holds no run"):
        later.hbv.to_zarr(session.store, append_dim="time")
    with pytest.raises(StoreError, match="holds nothing"):
        hx.open_run(session.store)
    for options in ({"resume": True}, {"zarr_format": 2}):
        with pytest.raises(DescriptionError, match="icechunk"):
            sim.hbv.to_zarr(session.store, **options)
    sim.hbv.to_zarr(session.store)
    with pytest.raises(StoreError, match="overwrite=True"):
        sim.hbv.to_zarr(session.store)
    sim.hbv.to_zarr(session.store, overwrite=True)
    session.commit("first days")
    session = repository.writable_session("main")
    with pytest.raises(TimeAxisError):
        sim.isel(time=slice(5, None)).hbv.to_zarr(session.store, append_dim="time")
    state["lower_zone_storage"][1] += 1.0
    part = ds.isel(time=slice(40, None))
    wrong = part.hbv.simulate(make_parameters(ds), initial_state=state)
    with pytest.raises(StateError, match="1 of 3 cells"):
        wrong.hbv.to_zarr(session.store, append_dim="time")
    assert not session.has_uncommitted_changes  # it was refused before
    wrong = part.chunk(basin=2).hbv.simulate(make_parameters(ds), initial_state=state)
    with pytest.raises(StateError, match=r"to the session of icechunk does.*1 of 3 cells") as caught:
        wrong.hbv.to_zarr(session.store, append_dim="time")
    assert "discard_changes" in caught.value.__notes__[0]
    assert published(repository).sizes["time"] == 40
    reading = repository.readonly_session("main").store
    for options in ({"append_dim": "time"}, {"overwrite": True}):
        with pytest.raises(StoreError, match="for reading only"):
            later.hbv.to_zarr(reading, **options)


def test_packed_runs_are_written_and_not_added_to(repository: Any, ds: xr.Dataset) -> None:
    """Their encoding is not known to a session."""
    sim, later, _ = parts(ds)
    session = repository.writable_session("main")
    sim.hbv.to_zarr(session.store, packed=True)
    session.commit("packed")
    found = published(repository)
    assert abs(found["streamflow"] - sim["streamflow"]).max() <= 0.005 * (1 + 1e-6)
    with pytest.raises(StoreError, match="packed or rounded"):
        later.hbv.to_zarr(repository.writable_session("main").store, append_dim="time")


def test_workers_of_a_cluster_write_in_a_session(repository: Any) -> None:
    """In other processes than the session's: a run, and later days of it, the same as without a cluster."""
    ds = make_dataset(100, 5)
    sim, later, _ = parts(ds, basin=2, time=7)
    with local_client(2) as client:
        client.run(count_blocks)
        for stretch, append in ((sim, {}), (later, {"append_dim": "time"})):
            session = repository.writable_session("main")
            stretch.hbv.to_zarr(session.store, **append)
            session.commit("days")
        assert sum(client.run(blocks_written).values()) > 4
    found, whole = published(repository).load(), ds.hbv.simulate(make_parameters(ds))
    for name, array in whole.data_vars.items():
        other = found[name].transpose(*array.dims)
        np.testing.assert_allclose(other, array, rtol=1e-5, atol=1e-5, err_msg=str(name))


def test_a_session_that_cannot_be_forked_is_written_by_threads() -> None:
    """Of a repository in memory, or one that is changed already, while there is a cluster."""
    ds = make_dataset(60, 5)
    sim = ds.chunk(basin=2).hbv.simulate(make_parameters(ds))
    with local_client(processes=False):
        repository = icechunk.Repository.create(icechunk.in_memory_storage())
        session = repository.writable_session("main")
        sim.hbv.to_zarr(session.store)
        sim.hbv.to_zarr(session.store, overwrite=True)
        session.commit("days")
        with local_threads():
            found = published(repository).load()
    np.testing.assert_allclose(found["runoff"].transpose(*sim["runoff"].dims), sim["runoff"], rtol=1e-5)


def count_blocks() -> None:
    """In a worker: count the blocks that are written there."""
    from hydroxr.storage.zarr import icechunk as module

    real = module._Chunks.__call__
    module.WRITTEN = 0  # type: ignore[attr-defined]

    def counting(*args: Any) -> Any:
        module.WRITTEN += 1  # type: ignore[attr-defined]
        return real(*args)

    module._Chunks.__call__ = counting  # type: ignore[method-assign]


def blocks_written() -> int:
    """In a worker."""
    from hydroxr.storage.zarr import icechunk as module

    return module.WRITTEN  # type: ignore[attr-defined,no-any-return]
