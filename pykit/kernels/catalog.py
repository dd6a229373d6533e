# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that have names, and where Debian keeps them.

Debian's ABI names roll with every update, so a name stands for a metapackage and
never for a release. A candidate needs one suite only: each carries all the packages
of its kernels, and every further index would cost time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pykit.arch import AMD64, ARCHES, Arch


@dataclass(frozen=True)
class Candidate:
    """One place where a kernel may be found.

    Attributes:
        suite: of the Debian archive.
        metapackage: depends on the newest image, ``linux-image-<release>``.
    """

    suite: str
    metapackage: str


@dataclass(frozen=True)
class Flavour:
    """A kernel with a name; its candidates are tried in order."""

    name: str
    summary: str
    candidates: tuple[Candidate, ...]
    arch: Arch = AMD64

    def has(self, release: str) -> bool:
        """Whether a release is of this series: a suite's metapackage moves to the next."""
        return release.startswith(self.name.split("-")[1] + ".")

    def built_for(self, arch: Arch) -> Flavour:
        """The kernel of the same series and suites of another architecture."""
        return Flavour(
            f"{self.name}-{arch.name}",
            f"the same for {arch.name}",
            tuple(
                replace(c, metapackage=c.metapackage.replace(AMD64.name, arch.name))
                for c in self.candidates
            ),
            arch,
        )


_OWN = (
    Flavour(
        "debian-6.12",
        "Debian's 6.12, built for Debian 12 (default)",
        (
            Candidate("bookworm-security", "linux-image-6.12-amd64"),
            Candidate("bookworm-backports", "linux-image-amd64"),
        ),
    ),
    Flavour(
        "debian-6.1",
        "Debian 12's own 6.1",
        (
            Candidate("bookworm-security", "linux-image-amd64"),
            Candidate("bookworm", "linux-image-amd64"),
        ),
    ),
    Flavour(
        "debian-7.2",
        "Debian unstable's 7.2, with its own compiler",
        (Candidate("sid", "linux-image-amd64"),),
    ),
)

DEFAULT = _OWN[0]

#: Suites newer than the machines that use them: kbuild's tools want a newer C library than
#: is there, and the compiler is not there at all. Their kernels come with both.
OWN_TOOLCHAIN = frozenset({"sid"})

#: The same of other architectures; there is no compiler for those that come with their own.
FLAVOURS = (
    *_OWN,
    *(
        flavour.built_for(arch)
        for arch in ARCHES.values()
        if arch != AMD64
        for flavour in _OWN
        if not OWN_TOOLCHAIN & {candidate.suite for candidate in flavour.candidates}
    ),
)

#: Every suite of the table, once, in its order.
SUITES = tuple(dict.fromkeys(c.suite for f in FLAVOURS for c in f.candidates))

#: A kernel release: "6.1.0-56-amd64", "6.12.117+deb12-amd64", "7.2.0-rc1+".
RELEASE = re.compile(r"\d+\.\d+[0-9A-Za-z.+~_-]*")

#: A release that Debian may have built, for the architecture that it ends in.
DEBIAN_RELEASE = re.compile(rf"\d+\.\d+[0-9a-z.+~-]*-({'|'.join(ARCHES)})")


def flavour(name: str) -> Flavour | None:
    """The named kernel, or None; "default" is the first of the table."""
    if name == "default":
        return DEFAULT
    return next((f for f in FLAVOURS if f.name == name), None)
