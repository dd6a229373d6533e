# SPDX-License-Identifier: GPL-2.0-only
"""Debian kernels, unpacked into the cache without root and without installing anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pykit.arch import AMD64, Arch, of_release
from pykit.errors import InfraError, UsageError
from pykit.kernels import store, toolchain
from pykit.kernels.apt import NoSuiteError, Package, PrivateApt
from pykit.kernels.catalog import OWN_TOOLCHAIN, SUITES, Candidate, Flavour
from pykit.kernels.mirrors import NAME_ANOTHER, debian_archive, machine_sources
from pykit.kernels.model import Kernel, Progress

_IMAGE, _KBUILD = "linux-image-", "linux-kbuild-"

#: What a kernel is made of, as far as booting it and building modules for it goes.
#: linux-base (without a release) and the linux-compiler packages only configure an
#: installed system.
_PARTS = re.compile(r"linux-(?:base|image|binary|modules|headers|kbuild)-[0-9]")


@dataclass(frozen=True)
class PackagePlan:
    """The packages of one kernel, the image's first."""

    release: str
    version: str
    packages: tuple[Package, ...]


def cached(release: str, name: str | None = None) -> Kernel | None:
    """The kernel of that release in the cache, or None."""
    folder = store.kernels_dir() / release
    stamp = store.read_stamp(folder)
    if stamp is None:
        return None
    return _kernel(folder, release, name or str(stamp["name"]))


def cached_releases(name: str | None = None) -> list[str]:
    """Releases in the cache, newest first; only those fetched as `name` if given."""
    found = []
    for folder in _folders():
        stamp = store.read_stamp(folder)
        if stamp and (name is None or stamp["name"] == name):
            found.append((_order(str(stamp["version"])), folder.name))
    return [release for _, release in sorted(found, reverse=True)]


def version_of(release: str) -> tuple[str, str] | None:
    """Debian version and suite of a cached release, or None if it is not cached."""
    stamp = store.read_stamp(store.kernels_dir() / release)
    return (str(stamp["version"]), str(stamp["suite"])) if stamp else None


def fetch(flavour: Flavour, progress: Progress, *, refresh: bool) -> Kernel:
    """The newest kernel of a flavour, downloaded unless the cache has exactly that one.

    Without `refresh`, one that another process put there while we waited will do. Older
    releases of the same flavour leave the cache.

    Raises: InfraError when there is no Debian archive, no network or no space.
    """
    place = store.kernels_dir()
    with store.locked(place, progress):
        have = cached_releases(flavour.name)
        if have and not refresh:
            return _kernel(place / have[0], have[0], flavour.name)
        for candidate in flavour.candidates:
            with archive(candidate.suite, place, progress, flavour.arch) as apt:
                release = newest(apt, flavour, candidate) if apt else None
                plan = _plan(apt, release, candidate.suite) if apt and release else None
                if apt is None or plan is None:
                    continue
                kernel = _install(apt, plan, candidate.suite, flavour.name, progress)
                _drop_superseded(flavour.name, plan.release)
                return kernel
    raise InfraError(f"Debian's archive here has no {flavour.name} kernel: {NAME_ANOTHER}")


def newest(apt: PrivateApt, flavour: Flavour, candidate: Candidate) -> str | None:
    """The newest release of a flavour that a candidate's suite has, or None."""
    meta = apt.show(candidate.metapackage)
    depends = meta.depends if meta else ()
    releases = (name.removeprefix(_IMAGE) for name in depends if name.startswith(_IMAGE))
    return next(filter(flavour.has, releases), None)


def fetch_release(release: str, progress: Progress) -> Kernel:
    """The kernel of exactly that release, from whichever known suite still has it.

    Raises: UsageError when none has; InfraError as `fetch`.
    """
    place = store.kernels_dir()
    with store.locked(place, progress):
        for suite in SUITES:
            with archive(suite, place, progress, of_release(release)) as apt:
                plan = _plan(apt, release, suite) if apt else None
                if apt and plan:
                    return _install(apt, plan, suite, release, progress)
    raise UsageError(
        f"no kernel {release}: not installed here, and Debian ({', '.join(SUITES)}) "
        "does not have it: see 'pykit kernel list'"
    )


@contextmanager
def archive(
    suite: str, place: Path, progress: Progress, arch: Arch = AMD64
) -> Iterator[PrivateApt | None]:
    """A private apt with the index of `suite`; None where this machine has no such archive.

    It lives in a temporary folder below `place`, whose lock the caller holds.
    """
    if not shutil.which("apt-get"):
        raise InfraError(f"no apt here to fetch a Debian kernel with: {NAME_ANOTHER}")
    source = debian_archive(suite, machine_sources())
    if source is None:
        yield None
        return
    with store.temporary(place) as root:
        apt = PrivateApt(root, source, arch)
        try:
            apt.update(progress)
        except NoSuiteError:
            yield None
        else:
            yield apt


def unpack(packages: list[Path], into: Path, place: Path) -> None:
    """Unpack .deb files into one new folder, two at a time."""
    into.mkdir()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda deb: run(["dpkg-deb", "-x", str(deb), str(into)], place), packages))


