# SPDX-License-Identifier: GPL-2.0-only
"""kconfiglib for today's kernel trees.

kconfiglib 14.1 stops at three constructs that the kernel's Kconfig language has gained
since. Each is lowered here to what kconfiglib knows, the way the kernel's own tool does.
It also gets the environment and the working directory that kbuild would have given it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kconfiglib

from pykit.errors import InfraError, UsageError

#: Attributes that stand alone on a line: ``modules`` says which symbol enables modules,
#: and kconfiglib takes the one named MODULES anyway. ``transitional`` lets an old name be
#: read from an old .config; without one, it is a symbol that nothing sets.
_BARE_ATTRIBUTE = re.compile(r"\s*(?:modules|transitional)\s*(?:#.*)?$")


class _Kconfig(kconfiglib.Kconfig):  # type: ignore[misc]
    """kconfiglib's parser with the newer constructs."""

    def __init__(self, workdir: str) -> None:
        # The kernel's macros try compilers out in the current directory.
        self._workdir = workdir
        super().__init__("Kconfig", warn_to_stderr=False)

    def _tokenize(self, s: str) -> Any:
        if _BARE_ATTRIBUTE.match(s):
            return (None,)
        return super()._tokenize(s)

    def _expect_expr_and_eol(self) -> Any:
        if self._tokens[0] is not kconfiglib._T_DEPENDS:
            return super()._expect_expr_and_eol()
        expr = self._parse_expr(True)
        # depends on A if B (Linux 76df6815dab7, 7.0): A is needed unless B is n.
        if self._check_token(kconfiglib._T_IF):
            expr = self._make_or(expr, self._equals_n(self._parse_expr(True), True))
        if self._tokens[self._tokens_i] is not None:
            self._trailing_tokens_error()
        return expr

    def _equals_n(self, expr: Any, equal: bool) -> Any:
        """``(expr) = n``, or ``!= n``, in comparisons of single symbols.

        As in the kernel's tool a negation flips the comparison, so ``!A = n`` is
        ``A != n``: an A of m counts as set.
        """
        if not isinstance(expr, tuple):
            return (kconfiglib.EQUAL if equal else kconfiglib.UNEQUAL, expr, self.n)
        operator = expr[0]
        if operator is kconfiglib.NOT:
            return self._equals_n(expr[1], not equal)
        if operator is kconfiglib.AND or operator is kconfiglib.OR:
            both = kconfiglib.OR if operator is kconfiglib.AND else kconfiglib.AND
            lowered = (both, self._equals_n(expr[1], True), self._equals_n(expr[2], True))
            return lowered if equal else (kconfiglib.NOT, lowered)
        return (kconfiglib.NOT, expr) if equal else expr

    def _fn_val(self, args: list[str]) -> Any:
        if args[0] != "shell" or len(args) != 2:
            return super()._fn_val(args)
        done = subprocess.run(
            args[1],
            shell=True,
            cwd=self._workdir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        return " ".join(done.stdout.rstrip("\n").splitlines())


def load_tree(tree: Path, cc: str = "gcc") -> Any:
    """Parse a kernel tree's Kconfig for x86-64, 2 to 4 s.

    `cc` is the compiler that the kernel would be built with: what it can do decides
    which symbols exist. Not for several threads at once: the parser reads os.environ.

    Returns: a kconfiglib.Kconfig.
    Raises: UsageError where `tree` is no kernel tree or does not parse.
    """
    if not (tree / "Kconfig").exists() or not (tree / "Makefile").exists():
        raise UsageError(f"{tree} is no kernel source tree (no Kconfig or Makefile there)")
    if not shutil.which(cc):
        raise InfraError(f"compiler {cc} is not installed: see 'pykit doctor'")
    with tempfile.TemporaryDirectory(prefix="pykit-kconfig-") as workdir:
        try:
            with _environment(tree.resolve(), cc):
                return _Kconfig(workdir)
        except kconfiglib.KconfigError as error:
            reason = " ".join(str(error).split())
            raise UsageError(f"{tree}: Kconfig does not parse: {reason}") from error


@contextlib.contextmanager
def _environment(tree: Path, cc: str) -> Iterator[None]:
    """os.environ as kbuild's top Makefile makes it for a native x86-64 build."""
    saved = dict(os.environ)
    # kbuild unsets it too: it would change the prefix of every symbol.
    os.environ.pop("CONFIG_", None)
    os.environ.update(
        srctree=str(tree),
        ARCH="x86",
        SRCARCH="x86",
        KERNELVERSION=_kernel_version(tree),
        CC=cc,
        HOSTCC=cc,
        HOSTCXX="g++",
        LD="ld",
        AR="ar",
        NM="nm",
        OBJCOPY="objcopy",
        RUSTC="rustc",
        BINDGEN="bindgen",
        PAHOLE="pahole",
        PYTHON3="python3",
        CLANG_FLAGS="",
        CC_VERSION_TEXT=_first_line([cc, "--version"]).replace("#", ""),
        RUSTC_VERSION_TEXT=_first_line(["rustc", "--version"]),
        PAHOLE_VERSION=_first_line([str(tree / "scripts/pahole-version.sh"), "pahole"]),
        LC_ALL="C",
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _kernel_version(tree: Path) -> str:
    """VERSION.PATCHLEVEL.SUBLEVEL + EXTRAVERSION of the top Makefile."""
    text = (tree / "Makefile").read_text(encoding="utf-8", errors="replace")
    fields: dict[str, str] = dict(
        re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)$", text, re.MULTILINE)
    )
    numbers = [fields.get(name, "0") for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(numbers) + fields.get("EXTRAVERSION", "")


def _first_line(command: list[str]) -> str:
    """What a tool says first, or nothing if it is not there."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError:
        return ""
    return (done.stdout.splitlines() or [""])[0]
