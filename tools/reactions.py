# SPDX-License-Identifier: GPL-2.0-only
"""Print docs/reactions.md, of matrices and of what `pykit device --driver libblkio --json` printed.

Example: python -m tools.reactions runs/reactions-6.1 runs/reactions-7.2 libblkio.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pykit.matrix.results import load
from pykit.matrix.results.reactions import reactions, to_markdown


def main(words: list[str]) -> None:
    """Print the page; what is no directory is what libblkio did."""
    paths = [Path(word) for word in words]
    views = [load(path) for path in paths if path.is_dir()]
    others = {
        path.stem: {line["fault"]: line["reaction"] for line in json.loads(path.read_text())}
        for path in paths
        if not path.is_dir()
    }
    kernels = {cell.record.release for view in views for cell in view.cells if cell.record}
    print(to_markdown(reactions(*views), sorted(filter(None, kernels)), others), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