def run(command: list[str], place: Path) -> None:
    """Run a tool that writes to the cache at `place`; the last line it says is the reason."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C", "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise InfraError(f"{command[0]} is not installed: see 'pykit doctor'") from error
    if done.returncode == 0:
        return
    if store.is_no_space(done.stderr):
        raise store.no_space(place)
    lines = done.stderr.strip().splitlines() or ["no message"]
    raise InfraError(f"{command[0]} failed on {command[-1]}: {lines[-1]}")


def _plan(apt: PrivateApt, release: str, suite: str) -> PackagePlan | None:
    """Image, headers and what they need of the kernel's own packages and their toolchain."""
    image = apt.show(_IMAGE + release)
    if image is None:
        return None
    headers = apt.show("linux-headers-" + release, image.version)
    if headers is None:
        return None
    found = {image.name: image, headers.name: headers}
    queue = [*image.depends, *headers.depends]
    while queue:
        name = queue.pop()
        tool = suite in OWN_TOOLCHAIN and toolchain.PACKAGES.match(name)
        if name in found or not (tool or _PARTS.match(name)):
            continue
        if name.startswith(_KBUILD) and of_release(release) != AMD64:
            # Its programs run here, and serve every architecture.
            name = f"{name}:{AMD64.name}"
        # Some parts are shared by the ABIs of a series and carry no exact version.
        package = (not tool and apt.show(name, image.version)) or apt.show(name)
        if package is None:
            return None
        found[name] = package
        queue += package.depends
    return PackagePlan(release, image.version, tuple(found.values()))


def _install(
    apt: PrivateApt, plan: PackagePlan, suite: str, name: str, progress: Progress
) -> Kernel:
    """Download and unpack a plan as ``kernels/<release>``."""
    final = store.kernels_dir() / plan.release
    have = store.read_stamp(final)
    if have and have["version"] == plan.version:
        progress(f"{plan.release} ({plan.version}) is in the cache and the newest")
        if have["name"] != name:
            store.write_stamp(final, have | {"name": name})
        return _kernel(final, plan.release, name)
    if re.search(r"[\s:]", str(final)):
        raise InfraError(
            f"kernel builds do not work below {final.parent} (a space or colon in the path): "
            "set XDG_CACHE_HOME to another folder"
        )
    store.need_space(final.parent, sum(p.size + p.installed_size for p in plan.packages))
    with store.temporary(final.parent) as work:
        debs = work / "debs"
        debs.mkdir()
        files = apt.download(list(plan.packages), debs, progress)
        progress(f"unpacking {plan.release}")
        root = work / "root"
        unpack(files, root, final.parent)
        shutil.rmtree(debs)
        _fix_up(root, final, plan.release)
        if suite in OWN_TOOLCHAIN:
            toolchain.make_runnable(root, final)
        progress(f"indexing the modules of {plan.release}")
        run(["depmod", "-b", str(root), plan.release], final.parent)
        kernel = _kernel(root, plan.release, name)
        for path in (kernel.image, kernel.config, kernel.build_dir / "Module.symvers"):
            if not path.exists():
                raise InfraError(
                    f"Debian's {plan.release} has no {path.name} where it is expected: "
                    f"{NAME_ANOTHER}"
                )
        stamp = {"name": name, "version": plan.version, "suite": suite}
        store.publish(root, final, stamp)
    return _kernel(final, plan.release, name)


def _fix_up(root: Path, final: Path, release: str) -> None:
    """Make an unpacked kernel work at `final`: its files say /usr and /lib."""
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    makefile = root / "usr/src" / f"linux-headers-{release}" / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    text = re.sub(r"(?<=[ =])/usr/src/", f"{final}/usr/src/", text)
    if (root / toolchain.LOADER).exists():
        # Here and not at the call of make, so that any make with this KDIR works.
        text = f"export PATH := {final}/usr/bin:$(PATH)\n" + text
    makefile.write_text(text, encoding="utf-8")
    modules = root / "lib/modules" / release
    for link in ("build", "source"):
        path = modules / link
        if path.is_symlink():
            target = path.readlink()
            path.unlink()
            # Where the link is relative already, joining leaves it so.
            path.symlink_to(final / target.relative_to("/") if target.is_absolute() else target)


def _kernel(folder: Path, release: str, name: str) -> Kernel:
    modules = folder / "lib/modules" / release
    boot = folder / "boot"
    image = boot / f"vmlinuz-{release}"
    config = boot / f"config-{release}"
    return Kernel(
        name=name,
        release=release,
        image=image if image.exists() else modules / "vmlinuz",
        modules_dir=modules,
        build_dir=folder / "usr/src" / f"linux-headers-{release}",
        config=config if config.exists() else modules / "config",
        origin="debian",
        arch=of_release(release),
    )


def _drop_superseded(name: str, release: str) -> None:
    for folder in _folders():
        stamp = store.read_stamp(folder)
        if stamp and stamp["name"] == name and folder.name != release:
            shutil.rmtree(folder, ignore_errors=True)


def _folders() -> list[Path]:
    try:
        return [p for p in store.kernels_dir().iterdir() if p.is_dir()]
    except OSError:
        return []


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Sort key of a Debian version: runs of digits by value, the rest as text."""
    return tuple((int(d or 0), s) for d, s in re.findall(r"(\d*)(\D*)", version))
