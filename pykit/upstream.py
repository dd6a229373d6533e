# SPDX-License-Identifier: GPL-2.0-only
"""Make the series of patches that gives a kernel's virtio core trace events, and that core.

Each patch is a semantic patch in ``upstream/``, so that it fits kernels whose code differs; its
head has the subject and the message. The first one adds the files in ``upstream/files/`` as well.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pykit import paths
from pykit.errors import InfraError, UsageError
from pykit.kernels import Kernel, kbuild, source_part, store
from pykit.kernels.model import Progress, silent
from pykit.paths import ROOT, require_empty
from pykit.spatch import apply_semantic_patch, require_spatch

SERIES = ROOT / "upstream"
#: Files that the first patch adds, below the kernel's top directory.
_ADDED = SERIES / "files"
#: What the module is made of: the series changes the file, which includes none beside it.
CORE = "virtio_ring"
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


def build_core(kernel: Kernel, progress: Progress = silent) -> Path:
    """Build the kernel's module virtio_ring with the series applied, or reuse a build.

    Raises:
        UsageError: the series does not fit this kernel.
        InfraError: Coccinelle or git is missing, sources cannot be fetched, or make fails.
    """
    names = tuple(sorted({patch.file for patch in series()}))
    source = source_part(kernel, names, "upstream", progress)
    key = hashlib.sha256(repr((kernel.release, str(source))).encode())
    for path in sorted(path for path in SERIES.rglob("*") if path.is_file()):
        key.update(path.read_bytes())
    folder = paths.cache_dir() / "upstream" / f"{kernel.release}-{key.hexdigest()[:16]}"
    module = folder / Path(names[0]).with_name(f"{CORE}.ko")
    with store.locked(folder.parent, progress):
        if not module.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(kernel, source, folder, progress)
    paths.used(folder)
    return module


def _make(kernel: Kernel, source: Path, folder: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix="pykit-series-") as made:
        files = write_series(source, Path(made) / "patches")
        for patch in series():
            (folder / patch.file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / patch.file, folder / patch.file)
        _git(folder, "init", "--quiet")
        for file in files:
            _git(folder, "apply", str(file))
    place = (folder / series()[0].file).parent
    (place / "Kbuild").write_text(f"obj-m := {CORE}.o\nccflags-y := -I{folder}/include\n")
    progress(f"building {CORE} of {kernel.release} with trace events")
    kbuild.make_modules(kernel.build_dir, place, f"{CORE} of {kernel.release} with trace events")


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
