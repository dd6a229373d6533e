# SPDX-License-Identifier: GPL-2.0-only
"""One scenario on every transport and under another driver."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pykit.arch import S390X
from pykit.errors import UsageError
from pykit.guests import runner
from pykit.guests.device_args import cold_options
from pykit.scenario import load_scenario, on_transport, under_driver, with_ring
from pykit.scenario.model import Scenario
from pykit.scenario.transport import TRANSPORTS, transport


@pytest.fixture
def blk() -> Scenario:
    return load_scenario("blk")


def test_pci_is_what_the_file_says(blk: Scenario) -> None:
    assert on_transport(blk, "pci") == blk


def test_legacy_is_an_option_of_every_device(blk: Scenario) -> None:
    scenario = on_transport(blk, "pci-legacy")
    for before, device in zip(blk.devices, scenario.devices, strict=True):
        assert device.options == before.options | {"disable-modern": True, "disable-legacy": "off"}


@pytest.mark.parametrize("name", ["mmio", "mmio-legacy"])
def test_mmio_devices_are_there_from_power_on(blk: Scenario, name: str, tmp_path: Path) -> None:
    scenario = on_transport(blk, name)
    assert {device.type for device in scenario.devices} == {"virtio-blk-device"}
    options = cold_options(scenario, tmp_path)
    fronts = [json.loads(text) for text in options if "virtio-blk-device" in text]
    assert [front["bus"] for front in fronts] == ["virtio-mmio-bus.0", "virtio-mmio-bus.1"]
    nodes = [json.loads(text)["node-name"] for text in options if "node-name" in text]
    assert nodes == [front["drive"] for front in fronts]
    assert (tmp_path / "vd0.img").stat().st_size == blk.devices[0].size_mib << 20


def test_hot_plugged_devices_are_not_there_at_first(blk: Scenario, tmp_path: Path) -> None:
    assert cold_options(on_transport(blk, "pci-legacy"), tmp_path) == []


def test_channel_io(blk: Scenario) -> None:
    scenario = on_transport(blk, None, S390X)
    assert scenario.transport == transport("ccw", S390X)
    assert {device.type for device in scenario.devices} == {"virtio-blk-ccw"}
    assert (scenario.transport.bus(0), scenario.transport.port) == ("virtual-css", ())
    pci = on_transport(blk, "pci", S390X)
    assert {device.type for device in pci.devices} == {"virtio-blk-pci"}
    assert (pci.transport.bus(0), pci.transport.port) == ("pci.0", ())
    assert on_transport(load_scenario("selftest"), None, S390X).devices == ()
    for name in ("mmio", "pci-legacy"):
        with pytest.raises(UsageError, match=f"unknown transport '{name}'"):
            on_transport(blk, name, S390X)
    with pytest.raises(UsageError, match="unknown transport 'ccw'"):
        on_transport(blk, "ccw")


def test_unknown_transport(blk: Scenario) -> None:
    with pytest.raises(UsageError, match=r"unknown transport 'isa' \(choose from mmio"):
        on_transport(blk, "isa")


def test_no_hot_plug_on_mmio() -> None:
    with pytest.raises(UsageError, match=r"unplug-under-io .* no hot-plug"):
        on_transport(load_scenario("unplug"), "mmio")


def test_nothing_to_put_on_a_transport() -> None:
    with pytest.raises(UsageError, match="no device"):
        on_transport(load_scenario("vhost"), "mmio")
    with pytest.raises(UsageError, match="no device"):
        under_driver(load_scenario("vhost"), "virtio_blk")


def test_a_device_is_named_as_for_pci(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        "[[device]]\nid = 'a'\ntype = 'virtio-blk-device'\n[[step]]\nname = 'a'\nguest = 'true'"
    )
    with pytest.raises(UsageError, match="virtio-blk-device"):
        on_transport(load_scenario(str(path)), "mmio")


def test_virtme_ng_has_its_own_machine() -> None:
    runner("direct", TRANSPORTS["mmio"])
    runner("vng", TRANSPORTS["pci-legacy"])
    with pytest.raises(UsageError, match="--boot direct"):
        runner("vng", TRANSPORTS["mmio"])
    with pytest.raises(UsageError, match="unknown runner"):
        runner("xen", TRANSPORTS["pci"])


def test_a_packed_ring_is_an_option_of_every_device(blk: Scenario) -> None:
    scenario = with_ring(on_transport(blk, "mmio"), "packed")
    assert all(device.options["packed"] is True for device in scenario.devices)
    assert with_ring(blk, "split") == blk


def test_packed_rings_where_there_are_none(blk: Scenario) -> None:
    with pytest.raises(UsageError, match="legacy interface"):
        with_ring(on_transport(blk, "pci-legacy"), "packed")
    with pytest.raises(UsageError, match="no device"):
        with_ring(load_scenario("vhost"), "packed")
    with pytest.raises(UsageError, match="unknown ring layout 'round'"):
        with_ring(blk, "round")


def test_a_kernels_driver_is_watched_by_the_probe(blk: Scenario) -> None:
    scenario = under_driver(blk, "virtio_blk")
    assert scenario.modules == ("pykit_probe",)
    assert scenario.kernel_modules == (*blk.kernel_modules, "virtio_blk")
    assert {device.driver for device in scenario.devices} == {"virtio_blk"}
    assert scenario.parameters == {"pykit_probe": {"devices": "virtio_blk"}}
    marked = under_driver(blk, "virtio_blk", canaries=True)
    assert marked.parameters == {"pykit_probe": {"devices": "virtio_blk", "canaries": "1"}}


def test_our_driver_needs_no_probe(blk: Scenario) -> None:
    assert under_driver(blk, "pykit_virtio_blk") == blk
    assert under_driver(under_driver(blk, "virtio_blk"), "pykit_virtio_blk").modules[-1] == (
        "pykit_virtio_blk"
    )


def test_devices_that_the_scenario_makes_have_a_driver_too() -> None:
    scenario = under_driver(load_scenario("loop-blk"), "virtio_blk")
    assert scenario.driver == "virtio_blk"
    assert scenario.modules == ("pykit_loopback", "pykit_vhost", "pykit_probe")
