"""Build the site: ``python tutorials/site/build.py`` writes ``build/site/html/index.html``.

The guides, the tutorials and pages for the public names are brought together in ``build/site/source``, where
Sphinx finds them; a page's source is only touched where it changed, so that a second build is quick.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

HERE = Path(__file__).resolve().parent
TUTORIALS = HERE.parent
BUILD = HERE.parents[1] / "build" / "site"
NOTEBOOKS = sorted(TUTORIALS.glob("0*.ipynb"))
SCRIPTS = sorted(TUTORIALS.glob("*.py"))


def assemble(folder: Path) -> None:
    """Write everything that Sphinx reads into an empty folder."""
    import api_pages

    shutil.copytree(
        HERE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "*.txt", "__pycache__")
    )
    (folder / "tutorials").mkdir(exist_ok=True)
    for notebook in NOTEBOOKS:
        # In the repository guides lie in site/guides, in the site one folder up.
        text = notebook.read_text(encoding="utf-8").replace("(site/guides/", "(../guides/")
        content = json.loads(text)
        for cell in content["cells"]:
            streams = [each for each in cell.get("outputs", []) if each["output_type"] == "stream"]
            if streams:
                streams[0]["text"] = last_shown("".join("".join(each["text"]) for each in streams))
                cell["outputs"] = [each for each in cell["outputs"] if each not in streams[1:]]
        (folder / "tutorials" / notebook.name).write_text(json.dumps(content), encoding="utf-8")
    for script in SCRIPTS:
        shutil.copy(script, folder / "tutorials")
    shutil.copy(TUTORIALS / "hydrograph.png", folder)
    api_pages.write(folder / "api")


def last_shown(text: str) -> str:
    """A stream as a terminal shows it at the end: of a progress bar, the last state."""
    return "\n".join(line.rsplit("\r", 1)[-1] for line in text.split("\n"))


def update(new: Path, folder: Path) -> None:
    """Make ``folder`` like ``new``, and leave alone what is the same."""
    wanted = {path.relative_to(new) for path in new.rglob("*") if path.is_file()}
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder) not in wanted:
            path.unlink()
    for name in wanted:
        target = folder / name
        if not target.exists() or target.read_bytes() != (new / name).read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(new / name, target)


def main() -> int:
    """Build; what Sphinx returns, which is not 0 where there was a warning."""
    sys.path.insert(0, str(HERE))
    with tempfile.TemporaryDirectory() as made:
        assemble(Path(made))
        update(Path(made), BUILD / "source")
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    where = ["-c", str(HERE), "-d", str(BUILD / "doctrees"), str(BUILD / "source"), str(BUILD / "html")]
    status = sphinx_build(["-b", "html", *strict, *sys.argv[1:], *where])
    if status == 0:
        print(f"The site is in {BUILD / 'html' / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
