# SPDX-License-Identifier: GPL-2.0-only
"""Make the series of patches that gives a kernel's virtio core trace events of its own.

Each patch is a semantic patch in ``upstream/``, so that it fits kernels whose code differs; its
head has the subject and the message. The first one adds the files in ``upstream/files/`` as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pykit.errors import InfraError, UsageError
from pykit.paths import ROOT, require_empty
from pykit.spatch import apply_semantic_patch, require_spatch

SERIES = ROOT / "upstream"
#: Files that the first patch adds, below the kernel's top directory.
_ADDED = SERIES / "files"
_HEAD = re.compile(
    r"// SPDX-License-Identifier: GPL-2\.0-only\n// subject: (?P<subject>.+)\n"
    r"// file: (?P<file>.+)\n// count: (?P<count>\d+)\n//\n(?P<body>(?://.*\n)+)@"
)


@dataclass(frozen=True)
class SeriesPatch:
    """One patch of the series.

    Attributes:
        path: of the semantic patch.
        subject, body: the message.
        file: the source file, below the kernel's top directory.
        count: lines that it adds which have "trace" in them; with another number it does not fit.
    """

    path: Path
    subject: str
    body: str
    file: str
    count: int


def series() -> tuple[SeriesPatch, ...]:
    """Return the patches in their order; raises UsageError for a head that is not complete."""
    return tuple(_read(path) for path in sorted(SERIES.glob("*.cocci")))


def _read(path: Path) -> SeriesPatch:
    found = _HEAD.match(path.read_text())
    if found is None:
        raise UsageError(f"{path}: begin with // subject, // file, // count, //, and the message")
    body = re.sub(r"^// ?", "", found["body"], flags=re.MULTILINE)
    return SeriesPatch(path, found["subject"], body.strip(), found["file"], int(found["count"]))


def write_series(tree: Path, to: Path) -> list[Path]:
    """Write the series against a kernel's source tree, as git format-patch does; return the files.

    Author and Signed-off-by are git's user.

    Raises:
        UsageError: the tree has not the code that a patch changes, or ``to`` is not empty.
        InfraError: Coccinelle or git is missing, or git knows no user.
    """
    require_spatch()
    require_empty(to)
    patches = series()
    with tempfile.TemporaryDirectory(prefix="pykit-series-") as folder:
        work = Path(folder)
        _git(work, "init", "--quiet")
        for name in sorted({patch.file for patch in patches}):
            if not (tree / name).is_file():
                raise UsageError(f"{tree} has no {name}: name the top directory of a kernel source")
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / name, work / name)
        _commit(work, "the kernel's source")
        shutil.copytree(_ADDED, work, dirs_exist_ok=True)
        for patch in patches:
            _apply(patch, work)
            _commit(work, f"{patch.subject}\n\n{patch.body}\n")
        to.mkdir(parents=True, exist_ok=True)
        _git(work, "format-patch", "--quiet", f"-{len(patches)}", "-o", str(to.absolute()))
    return sorted(to.glob("*.patch"))


def _apply(patch: SeriesPatch, work: Path) -> None:
    target = work / patch.file
    apply_semantic_patch(patch.path, target)
    lines = _git(work, "diff", "--unified=0", "--", patch.file).splitlines()
    found = sum(line.startswith(("+\t", "+#")) and "trace" in line for line in lines)
    if found != patch.count:
        raise UsageError(
            f"{patch.path.name} changes {found} places of this kernel's {patch.file}, not "
            f"{patch.count}: adapt the patch"
        )


def _commit(work: Path, message: str) -> None:
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", "--signoff", "--message", message)


def _git(work: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", work, *words], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise InfraError("git is not installed: apt-get install git") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise InfraError(f"git {words[0]} failed: {lines[-1]}")
    return done.stdout
