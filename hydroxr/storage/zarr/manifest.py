"""What a store of hydroxr knows of itself: which blocks are there, and the checksum of every key.

In the folder ``.hydroxr`` of the store, all of it JSON with a checksum of its own:

``write-ID/plan.json``
    What is being written: its fingerprint, its blocks, the metadata to publish at the end.
``write-ID/block-I-J.json``
    One for each block that the disk has whole, with sizes and checksums of its chunks. Blocks
    finish in any order and in any process; none waits for another or reads what another wrote.
    ``intent-I-J.json`` says beforehand what will stand in chunks that readers already use.
``part-ID.json``
    All keys of a write that is complete.
``manifest-N.json``
    The parts that make up the store with exactly the root metadata that it names by checksum.

The root metadata of the store is written last, in one step. It decides which manifest counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from ..._version import FORMAT, __version__
from ...conventions.attributes import FORMAT_KEY, VERSION_KEY, deciding
from ...errors import DamagedStoreError, StoreError
from ...support.checksums import blake2b_of, sha256, stable_json

if TYPE_CHECKING:
    from .location import Place

FOLDER = ".hydroxr"
LOCK = f"{FOLDER}/lock"
# In the order of publishing a new store, which is there when the last of its format is.
ROOT_KEYS = (".zattrs", ".zgroup", ".zmetadata", "zarr.json")

DOCUMENTS = ("zarr.json", ".zarray", ".zattrs")  # ends of the keys of metadata of arrays
_NAMED = 6  # differences that an error names; the others are counted
Entry = list[Any]  # number of bytes, checksum
Files = dict[str, Entry]


def entry(data: bytes) -> Entry:
    """Size and checksum of what stands under a key."""
    return [len(data), blake2b_of((data,))]


def seal(content: Mapping[str, Any]) -> bytes:
    """JSON with a checksum of itself."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f'{{"sha256":"{sha256(text)}","content":{text}}}\n'.encode()


def unseal(raw: bytes | None, what: str) -> dict[str, Any]:
    """The content of what :func:`seal` made.

    Raises
    ------
    DamagedStoreError
        Where it is absent, or not what was written.
    StoreError
        Where a newer hydroxr wrote it.
    """
    try:
        if raw is None:
            raise ValueError("it is missing")
        head, text = raw[:87], raw[87:-2]
        if head != f'{{"sha256":"{sha256(text)}","content":'.encode() or raw[-2:] != b"}\n":
            raise ValueError("its checksum differs")
        content: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise DamagedStoreError(f"{what} is damaged: {error}. Copy or write the store again.") from error
    version = content.get(FORMAT_KEY, 1)
    if version > FORMAT:
        raise StoreError(
            f"{what} has format {version}; this hydroxr {__version__} reads formats up to {FORMAT}: update "
            "hydroxr."
        )
    return content


@dataclass(frozen=True)
class BlockGrid:
    """The blocks of a write.

    Parameters
    ----------
    edges : dict
        For each dimension where its blocks begin, and where the last ends; positions in the store.
    variables : dict
        The dimensions of each variable that is written block by block.
    """

    edges: dict[str, list[int]]
    variables: dict[str, list[str]]

    @property
    def dims(self) -> list[str]:
        """Those that are cut into several blocks, by name: a plan that is read again has the same order."""
        return sorted(dim for dim, edges in self.edges.items() if len(edges) > 2)

    def blocks(self) -> Iterator[tuple[int, ...]]:
        """The number of each block along :attr:`dims`."""
        if self.variables:
            yield from product(*(range(len(self.edges[dim]) - 1) for dim in self.dims))

    def __len__(self) -> int:
        total = 1 if self.variables else 0
        for dim in self.dims:
            total *= len(self.edges[dim]) - 1
        return total

    def index(self, block: tuple[int, ...], dims: Iterable[str]) -> tuple[int, ...]:
        """The number of the block along ``dims``."""
        number = dict(zip(self.dims, block, strict=True))
        return tuple(number.get(dim, 0) for dim in dims)

    def region(self, block: tuple[int, ...], dims: list[str]) -> tuple[slice, ...]:
        """Where the block lies in an array with ``dims``."""
        places = zip(dims, self.index(block, dims), strict=True)
        return tuple(slice(self.edges[dim][place], self.edges[dim][place + 1]) for dim, place in places)

    def written_with(self, block: tuple[int, ...]) -> list[str]:
        """The variables that the block has; one without a dimension is written with the first along it."""
        number = dict(zip(self.dims, block, strict=True))
        return [
            name
            for name, dims in self.variables.items()
            if all(place == 0 for dim, place in number.items() if dim not in dims)
        ]


