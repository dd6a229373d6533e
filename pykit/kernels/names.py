# SPDX-License-Identifier: GPL-2.0-only
"""Resolve the name of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pykit import kconfig
from pykit.arch import AMD64, Arch, named, of_release
from pykit.errors import UsageError
from pykit.kernels import built, debian, local, trees
from pykit.kernels.built import Step
from pykit.kernels.catalog import DEBIAN_RELEASE, DEFAULT, FLAVOURS, RELEASE, flavour
from pykit.kernels.model import Kernel, Progress, silent
from pykit.toml import choice


@dataclass(frozen=True)
class Known:
    """A line of ``pykit kernel list``.

    Attributes:
        name: what to pass to ``--kernel``.
        release: of the kernel, or None as long as it has not been fetched.
        state: "cached", "built" and "installed" can be used offline; "available" is fetched on
            first use; "no headers" is installed but cannot have modules built.
        summary: one line for people.
    """

    name: str
    release: str | None
    state: Literal["cached", "built", "installed", "available", "no headers"]
    summary: str


def resolve(spec: str | None = None, progress: Progress = silent) -> Kernel:
    """The kernel that a user named; fetched from Debian on first use.

    `spec` is None or "default", a name of the catalogue ("debian-6.1"), a release
    (installed, cached, or still in Debian's archive), a kernel that `build` made
    ("debug-6.12"), or a path to a build directory or a built source tree. What is cached
    is used as it is, with no look at the network: `get` is what brings a newer one.

    Raises: UsageError for a name that is none of these or a kernel that lacks a part;
        InfraError when it cannot be fetched.
    """
    return get(spec, progress=progress)


def get(spec: str | None = None, *, refresh: bool = False, progress: Progress = silent) -> Kernel:
    """As `resolve`; with `refresh`, a named Debian kernel is brought up to date first."""
    spec = spec or "default"
    known = flavour(spec)
    if known:
        have = debian.cached_releases(known.name)
        kernel = debian.cached(have[0], known.name) if have and not refresh else None
        return kernel or debian.fetch(known, progress, refresh=refresh)
    path = Path(spec).expanduser()
    if _is_path(spec):
        return local.built(path, progress)
    made = built.find(spec, progress)
    if made:
        return made
    if RELEASE.fullmatch(spec):
        kernel = debian.cached(spec, spec) or local.installed(spec)
        if kernel:
            return kernel
        if DEBIAN_RELEASE.fullmatch(spec):
            return debian.fetch_release(spec, progress)
    if path.is_dir():
        return local.built(path, progress)
    for profile in kconfig.profiles():
        if spec.startswith(profile.name + "-"):
            source = "debian-" + spec.removeprefix(profile.name + "-")
            raise UsageError(
                f"kernel {spec} is not built: pykit kernel build {profile.name} "
                f"--source {source if flavour(source) else 'DIR'}"
            )
    raise UsageError(
        f"{choice(spec, (flavour.name for flavour in FLAVOURS), 'kernel')}, an installed release "
        "such as 6.1.0-56-amd64, or the path of a kernel build directory"
    )


def arch_of(spec: str | None) -> Arch:
    """The architecture of the kernel of that name, without looking for the kernel itself."""
    known = flavour(spec or "default")
    if known:
        return known.arch
    path = Path(spec or "").expanduser()
    return local.arch_of(path) if path.is_dir() else of_release(spec or "")


def on_arch(spec: str | None, name: str | None) -> str | None:
    """The name of the same kernel of the named architecture; None stands for the kernel's own.

    Raises: UsageError for no such architecture, and a kernel that is of another one.
    """
    if name is None:
        return spec
    arch = named(name)
    if arch_of(spec) == arch:
        return spec
    known = flavour(spec or "default")
    other = f"{known.name}-{arch.name}" if known and known.arch == AMD64 else ""
    if flavour(other):
        return other
    raise UsageError(
        f"kernel {spec or DEFAULT.name} is not of {arch.name}: leave --arch out, or name another"
    )


def build(
    profile: str, source: str | None = None, *, progress: Progress = silent, step: Step
) -> Kernel:
    """Build a kernel with a profile, unless the cache has it.

    `source` is one of Debian's kernels, whose source is taken, or a path to a source tree.

    Raises: UsageError for unknown names; InfraError for what cannot be fetched or built.
    """
    wanted = kconfig.load_profile(profile)
    require_configurable(source)
    if source and _is_path(source):
        tree = trees.of_directory(Path(source).expanduser())
    else:
        tree = trees.of_kernel(resolve(source, progress), progress)
    return built.build(wanted, tree, progress, step)


def require_configurable(spec: str | None) -> None:
    """Raise UsageError for a kernel that profiles cannot be resolved for: they are x86's."""
    if (arch := arch_of(spec)) != AMD64:
        raise UsageError(
            f"kernel {spec} is of {arch.name}, and profiles are resolved for {AMD64.name}: name "
            "another"
        )


def _is_path(spec: str) -> bool:
    return "/" in spec or spec.startswith((".", "~"))


def list_known() -> list[Known]:
    """Every kernel that can be named on this machine without knowing a path."""
    known = []
    for entry in FLAVOURS:
        have = debian.cached_releases(entry.name)
        known.append(
            Known(
                entry.name,
                have[0] if have else None,
                "cached" if have else "available",
                entry.summary,
            )
        )
    named = {entry.release for entry in known}
    known += [
        Known(release, release, "cached", "fetched from Debian by its release")
        for release in debian.cached_releases()
        if release not in named
    ]
    known += [
        Known(name, release, "built", f"built from source, profile {profile}")
        for name, profile, release in built.names()
    ]
    for release in local.installed_releases():
        try:
            usable = local.installed(release) is not None
        except UsageError:
            usable = False
        known.append(
            Known(
                release,
                release,
                "installed" if usable else "no headers",
                "installed on this machine",
            )
        )
    return known
