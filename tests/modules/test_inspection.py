# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import contextlib
import json
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.errors import InfraError, UsageError
from pykit.kernels import Kernel
from pykit.modules import inspect
from pykit.modules.elf import parse_module

from .conftest import EXPORTS, RELEASE, STRUCT_MODULE, compile_module, source, symvers

MakeModule = Callable[..., Path]


def test_a_module_that_fits(kernel: Kernel, make_module: MakeModule) -> None:
    path = make_module(
        imports=["kfree", "vhost_dev_init"],
        depends=["vhost", "virtio-ring"],
        exports=["pykit_helper"],
        tracepoints=["pykit_add", "pykit_kick"],
        modinfo=["parm=fault:what to break", "parmtype=fault:charp", "parmtype=depth:uint"],
    )
    found = inspect(path, kernel)
    assert found.problems() == ()
    found.require()
    assert found.name == "pykit_thing"
    assert found.vermagic == f"{RELEASE} SMP preempt mod_unload modversions"
    assert found.license == "GPL"
    assert found.depends == ("vhost", "virtio_ring")
    assert found.imports == {"kfree": 0x33333333, "vhost_dev_init": 0x22222222}
    assert found.exports == ("pykit_helper",)
    assert found.tracepoints == found.events == ("pykit_add", "pykit_kick")
    assert found.parameters == {"fault": "what to break (charp)", "depth": "(uint)"}
    assert found.struct_module == STRUCT_MODULE
    assert "fits 6.99.0-test" in found.summary()
    assert "2 tracepoints" in found.summary()
    assert json.loads(json.dumps(found.as_dict()))["imports"]["kfree"] == "0x33333333"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (
            {"imports": ["vhost_dev_init"], "versions": {"vhost_dev_init": 0xBAD}},
            "vhost_dev_init has CRC 0x00000bad but the kernel exports 0x22222222: rebuild",
        ),
        ({"versions": {"module_layout": 1}}, "module_layout has CRC 0x00000001"),
        ({"imports": ["kfree"], "versions": {"module_layout": 0x11111111}}, "no CRC for kfree"),
        ({"versions": {}}, "carries no symbol versions"),
        ({"vermagic": "5.4.0 SMP "}, "vermagic is '5.4.0 SMP' but the kernel wants '6.99.0-test"),
        ({"vermagic": None}, "vermagic is ''"),
        ({"licence": None}, "no MODULE_LICENSE"),
        (
            {"imports": ["vhost_dev_init"], "licence": "Proprietary"},
            "vhost_dev_init is exported to GPL-compatible modules only and MODULE_LICENSE is 'Pro",
        ),
        ({"imports": ["no_such_thing"]}, "needs no_such_thing, which neither kernel"),
        ({"imports": ["dma_thing"]}, "dma_thing is in name space DMA_BUF"),
        ({"struct_module": 800}, "has 800 bytes and the kernel's 896"),
        ({"struct_module": None}, "has no struct module"),
    ],
)
def test_what_the_kernel_would_refuse(
    kernel: Kernel, make_module: MakeModule, what: dict[str, object], says: str
) -> None:
    found = inspect(make_module("pykit_vhost", **what), kernel)
    lines = [line for line in found.problems() if says in line]
    assert len(lines) == 1
    assert lines[0].startswith("pykit_vhost.ko: ")
    assert "\n" not in lines[0]
    with pytest.raises(InfraError):
        found.require()


@pytest.mark.parametrize(
    "what",
    [
        {"imports": ["dma_thing"], "namespaces": ["OTHER", "DMA_BUF"]},
        {"imports": ["only_for_some"]},
        {"imports": ["no_crc"], "versions": {"module_layout": 0x11111111}},
        {"weak": ["nobody_has_it"]},
        {"imports": ["kfree"], "licence": "Proprietary"},
        {"imports": ["kfree"], "extended": {"module_layout": 0x11111111, "kfree": 0x33333333}},
    ],
)
def test_what_it_would_not_mind(
    kernel: Kernel, make_module: MakeModule, what: dict[str, object]
) -> None:
    assert inspect(make_module(**what), kernel).problems() == ()


def test_extended_versions_are_compared(kernel: Kernel, make_module: MakeModule) -> None:
    path = make_module(imports=["kfree"], extended={"module_layout": 0x11111111, "kfree": 7})
    (problem,) = inspect(path, kernel).problems()
    assert "kfree has CRC 0x00000007" in problem


def test_a_symbol_for_other_modules_only(kernel: Kernel, make_module: MakeModule) -> None:
    (problem,) = inspect(make_module("other", imports=["only_for_some"]), kernel).problems()
    assert "only_for_some is in name space module:kvm" in problem