@dataclass(frozen=True)
class WritePlan:
    """A write that has begun.

    Parameters
    ----------
    id : str
    fingerprint : dict
        What is written, by the name that an error would call it.
    grid : BlockGrid
    root : dict
        Root metadata, to be published at the end.
    pending : dict
        Metadata of arrays that is to be published just before (where a run is appended to).
    files : dict
        The keys that are not of a block.
    options : dict
        How values are encoded, for later appending.
    """

    id: str
    fingerprint: dict[str, Any]
    grid: BlockGrid
    root: dict[str, str]
    pending: dict[str, str] = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return f"{FOLDER}/write-{self.id}"

    @property
    def key(self) -> str:
        return f"{self.folder}/plan.json"

    def block_key(self, block: tuple[int, ...], kind: str = "block") -> str:
        return f"{self.folder}/{'-'.join([kind, *map(str, block)])}.json"

    def sealed(self) -> bytes:
        content = {**self.__dict__, "grid": self.grid.__dict__}
        return seal({FORMAT_KEY: FORMAT, VERSION_KEY: __version__, **content})

    def done(self, place: Place) -> dict[tuple[int, ...], Files]:
        """The blocks that are whole; one whose record or chunks are not is to be written again."""
        there = place.sizes(f"{self.folder}/")
        keys = {self.block_key(block): block for block in self.grid.blocks()}
        sizes = place.sizes()
        done = {}
        for key, raw in place.get_many([key for key in keys if key in there]):
            try:
                files: Files = unseal(raw, key)["files"]
            except DamagedStoreError:
                continue
            if all(name in sizes and sizes[name] in (None, size) for name, (size, _) in files.items()):
                done[keys[key]] = files
        return done


def consolidated(root: Mapping[str, bytes]) -> dict[str, Any]:
    """The copies of arrays' metadata in that of the root, by the key of the original."""
    if ".zmetadata" in root:
        return dict(json.loads(root[".zmetadata"])["metadata"])
    nodes = (json.loads(root["zarr.json"]).get("consolidated_metadata") or {}).get("metadata", {})
    return {f"{name}/zarr.json": node for name, node in nodes.items()}


def structure_of(documents: Mapping[str, Any]) -> str:
    """Digest of what decides on values in the metadata of arrays: all but most attributes."""
    parts = {}
    for key, content in documents.items():
        attributes = content if key.endswith(".zattrs") else content.get("attributes", {})
        parts[key] = [
            deciding(attributes),
            None if attributes is content else {**content, "attributes": None},
        ]
    return sha256(stable_json(parts))


def read_plan(place: Place, key: str) -> WritePlan:
    """A plan on disk; errors as of :func:`unseal`."""
    content = unseal(place.get(key), f"{place.name}: {key}")
    names = WritePlan.__dataclass_fields__
    return WritePlan(**{**{name: content[name] for name in names}, "grid": BlockGrid(**content["grid"])})


def plans(place: Place) -> list[WritePlan]:
    """The writes that have begun and were not finished; one that cannot be read has not begun."""
    found = []
    for key in place.sizes(f"{FOLDER}/"):
        if key.endswith("/plan.json"):
            try:
                found.append(read_plan(place, key))
            except DamagedStoreError:
                continue
    return found


