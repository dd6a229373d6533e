# SPDX-License-Identifier: GPL-2.0-only
"""A kernel and modules in miniature: made with gcc alone, so they are there everywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from pykit.kernels import Kernel

RELEASE = "6.99.0-test"
VERMAGIC = f"{RELEASE} SMP preempt mod_unload modversions "
STRUCT_MODULE = 896

#: symbol: (CRC, kind of export, name space)
EXPORTS = {
    "module_layout": (0x11111111, "EXPORT_SYMBOL", ""),
    "vhost_dev_init": (0x22222222, "EXPORT_SYMBOL_GPL", ""),
    "kfree": (0x33333333, "EXPORT_SYMBOL", ""),
    "dma_thing": (0x44444444, "EXPORT_SYMBOL_GPL", "DMA_BUF"),
    "only_for_some": (0x55555555, "EXPORT_SYMBOL_GPL", "module:kvm,pykit-*"),
    "no_crc": (0, "EXPORT_SYMBOL", ""),
}

MakeModule = Callable[..., Path]


def symvers(exports: Mapping[str, tuple[int, str, str]], owner: str = "vmlinux") -> str:
    return "".join(
        f"{crc:#010x}\t{name}\t{owner}\t{kind}\t{space}\n"
        for name, (crc, kind, space) in exports.items()
    )


def source(
    *,
    vermagic: str | None = VERMAGIC,
    licence: str | None = "GPL",
    depends: Sequence[str] = (),
    imports: Sequence[str] = (),
    weak: Sequence[str] = (),
    versions: Mapping[str, int] | None = None,
    extended: Mapping[str, int] | None = None,
    namespaces: Sequence[str] = (),
    exports: Sequence[str] = (),
    tracepoints: Sequence[str] = (),
    modinfo: Sequence[str] = (),
    struct_module: int | None = STRUCT_MODULE,
) -> str:
    """C text of an object file that has the sections of a module."""
    info = [f"depends={','.join(depends)}", *modinfo, *(f"import_ns={ns}" for ns in namespaces)]
    if vermagic is not None:
        info.append(f"vermagic={vermagic}")
    if licence is not None:
        info.append(f"license={licence}")
    lines = [
        f'static const char info{number}[] __attribute__((section(".modinfo"), used, aligned(1)))'
        f' = "{text}";'
        for number, text in enumerate(info)
    ]
    if struct_module is not None:
        lines.append(
            f"char __this_module[{struct_module}]"
            ' __attribute__((section(".gnu.linkonce.this_module")));'
        )
    if versions is None and extended is None:
        versions = {
            name: EXPORTS[name][0] for name in ("module_layout", *imports) if name in EXPORTS
        }
    if versions:
        entries = ", ".join(f'{{{crc:#x}, "{name}"}}' for name, crc in versions.items())
        lines.append(
            "static const struct { unsigned long crc; char name[56]; } versions[]"
            f' __attribute__((section("__versions"), used)) = {{{entries}}};'
        )
    if extended:
        crcs = ", ".join(f"{crc:#x}" for crc in extended.values())
        names = "\\0".join(extended)
        lines.append(
            'static const unsigned crcs[] __attribute__((section("__version_ext_crcs"), used))'
            f" = {{{crcs}}};"
            'static const char names[] __attribute__((section("__version_ext_names"), used))'
            f' = "{names}";'
        )
    lines += [f"extern int {name}(void);" for name in imports]
    lines += [f"extern int {name}(void) __attribute__((weak));" for name in weak]
    calls = " + ".join(f"{name}()" for name in (*imports, *weak)) or "0"
    lines.append(f"int init_module(void) {{ return {calls}; }}")
    for name in exports:
        lines.append(
            f'int {name}; int *__ksymtab_{name} __attribute__((section("__ksymtab_gpl")))'
            f" = &{name};"
        )
    for name in tracepoints:
        lines.append(
            f'int __tracepoint_{name}[4] __attribute__((section("__tracepoints"))) = {{1}};'
            f'static int *__event_{name} __attribute__((section("_ftrace_events"), used))'
            f" = __tracepoint_{name};"
        )
    return "\n".join(lines) + "\n"


def compile_module(text: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-c", "-x", "c", "-w", "-fno-pic", "-fno-pie", "-o", str(path), "-"]
    subprocess.run(command, input=text, text=True, check=True)
    return path


@pytest.fixture
def make_module(tmp_path: Path) -> MakeModule:
    """Make tmp_path/set/NAME.ko; keyword arguments as `source` has them."""

    def make(name: str = "pykit_thing", **what: object) -> Path:
        return compile_module(source(**what), tmp_path / "set" / f"{name}.ko")  # type: ignore[arg-type]

    return make


# What a kernel's build directory does with M=, as far as the build sees it: modules.order
# and Module.symvers in M, a .ko a source, MODPOST trouble and compiler errors on stderr.
_MAKEFILE = r"""
objects := $(patsubst %.c,%.ko,$(wildcard $(M)/kernel/*.c))
modules: $(objects)
	@printf '%s\n' $(patsubst $(M)/%.ko,%.o,$(objects)) > $(M)/modules.order
	@: > $(M)/Module.symvers
	@test -e $(VHOST_H)/vhost.h
	@while test -e $(M)/kernel/sleep; do touch $(M)/kernel/asleep; sleep 0.1; done
$(M)/%.ko: $(M)/%.c
	gcc -c -w -fno-pic -fno-pie $(if $(FAULT),-DPYKIT_FAULT) -o $@ $<
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel folder with what the modules package reads of it."""
    modules_dir = tmp_path / "lib/modules" / RELEASE
    build_dir = tmp_path / "headers"
    own = compile_module(source(), modules_dir / "kernel/lib/own.ko")
    build_dir.mkdir()
    (modules_dir / "modules.dep").write_text(f"{own.relative_to(modules_dir)}:\n")
    (build_dir / "Module.symvers").write_text(symvers(EXPORTS))
    (build_dir / "Makefile").write_text(_MAKEFILE)
    (build_dir / ".config").write_text(
        'CONFIG_CC_VERSION_TEXT="gcc (any)"\nCONFIG_SMP=y\nCONFIG_PREEMPT_BUILD=y\n'
        "CONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\nCONFIG_VHOST=m\n"
        "# CONFIG_NET_9P_VIRTIO is not set\n"
    )
    return Kernel(
        name="test",
        release=RELEASE,
        image=tmp_path / "vmlinuz",
        modules_dir=modules_dir,
        build_dir=build_dir,
        config=build_dir / ".config",
        origin="build",
    )