def test_without_modversions_no_crc_is_compared(kernel: Kernel, make_module: MakeModule) -> None:
    config = kernel.config.read_text().replace("CONFIG_MODVERSIONS=y\n", "")
    kernel.config.write_text(config)
    assert inspect(make_module(imports=["kfree"], versions={}), kernel).problems() == ()


def test_symbols_of_the_other_modules_of_the_set(kernel: Kernel, make_module: MakeModule) -> None:
    path = make_module(
        imports=["__tracepoint_pykit_add"],
        versions={"module_layout": 0x11111111, "__tracepoint_pykit_add": 5},
    )
    exported = {"__tracepoint_pykit_add": (5, "EXPORT_SYMBOL_GPL", "")}
    (path.parent / "Module.symvers").write_text(symvers(exported, "pykit_trace"))
    found = inspect(path, kernel)
    assert found.problems() == ()
    assert found.uses == ("pykit_add",)


def test_vermagic_from_the_configuration(kernel: Kernel, make_module: MakeModule) -> None:
    """A kernel without a module of its own to look at."""
    (kernel.modules_dir / "modules.dep").write_text("")
    assert inspect(make_module(), kernel).problems() == ()
    assert len(inspect(make_module(vermagic="other"), kernel).problems()) == 1


def test_compressed_modules(kernel: Kernel, make_module: MakeModule) -> None:
    path = make_module()
    packed = path.with_name("pykit_thing.ko.xz")
    packed.write_bytes(lzma.compress(path.read_bytes()))
    assert inspect(packed, kernel).problems() == ()
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(UsageError, match="damaged compressed file"):
        inspect(packed, kernel)


@pytest.mark.parametrize("content", [b"", b"\x7f", b"\x7fELF", b"\x7fELF\x02\x01", b"#!/bin/sh\n"])
def test_files_that_are_no_modules(kernel: Kernel, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.ko"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        inspect(path, kernel)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_a_program_is_no_module(kernel: Kernel, tmp_path: Path) -> None:
    path = tmp_path / "program.ko"
    text = "int main(void) { return 0; }"
    subprocess.run(["gcc", "-x", "c", "-", "-o", path], input=text, text=True, check=True)
    with pytest.raises(UsageError, match="not relocatable"):
        inspect(path, kernel)


def test_a_path_that_is_not_there(kernel: Kernel, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        inspect(tmp_path / "gone.ko", kernel)
    with pytest.raises(UsageError, match="cannot be read"):
        inspect(tmp_path, kernel)


def test_a_kernel_that_is_not_complete(kernel: Kernel, make_module: MakeModule) -> None:
    path = make_module()
    symvers_file = kernel.build_dir / "Module.symvers"
    symvers_file.write_text("0x1 nonsense\n")
    with pytest.raises(InfraError, match=r"Module\.symvers:1"):
        inspect(path, kernel)
    symvers_file.unlink()
    with pytest.raises(InfraError, match="is missing"):
        inspect(path, kernel)


def test_text_of_a_foreign_file_cannot_reach_the_terminal_raw(
    kernel: Kernel, make_module: MakeModule
) -> None:
    path = make_module(vermagic="evil\\033[2J\\nmore")
    assert r"'evil\x1b[2J\x0amore'" in inspect(path, kernel).problems()[0]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    text = source(
        imports=["kfree", "vhost_dev_init"], exports=["x"], tracepoints=["y"], extended={"kfree": 1}
    ) + source(struct_module=None, versions={"kfree": EXPORTS["kfree"][0]}).replace(
        "info", "more"
    ).replace("init_module", "cleanup_module")
    return compile_module(text, tmp_path_factory.mktemp("image") / "m.ko").read_bytes()


@settings(max_examples=400, deadline=2000)
@given(st.data())
def test_mutated_bytes_never_give_a_traceback(image: bytes, data: st.DataObject) -> None:
    mutant = bytearray(image)
    # Most of what a parser trusts stands in the header and the section table at the end.
    table = int.from_bytes(image[0x28:0x30], "little")
    places = st.one_of(
        st.integers(4, 63), st.integers(table, len(image) - 1), st.integers(0, len(image) - 1)
    )
    for _ in range(data.draw(st.integers(1, 12))):
        mutant[data.draw(places)] = data.draw(st.one_of(st.integers(0, 255), st.just(0xFF)))
    if data.draw(st.booleans()):
        del mutant[data.draw(st.integers(0, len(mutant))) :]
    # Anything else that it raised would be the traceback.
    with contextlib.suppress(UsageError):
        parse_module(bytes(mutant), Path("m.ko"))
