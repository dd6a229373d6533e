# SPDX-License-Identifier: GPL-2.0-only
"""Seal a capture: what each of its files held when it was written, and whether it still does.

A log has no count of its own lines, and a file that is gone leaves no gap. So capture.json, which
is written last, lists the size and the SHA-256 of every other file; a file that is missing, cut,
replaced or added afterwards is then found. A seal proves that files belong together and are
whole, not where they come from.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pykit.files import open_regular, reason

#: The file with the seal, which cannot be in it.
HOLDER = "capture.json"
#: Files of lines: of these the seal has the number of lines, so that a cut can be measured.
_LINES = (".log",)
#: Files that decoding reads wherever they are found.
_EVIDENCE = re.compile(
    r"(?:qemu\.log|qmp\.json|access\.(?:bin|json)|rings\.(?:npy|json)|survey\.json|tracing/.*|tap-[^/]+/.*)"
)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class SealedFile:
    """One file as it was written; ``lines`` is None for a file that is not a log."""

    bytes: int
    sha256: str
    lines: int | None


class Broken(NamedTuple):
    """A file that is not as it was sealed: how many records it lacks at least, and the reason."""

    records: int
    line: str


def seal(capture: Path, observers: Collection[str]) -> dict[str, Any]:
    """Return the seal of a capture whose files are all written, for its capture.json.

    Args:
        observers: names of the recorders that ran.

    Raises: OSError, for a file that cannot be read.
    """
    files = {}
    for name in _names(capture):
        with open_regular(capture / name, capture) as file:
            found = _measure(name, file)
        files[name] = {key: value for key, value in asdict(found).items() if value is not None}
    return {"run": secrets.token_hex(8), "observers": sorted(observers), "files": files}


def write_sealed(capture: Path, info: Mapping[str, Any], observers: Collection[str]) -> None:
    """Write capture.json with the seal of all other files of the capture, which are written.

    Raises: OSError, for a file that cannot be read or written.
    """
    sealed = {**info, "seal": seal(capture, observers)}
    (capture / HOLDER).write_text(json.dumps(sealed, indent=1) + "\n")


def broken(capture: Path, files: Mapping[str, SealedFile]) -> Iterator[Broken]:
    """Yield the files of a capture that differ from its seal, in order of their names."""
    for name, sealed in sorted(files.items()):
        try:
            with open_regular(capture / name, capture) as file:
                found = _measure(name, file)
        except FileNotFoundError:
            yield Broken(
                max(sealed.lines or 1, 1), f"{name}: missing, the run wrote {_size(sealed)}"
            )
            continue
        except (OSError, ValueError) as error:
            yield Broken(1, f"{name}: cannot be read: {reason(error)}")
            continue
        if found == sealed:
            continue
        missing = (sealed.lines or 0) - (found.lines or 0)
        if found.bytes < sealed.bytes:
            words = f"cut, it has {_size(found)} and the run wrote {_size(sealed)}"
        else:
            words = "not the file that the run wrote"
        yield Broken(max(missing, 1), f"{name}: {words}")
    for name in _names(capture):
        if name not in files and _EVIDENCE.fullmatch(name):
            yield Broken(1, f"{name}: added after the run")


def _names(capture: Path) -> Iterator[str]:
    """Yield the paths of all files below a directory, relative to it, in order."""
    for folder, folders, names in os.walk(capture):
        folders.sort()
        for name in sorted(names):
            path = (Path(folder) / name).relative_to(capture).as_posix()
            if path != HOLDER:
                yield path


def _measure(name: str, file: BinaryIO) -> SealedFile:
    digest, size, lines = hashlib.sha256(), 0, 0
    counts = name.endswith(_LINES)
    while data := file.read(_CHUNK):
        digest.update(data)
        size += len(data)
        lines += data.count(b"\n") if counts else 0
    return SealedFile(size, digest.hexdigest(), lines if counts else None)


def _size(file: SealedFile) -> str:
    return f"{file.bytes:,} bytes" if file.lines is None else f"{file.lines:,} lines"
