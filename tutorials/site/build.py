"""Build the site: ``python tutorials/site/build.py`` writes ``build/site/html/index.html``.

It collects the guides, the tutorials and a page for each public name in ``build/site/source``. Sphinx reads
all of them anew: a page kept from an earlier build would hide its warnings.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

HERE = Path(__file__).resolve().parent
TUTORIALS = HERE.parent
BUILD = HERE.parents[1] / "build" / "site"
NOTEBOOKS = sorted(TUTORIALS.glob("0*.ipynb"))
SCRIPTS = sorted(TUTORIALS.glob("*.py"))


def assemble(folder: Path) -> None:
    """Write everything that Sphinx reads into a folder."""
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


def main() -> int:
    """Build; return what Sphinx returns, which is not 0 after a warning."""
    sys.path.insert(0, str(HERE))
    shutil.rmtree(BUILD, ignore_errors=True)
    assemble(BUILD / "source")
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--quiet"]
    where = ["-c", str(HERE), "-d", str(BUILD / "doctrees"), str(BUILD / "source"), str(BUILD / "html")]
    status = sphinx_build(["-b", "html", *strict, *sys.argv[1:], *where])
    if status == 0:
        print(f"The site is in {BUILD / 'html' / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
