# SPDX-License-Identifier: GPL-2.0-only
"""Read this machine's apt sources in both of their formats.

The kit knows no mirror. Address, proxy and keyring are the machine's, so that it works
behind the mirror that the machine's owner chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.errors import InfraError

#: What to do on a machine that has no Debian mirror to fetch from.
NAME_ANOTHER = "name an installed kernel or a build directory with --kernel"

_SUITE = re.compile(
    r"(?:bullseye|bookworm|trixie|forky|duke|sid|(?:old){0,2}stable|testing|unstable)"
    r"(?:-[a-z-]+|/[a-z]+)?"
)


@dataclass(frozen=True)
class AptSource:
    """One archive of one apt source.

    Attributes:
        uri: of the archive, the parent of its ``dists/``.
        suite: as written, "bookworm-security".
        components: "main", ….
        options: deb822 fields that decide whether it is trusted ("Signed-By", "Trusted"),
            their values as written (a key may stand there itself, over many lines).
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()

    @property
    def security(self) -> bool:
        """Whether this is the security archive, which has a mirror of its own."""
        return self.suite.endswith("-security") or self.suite.endswith("/updates")


def machine_sources(etc: Path = Path("/etc/apt")) -> list[AptSource]:
    """All enabled binary sources of an apt configuration directory, in apt's order."""
    files = [etc / "sources.list"]
    parts = etc / "sources.list.d"
    if parts.is_dir():
        files += sorted(p for p in parts.iterdir() if p.suffix in (".list", ".sources"))
    found: list[AptSource] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found += _deb822(text) if file.suffix == ".sources" else _one_line(text)
    return found


def debian_archive(suite: str, sources: list[AptSource]) -> AptSource | None:
    """The machine's Debian archive that carries `suite`, asked for that suite's main.

    The suite itself need not be among the machine's: a mirror of the archive has all of
    them. Other vendors' archives also say "bookworm main", so the keyring decides, and
    where none is named, the address.

    Raises: InfraError where the machine has no Debian archive at all.
    """
    debian = sorted(filter(_is_debian, sources), key=lambda s: not _has_debian_key(s))
    if not debian:
        raise InfraError(f"no Debian archive among this machine's apt sources: {NAME_ANOTHER}")
    wanted = AptSource("", suite, ("main",))
    for source in debian:
        if source.security == wanted.security:
            return replace(source, suite=suite, components=("main",))
    return None


def _is_debian(source: AptSource) -> bool:
    if "main" not in source.components or not _SUITE.fullmatch(source.suite):
        return False
    if any(key == "Signed-By" for key, _ in source.options):
        return _has_debian_key(source)
    return "debian" in source.uri


def _has_debian_key(source: AptSource) -> bool:
    return any(k == "Signed-By" and "debian-archive" in v for k, v in source.options)


def _one_line(text: str) -> Iterator[AptSource]:
    """``deb [signed-by=…] URI suite component…``, a line each."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)", line)
        if not match:
            continue
        options, uri, suite, components = match.groups()
        pairs = [o.partition("=") for o in (options or "").split()]
        yield AptSource(
            uri,
            suite,
            tuple(components.split()),
            tuple(_trust((key, value.replace(",", " ")) for key, _, value in pairs)),
        )


def _deb822(text: str) -> Iterator[AptSource]:
    """Stanzas of ``Field: value``, with lines that begin with a space continuing it."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            name.lower(): value.strip()
            for name, value in re.findall(r"^([\w-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "off"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptSource(
                    uri,
                    suite,
                    tuple(fields.get("components", "").split()),
                    tuple(_trust(fields.items())),
                )


def _trust(options: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The options that a source of our own must repeat to be trusted like the machine's."""
    names = {"signed-by": "Signed-By", "trusted": "Trusted"}
    for key, value in options:
        if key.lower() in names:
            yield names[key.lower()], value