@dataclass(frozen=True)
class Manifest:
    """A store that is complete.

    Parameters
    ----------
    number : int
        How many times it was published before.
    root : dict
        Checksum of each key of its root metadata.
    parts : list of [name, checksum]
        Files that list its keys, of which later ones count.
    fingerprint, options, last : dict, dict, str
        Of the plan that was finished last, and its id.
    structure : str
        Of :func:`structure_of`; empty in stores of earlier versions.
    """

    number: int
    root: dict[str, Entry]
    parts: list[list[Any]]
    fingerprint: dict[str, Any]
    options: dict[str, Any]
    last: str
    structure: str = ""

    @property
    def key(self) -> str:
        return f"{FOLDER}/manifest-{self.number}.json"

    def sealed(self) -> bytes:
        return seal({FORMAT_KEY: FORMAT, VERSION_KEY: __version__, **self.__dict__})

    def files(self, place: Place) -> Files:
        """Every key of the store beside its root metadata.

        Raises
        ------
        DamagedStoreError
        """
        files: Files = {}
        for part in self._parts(place):
            files |= part["files"]
        return files

    def written(self, place: Place) -> list[dict[str, Any]]:
        """The fingerprint of each write, first the run itself, then of days that were appended.

        Stores of earlier versions know the last one only.
        """
        return [part.get("fingerprint", self.fingerprint) for part in self._parts(place)]

    def describes(self, place: Place, root: Mapping[str, bytes]) -> bool:
        """Whether metadata of arrays, and their copies in the root, differ from what was written in no more
        than attributes."""
        keys = [key for key in self.files(place) if key.endswith(DOCUMENTS)]
        try:
            found = [{key: json.loads(raw or b"") for key, raw in place.get_many(keys)}]
            nodes = consolidated(root)
            found += [{key: nodes[key] for key in keys}] if nodes else []
        except (ValueError, KeyError, AttributeError):
            return False
        return all(structure_of(documents) == self.structure for documents in found)

    def _parts(self, place: Place) -> Iterator[dict[str, Any]]:
        for name, expected in self.parts:
            raw = place.get(name)
            content = unseal(raw, f"{place.name}: {name}")
            if raw is None or entry(raw) != expected:
                raise DamagedStoreError(
                    f"{place.name}: {name} is not what was written; copy the store again."
                )
            yield content


def read_manifest(place: Place, root: Mapping[str, bytes]) -> Manifest | None:
    """The manifest that belongs to ``root``, or would but for attributes; None where the store has none.

    Raises
    ------
    DamagedStoreError
        Where none belongs to it: root metadata or manifest are not what was written.
    """
    there = place.sizes(f"{FOLDER}/")
    keys = [key for key in there if key.startswith(f"{FOLDER}/manifest-")]
    if not there:
        return None
    if not keys:
        raise DamagedStoreError(f"{place.name} lacks {FOLDER}/manifest-0.json or a later one; copy it again.")
    found = {key: entry(value) for key, value in root.items()}
    damage, others = None, []
    for key in keys:
        try:
            content = unseal(place.get(key), f"{place.name}: {key}")
        except DamagedStoreError as error:
            damage = error
            continue
        manifest = Manifest(
            **{name: content[name] for name in Manifest.__dataclass_fields__ if name in content}
        )
        if manifest.root == found:
            return manifest
        others.append(manifest)
    for manifest in others:
        if read_root(place) == root and manifest.describes(place, root):
            return manifest
    if damage is not None:
        raise damage
    raise DamagedStoreError(
        f"{place.name}: the metadata in {' and '.join(root)} is not what was written (its checksum is in no "
        "manifest of the store): damaged, or changed by another program. Copy the store again."
    )


def read_root(place: Place) -> dict[str, bytes]:
    """The root metadata, where all of it is published; else nothing."""
    found = {key: raw for key, raw in place.get_many(ROOT_KEYS) if raw is not None}
    return found if {".zmetadata", "zarr.json"} & found.keys() else {}


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """What differs between two fingerprints, in words; empty where nothing does."""
    texts = []
    for name in dict.fromkeys([*expected, *found]):
        there, here = found.get(name), expected.get(name)
        if there != here:
            long = len(str(there)) > 60 or len(str(here)) > 60 or name.startswith(("coordinate", "input"))
            texts.append(name if long else f"{name} ({there!r} there, {here!r} here)")
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more
