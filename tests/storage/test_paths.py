"""What users give as a path means one place, or is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hydroxr.errors import StoreError
from hydroxr.support.paths import is_url, local_path


class Named:
    """A path of another library."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __fspath__(self) -> str:
        return self.text


def test_every_way_to_name_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, path, os.PathLike, file URL, home, relative path and symbolic link lead to the same file."""
    tmp_path = tmp_path.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "run.zarr")  # dangling
    expected = tmp_path / "run.zarr"
    ways = [str(expected), expected, Named(str(expected)), f"file://{expected}"]
    for way in [*ways, "~/run.zarr", Path("~/run.zarr"), "run.zarr", "./a/../run.zarr", "link"]:
        assert local_path(way) == expected


@pytest.mark.parametrize("given", [{}, None, b"run.zarr", 3, Named(b"run.zarr")])  # type: ignore[arg-type]
def test_what_is_no_path_is_a_type_error(given: object) -> None:
    """The message names the argument."""
    with pytest.raises(TypeError, match="checkpoint"):
        local_path(given, "checkpoint")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given", ["s3://key:secret@bucket/run", "gs://bucket/run", "zip::s3://bucket/run.zip", "simplecache::/x"]
)
def test_urls_are_refused_and_their_secrets_are_not_repeated(given: str) -> None:
    """They would become a folder of an odd name."""
    assert is_url(given)
    with pytest.raises(StoreError, match=r"checkpoint=.*URL") as caught:
        local_path(given, "checkpoint")
    assert "secret" not in str(caught.value)
    assert not os.path.exists(given.split(":")[0] + ":")


@pytest.mark.parametrize("given", ["C:/data/run.zarr", "C:\\run", "a:b", "run: 2", "/data/s3:/x"])
def test_names_with_a_colon_are_names(given: str) -> None:
    """A drive of Windows is no URL."""
    assert not is_url(given)


@pytest.mark.parametrize("given", ["", " ", "a\0b", "~nobody-of-this-name/run"])
def test_names_that_no_file_can_have(given: str) -> None:
    """They would be the working directory, or an error of the system."""
    with pytest.raises(StoreError, match=r"path="):
        local_path(given)
