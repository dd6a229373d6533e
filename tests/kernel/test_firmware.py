# SPDX-License-Identifier: GPL-2.0-only
"""Drivers that are not Linux's, with nothing in the guest: what the kit finds in each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]


@pytest.mark.parametrize(
    ("name", "waived"),
    [
        ("seabios", ("IN-DR-01", "PM-DR-05", "RS-DR-01")),
        pytest.param("u-boot", ("IN-DR-01", "ST-DR-01"), marks=pytest.mark.slow),
        pytest.param("ovmf", ("DX-33", "PM-DR-05", "RS-DR-01"), marks=pytest.mark.slow),
        pytest.param("ipxe", ("PL-DR-03",), marks=pytest.mark.slow),
    ],
)
def test_firmware(run: Run, name: str, waived: tuple[str, ...]) -> None:
    result = run(name)
    assert (result.outcome.kind, result.exit_code) == ("clean", Exit.OK), result.outcome.message
    verdicts = result.verdicts
    assert (verdicts.having("fail"), verdicts.having("waived")) == ((), waived)
    # The negotiation was seen whole, and requests.
    passed = {"FB-DR-01", "FB-DR-08", "IN-DR-05", "IN-DR-08", "RF-DR-01", "ST-DE-01", "ST-DR-02"}
    assert passed <= set(verdicts.having("pass"))
    assert result.events.lost == 0
    # What the rings' memory holds nobody saw.
    assert verdicts.of("SU-DE-02").verdict == "inconclusive"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "transport"),
    [
        *((name, "pci") for name in ("seabios", "u-boot", "ovmf", "ipxe", "aavmf", "u-boot-arm64")),
        ("u-boot-arm64", "mmio"),
        *(("u-boot-riscv64", transport) for transport in ("pci", "mmio")),
    ],
)
def test_firmware_under_the_access_tracer(run: Run, name: str, transport: str) -> None:
    """The rules for a driver's rings are decided as well, and QEMU saw the same chains."""
    result = run(name, transport=transport, observe=("access",))
    assert (result.outcome.kind, result.events.lost) == ("clean", 0), result.outcome.message
    verdicts = result.verdicts
    assert verdicts.having("fail") == ()
    assert {"XC-02", "XC-03", "DX-01", "DX-25", "NA-DR-01", "SX-DR-01"} <= (
        {*verdicts.having("pass")} | ({"DX-25"} if name == "ipxe" else set())
    )
