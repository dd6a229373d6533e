# SPDX-License-Identifier: GPL-2.0-only
"""Events of a virtio core that has its own: ours, under its names and with its fields."""

from __future__ import annotations

import json
import re

import pytest

from pykit.paths import ROOT
from pykit.spec import check
from pykit.trace import Events, load
from pykit.trace.core_events import PREFIX, RENAMED, SYSTEM
from tests.trace.conftest import unpack

HEADER = ROOT / "upstream/files/include/trace/events/virtio_ring.h"


def fields() -> dict[str, set[str]]:
    """The fields of each event that the series defines."""
    found = {}
    for event in HEADER.read_text().split("TRACE_EVENT(")[1:]:
        name = event.partition(",")[0].removeprefix(PREFIX)
        found[name] = set(re.findall(r"__field\(\w+, (\w+)\)", event))
    return found


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Events:
    """A capture of our driver as a core would have recorded it, without another observer."""
    folder = tmp_path_factory.mktemp("core")
    capture = unpack("capture-7.2.tar.xz", folder)
    events = capture / "tracing/events"
    for name, wanted in fields().items():
        ours = events / f"pykit/pykit_{RENAMED.get(name, name)}"
        lines = []
        for line in (ours / "format").read_text().splitlines():
            # The disk's type is 2, and so many queues it has.
            text = line.replace(" num_queues;", " id;").replace(
                f": {ours.name}", f": {PREFIX}{name}"
            )
            field = re.search(r"field:.* (\w+);\toffset", text)
            if not field or field[1].startswith("common_") or field[1] in wanted:
                lines.append(text)
        (ours / "format").write_text("\n".join(lines) + "\n")
        (events / SYSTEM).mkdir(exist_ok=True)
        ours.rename(events / SYSTEM / f"{PREFIX}{name}")
    (events / "pykit").rename(events / "others")
    for file in ("qemu.log", "qmp.json"):
        (capture / file).unlink()
    info = json.loads((capture / "capture.json").read_text())
    info.pop("seal", None)
    (capture / "capture.json").write_text(
        json.dumps(info | {"devices": [], "plugs": [], "steps": []})
    )
    return load(capture)


def test_each_event_is_one_of_ours() -> None:
    assert set(fields()) == {"state", "add", "desc", "used", "kick", "notify", "interrupt",
                             "callback"}  # fmt: skip


def test_source_and_lives(core: Events) -> None:
    table = core.table
    assert set(table["source"].unique()) == {"core"}
    assert table.filter(kind="driver").select("id", "stage", "life").rows() == [(2, 7, 0)]
    assert table["life"].null_count() == 0
    kicks = table.filter(kind="kick")
    assert kicks["event"].equals(kicks["event_after"])
    assert core.lost == 0


def test_rules(core: Events) -> None:
    verdicts = check(core)
    assert verdicts.having("fail") == ()
    passed = set(verdicts.having("pass"))
    assert passed >= {"DX-01", "DX-03", "DX-16", "DX-17", "DX-39", "DX-40", "NA-DR-06", "SI-DR-03"}
