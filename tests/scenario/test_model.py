# SPDX-License-Identifier: GPL-2.0-only
"""Scenario files: what is right in ours, and what is said of wrong ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pykit.errors import InfraError, UsageError
from pykit.guests import device_args
from pykit.guests.back_end import served
from pykit.paths import ROOT
from pykit.scenario import load_scenario, on_transport, served_by
from pykit.scenario.model import SCENARIOS, Device
from pykit.scenario.reader import QMP_COMMANDS
from pykit.scenario.transport import TRANSPORTS

STEP = "[[step]]\nname = 'a'\nguest = 'x'\n"
DEVICE = "[[device]]\nid = 'vd0'\ntype = 'virtio-blk-pci'\n"


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.toml")), ids=lambda path: path.stem)
def test_ours_load(path: Path) -> None:
    scenario = load_scenario(path.stem)
    assert scenario.name == path.stem
    assert scenario.summary
    assert scenario.steps


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("step = 1", "write [[step]]"),
        ("summary = 'x'", "no [[step]]"),
        ("[[step]]\nguest = 'true'", "mine.toml:1: step[0]: name is missing"),
        ("[[step]]\nname = 'A b'\nguest = 'true'", "only a-z"),
        ("[[step]]\nname = 'a'", "either guest"),
        ("[[step]]\nname = 'a'\nguest = 'x'\ndo = 'plug'", "either guest"),
        (
            "[[step]]\nname = 'a'\ndo = 'plugg'",
            "mine.toml:3: step[0].do: unknown action 'plugg' (did you mean 'plug'?)",
        ),
        (
            "[[step]]\nname = 'a'\ndo = 'plug'\ndevice = 'vd9'",
            "mine.toml:4: step[0].device: unknown [[device]] with the id 'vd9'",
        ),
        ("[[step]]\nname = 'a'\nguest = 'x'\n[[step]]\nname = 'a'\nguest = 'x'", "two steps"),
        (
            "[[step]]\nname = 'a'\nguest = 'x'\nretries = 3",
            "mine.toml:4: step[0].retries: unknown key 'retries'",
        ),
        ("deadline = 'soon'\n[[step]]\nname = 'a'\nguest = 'x'", "deadline"),
        (
            "modules = [1]\n[[step]]\nname = 'a'\nguest = 'x'",
            "mine.toml:1: modules[0]: 1: has to be a valid string",
        ),
        ("deadline = = 3", "mine.toml:1: "),
        ("deadline = true\n[[step]]\nname = 'a'\nguest = 'x'", "deadline"),
        ("deadline = 0\n[[step]]\nname = 'a'\nguest = 'x'", "deadline"),
        ("deadline = nan\n[[step]]\nname = 'a'\nguest = 'x'", "deadline"),
        ("[[step]]\nname = 'pykit-load'\nguest = 'x'", "step[0].name"),
        (f"{DEVICE}{DEVICE}{STEP}", "two devices are named vd0"),
        (f"{DEVICE}size-mib = -1\n", "device[0].size-mib"),
        (f"{DEVICE}options = 3\n", "device[0].options"),
        (f"{STEP}[parameters]\npykit_x = {{}}", "modules does not name pykit_x"),
        (
            f"modules = ['pykit_vhost']\n{STEP}[parameters]\npykit_vhost = 1",
            "mine.toml:6: parameters.pykit_vhost: 1: has to be a valid dictionary",
        ),
        (
            f"modules = ['pykit_vhost']\n{STEP}[parameters]\npykit_vhost = {{ y = [] }}",
            "parameters.pykit_vhost.y",
        ),
        (
            f"modules = ['pykit_virtio_blk']\n{STEP}[parameters.pykit_virtio_blk]\nring_sise = 4",
            "mine.toml:6: parameters.pykit_virtio_blk.ring_sise: unknown parameter of "
            "pykit_virtio_blk 'ring_sise' (did you mean 'ring_size'?)",
        ),
        (
            f"modules = [\n'pykit_virtio_blok']\n{STEP}",
            "mine.toml:2: modules[0]: unknown module of ours 'pykit_virtio_blok' (did",
        ),
        (
            f"guest-programs = ['blkoi']\n{STEP}",
            "mine.toml:1: guest-programs[0]: unknown guest program 'blkoi' (did you mean 'blkio'?)",
        ),
        (f"guest-programs = ['loopback_blk']\n{STEP}", "unknown guest program 'loopback_blk'"),
        (
            f"{DEVICE.replace('blk-pci', 'blc-pci')}{STEP}",
            "mine.toml:3: device[0].type: unknown device of QEMU",
        ),
        (
            f"{DEVICE}[device.options]\nnum-queue = 2\n{STEP}",
            "mine.toml:5: device[0].options.num-queue: unknown option of "
            "virtio-blk-pci 'num-queue' (did you mean 'num-queues'?)",
        ),
        (
            "[[step]]\nname = 'a'\nguest = '''\ntrue\nx=)\n'''",
            "mine.toml:3: step[0].guest: sh does not understand line 2 of it: ",
        ),
        (f"{DEVICE}[[step]]\nname = 'a'\ndo = 'resize'\ndevice = 'vd0'", "step[0]: size-mib"),
        ("[[step]]\nname = 'a'\ndo = 'qmp'", "step[0]: command is missing"),
        (
            "[[step]]\nname = 'a'\ndo = 'qmp'\ncommand = 'chardev-add'",
            "mine.toml:4: step[0].command: unknown command of QMP for scenarios 'chardev-add'",
        ),
        ("[[step]]\nname = 'a'\ndo = 'qmp'\ncommand = 'netdev_add'", "'netdev_add' (choose from"),
        ("firmware = 'ovmf'\n[[device]]\nid = 'd'\ntype = 'x'\nfiles = { '../a' = '' }", "'../a'"),
        (f"[[device]]\nid = '{'x' * 33}'\ntype = 'virtio-blk-pci'\n{STEP}", "32 of them at most"),
        (f"{DEVICE}iothread = 'yes'\n{STEP}", "device[0].iothread: 'yes': has to be a valid bool"),
        ("deadline = 'soon, I hope, but who knows when that will be'\n", "…: has to be a valid"),
        (f"{DEVICE}[[device.child]]\nid = 'x'\n{STEP}", "device[0].child[0]"),
    ],
)
def test_wrong_files_are_named_with_what_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        load_scenario(str(path))
    assert str(path) in str(raised.value)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(UsageError, match="blk"):
        load_scenario("quux")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_scenario(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("name", ["iothread", "vhost-user"])
def test_what_is_served_elsewhere_is_plugged(name: str) -> None:
    with pytest.raises(UsageError, match="choose pci"):
        on_transport(load_scenario(name), "mmio")


def test_wrong_backing(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"{DEVICE}backing = 'tape'\n{STEP}")
    with pytest.raises(UsageError, match="tape"):
        load_scenario(str(path))


def test_a_daemon_that_ends_is_said_so(tmp_path: Path) -> None:
    device = Device("vd0", "vhost-user-blk-pci", 1, {"num-queues": 0}, backing="vhost-user")
    with pytest.raises(InfraError, match="vd0"), served(device, tmp_path):
        pass


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("/tmp/a.sock", r"--device /tmp/a\.sock: write vhost-user:PATH or 'cmd:"),
        ("vhost-user:", r"write vhost-user:PATH"),
        ("cmd:back-end --socket a", r"write \{socket\} where"),
        ("cmd:back-end '{socket}", "mend the quotes"),
    ],
)
def test_a_device_that_is_none(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        served_by(load_scenario("io"), spec)


@pytest.mark.parametrize("name", ["blk", "seabios", "others", "vhost"])
def test_scenarios_that_a_back_end_cannot_serve(name: str) -> None:
    with pytest.raises(UsageError, match=f"scenario {name} is not of one block device"):
        served_by(load_scenario(name), "vhost-user:/tmp/a.sock")


def test_the_user_s_back_end_serves_the_disk(tmp_path: Path) -> None:
    (device,) = served_by(load_scenario("io"), "cmd:back-end --socket {socket}").devices
    assert (device.type, device.backing) == ("vhost-user-blk-pci", "vhost-user")
    assert device.peer == ("back-end", "--socket", "{socket}")
    with pytest.raises(InfraError, match="no program back-end"), served(device, tmp_path):
        pass
    (device,) = served_by(load_scenario("io"), f"vhost-user:{tmp_path}/sock").devices
    assert device_args.socket_of(device, tmp_path / "other") == tmp_path / "sock"
    with pytest.raises(InfraError, match="is no socket: start"), served(device, tmp_path):
        pass
    (device,) = served_by(load_scenario("io"), "cmd:false {socket}").devices
    with pytest.raises(InfraError, match="false, for vd0, ended"), served(device, tmp_path):
        pass


def test_children_are_plugged_behind_their_parent(tmp_path: Path) -> None:
    serial = next(d for d in load_scenario("others").devices if d.id == "serial0")
    commands = device_args.plug(serial, "rp0", tmp_path)
    assert [name for name, _ in commands] == [
        "device_add", "chardev-add", "device_add", "chardev-add", "device_add",
    ]  # fmt: skip
    fronts = [arguments for name, arguments in commands if name == "device_add"]
    assert [front["bus"] for front in fronts] == ["rp0", "serial0.0", "serial0.0"]
    # Who makes the socket waits for nobody, and comes first.
    ends = [arguments["backend"]["data"] for name, arguments in commands if name == "chardev-add"]
    assert [end["server"] for end in ends] == [True, False]
    assert ends[0]["addr"] == ends[1]["addr"]
    removed = [arguments["id"] for _, arguments in device_args.forget(serial)]
    assert removed == ["serial0-0-back", "serial0-1-back"]


def test_what_can_only_be_plugged_is_said_so(tmp_path: Path) -> None:
    scenario = replace(load_scenario("others"), transport=TRANSPORTS["mmio"])
    serial = tuple(d for d in scenario.devices if d.id == "serial0")
    with pytest.raises(UsageError, match="serial0 can only be plugged"):
        device_args.cold_options(replace(scenario, devices=serial), tmp_path)


def test_the_reference_lists_the_commands_of_qmp() -> None:
    text = (ROOT / "docs/reference/scenario.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| `command`")]
    assert set(re.findall(r"`([a-z_-]+)`", row)) - {"command", "arguments", "qmp"} == set(
        QMP_COMMANDS
    )


def test_a_file_whose_name_is_none_for_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "a b.toml"
    path.write_text(STEP)
    with pytest.raises(UsageError, match="the file's name is the scenario's"):
        load_scenario(str(path))
