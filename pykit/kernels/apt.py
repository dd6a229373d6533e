# SPDX-License-Identifier: GPL-2.0-only
"""A private apt for one suite: no root, no trace on the machine, nothing installed.

It has its own lists, cache and an empty dpkg status in a folder that is thrown away;
what it takes from the machine is the mirror, its keyring and the network settings.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.errors import InfraError
from pykit.kernels import store
from pykit.kernels.mirrors import NAME_ANOTHER, AptSource
from pykit.kernels.model import Progress

# apt drops to its own user as root, who cannot reach a cache below /root. Hooks of the
# machine's configuration are about the machine's own lists. Containers turn the caches of
# the parsed index off, without which each question takes a second. A mirror may serve a suite
# whose Release file has expired. Without Error-Mode a failed update is a success.
_CONFIG = """\
Dir::Etc::sourcelist "{root}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "{root}";
APT::Architecture "{arch}";
APT::Architectures {{ {arches} }};
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


class NoSuiteError(InfraError):
    """The mirror answers but does not have the suite."""


@dataclass(frozen=True)
class Package:
    """One version of a package, as the suite's index has it.

    Attributes:
        name: with ":amd64" behind it where another architecture's was not meant.
        depends: names of the packages it depends on, before or after it is unpacked, the first
            alternative of each.
        size: of the .deb, bytes.
        installed_size: bytes it takes unpacked, by its own account.
    """

    name: str
    version: str
    depends: tuple[str, ...]
    size: int
    installed_size: int

    @property
    def pin(self) -> str:
        """``name=version``, as apt takes it."""
        return f"{self.name}={self.version}"


class PrivateApt:
    """apt with one source, living in `root` (an empty folder).

    It has the packages of `arch` and, by names that end in ":amd64", those of this machine.
    """

    def __init__(self, root: Path, source: AptSource, arch: Arch = AMD64) -> None:
        missing = [t for t in ("apt-get", "apt-cache", "dpkg-deb") if not shutil.which(t)]
        if missing:
            raise InfraError(f"no {missing[0]} on this machine: {NAME_ANOTHER}")
        self._source = source
        self._config = root / "apt.conf"
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True)
        (root / "state/status").touch()
        arches = list(dict.fromkeys((arch.name, AMD64.name)))
        quoted = "".join(f'"{name}"; ' for name in arches).strip()
        config = _CONFIG.format(root=root, arch=arch.name, arches=quoted)
        self._config.write_text(config, encoding="utf-8")
        (root / "debian.sources").write_text(_stanza(source, arches), encoding="utf-8")
        self._root = root

    def update(self, progress: Progress) -> None:
        """Fetch the suite's index (about 1 s).

        Raises: NoSuiteError, or InfraError when the mirror cannot be reached or trusted.
        """
        progress(f"reading the index of {self._source.suite} at {self._source.uri}")
        done = self._run("apt-get", "update")
        if done.returncode == 0:
            return
        self._disk_full(done.stdout + done.stderr)
        reason = _reason(done.stderr)
        if re.search(r"does not have a Release file|404 +Not Found|File not found", reason):
            raise NoSuiteError(
                f"{self._source.uri} has no suite {self._source.suite}: {NAME_ANOTHER}"
            )
        raise InfraError(
            f"cannot fetch Debian's index: {reason}: check the network, or {NAME_ANOTHER}"
        )

    def show(self, name: str, version: str | None = None) -> Package | None:
        """The named version of a package, by default the newest; None if there is none."""
        found = self._show(f"{name}={version}" if version else name)
        package = found.get(name.partition(":")[0])
        return package and replace(package, name=name)

    def closure(self, names: Iterable[str], follow: re.Pattern[str]) -> dict[str, Package]:
        """The newest versions of packages and of all that they depend on and `follow` matches.

        What the suite does not have is left out.
        """
        found: dict[str, Package] = {}
        wanted = dict.fromkeys(names)
        while wanted:
            new = self._show(*wanted)
            found |= new
            depends = (name for package in new.values() for name in package.depends)
            # One question for a whole level: each costs a second where nothing is cached.
            wanted = dict.fromkeys(n for n in depends if n not in found and follow.match(n))
        return found

    def _show(self, *wanted: str) -> dict[str, Package]:
        """Packages by name; without those that the suite does not have."""
        found = {}
        done = self._run("apt-cache", "--no-all-versions", "show", *wanted)
        for stanza in done.stdout.split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
            if "Package" not in fields:
                continue
            needed = ", ".join(fields.get(name, "") for name in ("Pre-Depends", "Depends"))
            depends = re.findall(r"(?:^|,)\s*([a-z0-9][a-z0-9.+-]*)", needed)
            found[fields["Package"]] = Package(
                fields["Package"],
                fields["Version"],
                tuple(depends),
                int(fields.get("Size", 0)),
                int(fields.get("Installed-Size", 0)) << 10,
            )
        return found

    def download(self, packages: list[Package], into: Path, progress: Progress) -> list[Path]:
        """Fetch .deb files into `into`, checked against the signed index.

        Returns: their paths, in the order of `packages`.
        """
        total = sum(p.size for p in packages)
        what = packages[0].name if len(packages) == 1 else f"{len(packages)} packages"
        with (self._root / "download.log").open("w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                self._command("apt-get", "download", *(p.pin for p in packages)),
                cwd=into,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                while process.poll() is None:
                    have = sum(p.stat().st_size for p in into.glob("*.deb"))
                    progress(f"downloading {what}: {have >> 20} of {total >> 20} MB")
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(1.0)
            finally:
                process.kill()
                process.wait()
            log.seek(0)
            output = log.read()
        if process.returncode:
            self._disk_full(output)
            raise InfraError(f"cannot download {what}: {_reason(output)}: check the network")
        return [_only(into, package.name) for package in packages]

    def _command(self, tool: str, *arguments: str) -> list[str]:
        return [tool, "-q", "-c", str(self._config), *arguments]

    def _run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(tool, *arguments),
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )

    def _disk_full(self, output: str) -> None:
        if store.is_no_space(output):
            raise store.no_space(self._root.parent)


def _stanza(source: AptSource, arches: Iterable[str]) -> str:
    """The deb822 stanza of our only source: one index, no translations, no file lists."""
    fields = {
        "Types": "deb",
        "URIs": source.uri,
        "Suites": source.suite,
        "Components": " ".join(source.components),
        "Architectures": " ".join(arches),
        "Languages": "none",
        "Targets": "Packages",
        **dict(source.options),
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def _environment() -> dict[str, str]:
    """The caller's, with messages that can be recognised and the system's folders."""
    return os.environ | {"LC_ALL": "C", "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def _reason(output: str) -> str:
    """The first error of apt's output."""
    errors = re.findall(r"^E: (.*)$", output, re.MULTILINE)
    return errors[0].strip() if errors else "apt-get failed without a reason"


def _only(folder: Path, name: str) -> Path:
    return next(folder.glob(f"{name.partition(':')[0]}_*.deb"))
