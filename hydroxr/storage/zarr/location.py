"""Where a Zarr store lies: a folder, or an object store; what each can promise about writing.

In a folder a key is written under a temporary name, flushed to the disk (the file, then its
folders) and renamed: after a crash, of the power too, it is there whole or not at all. An object
store has neither flushing nor renaming: a key is put in one request, which such stores answer when
they hold all of it, and nothing stops two programs from writing at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.buffer import default_buffer_prototype
from zarr.core.sync import sync  # zarr has no public way to wait for a store
from zarr.storage import FsspecStore, LocalStore, MemoryStore, WrapperStore, ZipStore

from ...errors import StoreError
from ...support.atomic import UNFINISHED, put_files
from ...support.checksums import without_secrets
from ...support.paths import is_url, local_path

_AT_ONCE = 32  # requests to an object store


@dataclass(frozen=True)
class Place:
    """A Zarr store as keys and bytes; workers in other processes get a copy.

    Parameters
    ----------
    store : zarr.abc.store.Store
    folder : Path, optional
        Where it is one of this machine.
    name : str
        What messages call it.
    """

    store: Store
    folder: Path | None
    name: str

    @classmethod
    def of(cls, path: Any, storage_options: Mapping[str, Any] | None = None) -> Place:
        """The place that a path, a URL or a store of zarr means.

        Raises
        ------
        TypeError, StoreError
            If it is none of them, or cannot be reached.
        """
        if isinstance(path, ZipStore):
            raise StoreError(
                f"{path} is a zip file, which takes each key once; expected a folder: unpack it."
            )
        if isinstance(path, Store):
            folder = local_path(path.root) if isinstance(path, LocalStore) else None
            inside = type(path).__module__.partition(".")[0] == "icechunk"
            return cls(path, folder, "the session of icechunk" if inside else str(path))
        if is_url(path):
            options, name = dict(storage_options or {}), without_secrets(path)
            try:
                return cls(FsspecStore.from_url(path, storage_options=options), None, name)
            except (ImportError, ValueError) as error:
                raise StoreError(
                    f"{name} cannot be reached: {error}. Expected a path, or a URL that fsspec knows and "
                    "whose package is installed."
                ) from error
        folder = local_path(path)
        return cls(LocalStore(folder), folder, str(folder))

    @property
    def transactional(self) -> bool:
        """Whether the store is of a session of icechunk, which takes nothing but arrays and groups."""
        return type(self.store).__module__.partition(".")[0] == "icechunk"

    def check_writable(self) -> None:
        """Refuse a store that is for reading.

        Raises
        ------
        StoreError
        """
        if self.store.read_only:
            expected = "repository.writable_session('main')" if self.transactional else "a store to write to"
            raise StoreError(f"{self.name} is for reading only; expected {expected}.")

    def get(self, key: str) -> bytes | None:
        """The bytes of a key; None where there is none."""
        if self.folder is not None:
            try:
                return (self.folder / key).read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
        buffer = sync(self.store.get(key, default_buffer_prototype()))
        return None if buffer is None else buffer.to_bytes()

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Each key with its bytes; from an object store many at once."""
        if self.folder is not None:
            yield from ((key, self.get(key)) for key in keys)
            return
        names = list(keys)
        for first in range(0, len(names), _AT_ONCE):
            some = names[first : first + _AT_ONCE]
            found = sync(_together([self.store.get(key, default_buffer_prototype()) for key in some]))
            yield from (
                (key, None if buffer is None else buffer.to_bytes())
                for key, buffer in zip(some, found, strict=True)
            )

    def put(self, values: Mapping[str, bytes]) -> None:
        """Write keys; when it returns the disk, or the object store, has them."""
        if self.folder is not None:
            put_files({self.folder / key: value for key, value in values.items()}, self.folder)
            return
        from_bytes = default_buffer_prototype().buffer.from_bytes
        items = list(values.items())
        for first in range(0, len(items), _AT_ONCE):
            some = items[first : first + _AT_ONCE]
            sync(_together([self.store.set(key, from_bytes(value)) for key, value in some]))

    def clear(self) -> None:
        """Remove all keys of a store that is no folder."""
        sync(self.store.clear())

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, those that are there."""
        for key in keys:
            if self.folder is not None:
                (self.folder / key).unlink(missing_ok=True)
            else:
                sync(self.store.delete(key))

    def sizes(self, prefix: str = "") -> dict[str, int | None]:
        """The keys that begin with ``prefix``, with their bytes where that costs no request each."""
        if self.folder is None:
            return dict.fromkeys(sync(_collect(self.store.list_prefix(prefix))))
        return {
            key: size
            for key, size in _files(self.folder / prefix, self.folder)
            if not key.endswith(UNFINISHED)
        }

    def sweep(self) -> None:
        """Remove what was never finished: temporary files of a writer that was killed."""
        if self.folder is not None:
            for key, _ in list(_files(self.folder, self.folder)):
                if key.endswith(UNFINISHED):
                    (self.folder / key).unlink(missing_ok=True)


class Recorder(WrapperStore[Store]):
    """A store that keeps what is written to it, for somebody else to put in its place.

    Parameters
    ----------
    store : zarr.abc.store.Store
        What was there before; it is read only.
    kept : dict
        Keys that hide those of the store; what is written comes here too.
    """

    def __init__(self, store: Store, kept: dict[str, bytes] | None = None) -> None:
        super().__init__(store)
        self.kept = {} if kept is None else kept

    def _with_store(self, store: Store) -> Recorder:
        return type(self)(store, self.kept)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        raw = self.kept.get(key)
        if raw is None:
            return await self._store.get(key, prototype, byte_range)
        memory = MemoryStore({key: prototype.buffer.from_bytes(raw)})
        return await memory.get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        return key in self.kept or await self._store.exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        self.kept[key] = value.to_bytes()

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        if not await self.exists(key):
            await self.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        for key, value in values:
            await self.set(key, value)

    async def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        start = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        names = {key[len(start) :].partition("/")[0] for key in self.kept if key.startswith(start)}
        names |= {name async for name in self._store.list_dir(prefix)}
        for name in sorted(names):
            yield name


def _files(folder: Path, root: Path) -> Iterator[tuple[str, int]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with suppress(FileNotFoundError):  # another program just renamed it
                yield path.relative_to(root).as_posix(), path.stat().st_size


async def _together(calls: list[Any]) -> list[Any]:
    return list(await asyncio.gather(*calls))


async def _collect(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]
