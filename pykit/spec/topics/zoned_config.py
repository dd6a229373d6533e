# SPDX-License-Identifier: GPL-2.0-only
"""Negotiation and configuration of zoned block devices (section 5.2.5).

What a device is, is seen from its answers: a device whose reports have zones that must be written
sequentially is host-managed, one whose reports have zones that are preferably is host-aware.
"""

from __future__ import annotations

from collections.abc import Iterator

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from pykit.spec.lives import Access, Life, block_lives
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.view import View
from pykit.spec.zones import Descriptor, History, histories

_READ = ("driver:features", "driver:config")
_REPORTED = (
    *(*_READ, "driver:blk_start", "driver:blk_done", "driver:add", "driver:used"),
    "driver:blk_zone",
)


def _models(life: Life) -> Iterator[tuple[Access, int]]:
    return life.reads(cfg.ZONE_MODEL.offset, cfg.ZONE_MODEL.width)


def _with_model(view: View, tally: Tally, *models: int) -> Iterator[tuple[Life, Access]]:
    """Lives that negotiated ZONED and in which one of these models was read, with that read."""
    for life in block_lives(view, tally):
        if life.has(bits.BLK_ZONED):
            first = next(_models(life), None)
            if first and first[1] in models:
                yield life, first[0]


# The driver.

#: How its probe ended; of a driver that the access tracer alone saw, that it read no model.
_END = "driver:driver|access:acc_register"


def _tried(view: View, tally: Tally, *models: int) -> Iterator[tuple[Life, Access]]:
    """As ``_with_model``, of drivers of which it is known how their probe ended."""
    for life, model in _with_model(view, tally, *models):
        if view.recorded("driver"):
            yield life, model
        else:
            tally.undecided(doubt="how the driver's probe ended was not seen")


def _refused(life: Life, model: Access) -> bool:
    """Return whether a driver failed after it had read the model, and no other field of zones.

    It does so because of the model; a driver that reads on may find other values that it cannot
    work with, and may fail for reasons of its own.
    """
    failed = next((s for s in life.stages if s.err), None)
    if failed is None or failed.row < model.row:
        return False
    later = [a for a in life.config if a.len and not a.write and a.row > model.row]
    return not later


@rule("BI-DR-05", needs=(*_READ, _END))
def zoned_takes_all_models(view: View) -> Result:
    """Section 5.2.5.1: a driver negotiates ZONED only if it can work with every zone model.

    Checked: each life with ZONED in which the driver read one of the three models: it goes on,
    and does not fail with the model as the last field that it read.
    """
    tally = Tally(none="no model was read with ZONED negotiated")
    for life, model in _tried(view, tally, bits.Z_NONE, bits.Z_HOST_MANAGED, bits.Z_HOST_AWARE):
        text = f"{life.name}: ZONED is negotiated by a driver that fails at the device's model"
        tally.check(not _refused(life, model), model.row, text)
    return tally.result()


@rule("BI-DR-06", needs=_READ)
def managed_zones_are_not_discarded(view: View) -> Result:
    """Section 5.2.5.1: with a host-managed device DISCARD is not negotiated beside ZONED.

    Checked: each life with ZONED in which the model reads host-managed, of a device that offers
    DISCARD as well.
    """
    tally = Tally(none="no host-managed device offered DISCARD")
    for life, model in _with_model(view, tally, bits.Z_HOST_MANAGED):
        last = life.negotiated
        if last and last.offered >> bits.BLK_DISCARD & 1:
            text = f"{life.name}: DISCARD is negotiated with a host-managed device"
            tally.check(not last.acked >> bits.BLK_DISCARD & 1, (last.row, model.row), text)
    return tally.result()


def _gave_up(view: View, tally: Tally) -> Iterator[tuple[Life, Access]]:
    """Lives in which a driver failed at the model of a host-managed device."""
    for life, model in _tried(view, tally, bits.Z_HOST_MANAGED):
        if _refused(life, model):
            yield life, model


@rule("BI-DR-08", needs=(*_READ, _END, "driver:status"))
def unsupported_model_is_not_accepted(view: View) -> Result:
    """Section 5.2.5.1: a driver that cannot use a host-managed device does not set FEATURES_OK.

    Checked: each life in which the driver failed with the model as the last field that it read:
    it did not write FEATURES_OK.
    """
    tally = Tally(none="no driver failed at a host-managed model")
    for life, model in _gave_up(view, tally):
        agreed = life.first_write(bits.FEATURES_OK)
        rows = (model.row, agreed.row) if agreed else (model.row,)
        text = f"{life.name}: FEATURES_OK is written by a driver that cannot use the model"
        tally.check(agreed is None, rows, text)
    return tally.result()


@rule("BI-DR-09", needs=(*_READ, _END, "driver:status"))
def unsupported_model_fails(view: View) -> Result:
    """Section 5.2.5.1: a driver that cannot use a host-managed device sets FAILED.

    Checked: each life in which the driver failed with the model as the last field that it read:
    it wrote FAILED after that.
    """
    tally = Tally(none="no driver failed at a host-managed model")
    for life, model in _gave_up(view, tally):
        failed = any(s.sets(bits.FAILED) and s.row > model.row for s in life.status)
        tally.check(failed, model.row, f"{life.name}: FAILED is not written after the model")
    return tally.result()


@rule("BI-DR-11", needs=(*_READ, "driver:blk_start"))
def plain_use_ignores_characteristics(view: View) -> Result:
    """Section 5.2.5.1: a driver that uses a host-aware device as a plain disk reads no zone field
    but the model.

    Checked: each life with ZONED in which the model reads host-aware and the driver made requests,
    but none for zones: it uses the device as a plain disk.
    """
    tally = Tally(none="no host-aware device was used as a plain disk")
    requests = view.requests
    for life, model in _with_model(view, tally, bits.Z_HOST_AWARE):
        mine = [q for q, name in enumerate(view.rings.queue) if name[:2] == (life.dev, life.number)]
        types = {int(t) for q in mine for t in requests.type[requests.q == q]}
        if not types or types & set(bits.ZONE_TYPES):
            continue
        others = [a for field in cfg.ZONE_FIELDS[:-1] for a, _ in life.reads(field.offset, 4)]
        rows = (model.row, *(a.row for a in others[:1]))
        text = f"{life.name}: zone fields are read by a driver that uses no zones"
        tally.check(not others, rows, text)
    return tally.result()


# The device.


@rule("BI-DE-06", needs="driver:features", local=True)
def legacy_devices_are_not_zoned(view: View) -> Result:
    """Section 5.2.5.2: a legacy device does not offer ZONED.

    Checked: the last traced offer of each life of a block device that does not offer VERSION_1.
    """
    tally = Tally(none="all block devices offered VERSION_1")
    for life in block_lives(view, tally):
        last = life.negotiated
        if last and not last.offered >> bits.VERSION_1 & 1:
            text = f"{life.name}: ZONED is offered without VERSION_1"
            tally.check(not last.offered >> bits.BLK_ZONED & 1, last.row, text)
    return tally.result()


@rule("BI-DE-07", needs=_READ, local=True)
def declined_zones_read_zero(view: View) -> Result:
    """Section 5.2.5.2: where ZONED was declined all zone characteristics read 0.

    Checked: each read of one of them after FEATURES_OK, in a life whose driver declined ZONED.
    That initialisation goes on without zones is IN-DR-01's and ST-DR-01's to see.
    """
    tally = Tally(none="no characteristics were read after ZONED was declined")
    for life in block_lives(view, tally):
        last, agreed = life.negotiated, life.first_write(bits.FEATURES_OK)
        if not last or not agreed or not last.offered >> bits.BLK_ZONED & 1:
            continue
        if last.acked >> bits.BLK_ZONED & 1:
            continue
        for field in cfg.ZONE_FIELDS:
            for access, value in life.reads(field.offset, field.width):
                if access.row > agreed.row:
                    text = f"{life.name}: {field.name} reads {value}, ZONED was declined"
                    tally.check(not value, access.row, text)
    return tally.result()


@rule("BI-DE-08", needs=(*_READ, "driver:status"))
def declined_managed_zones_fail(view: View) -> Result:
    """Section 5.2.5.2: a host-managed device refuses FEATURES_OK where ZONED was declined.

    Checked: each life of a device that was host-managed in another life of the capture, whose
    driver declined ZONED, wrote FEATURES_OK and read the status after it.
    """
    tally = Tally(none="ZONED of a host-managed device was not declined")
    managed = {life.dev for life, _ in _with_model(view, Tally(), bits.Z_HOST_MANAGED)}
    for life in block_lives(view, tally):
        last, agreed = life.negotiated, life.first_write(bits.FEATURES_OK)
        if not last or not agreed or life.dev not in managed or life.has(bits.BLK_ZONED):
            continue
        read = next(
            (s for s in life.status if s.op == bits.STATUS_READ and s.row > agreed.row), None
        )
        if read and last.offered >> bits.BLK_ZONED & 1:
            text = f"{life.name}: FEATURES_OK stays set, though ZONED was declined"
            tally.check(not read.value & bits.FEATURES_OK, (agreed.row, read.row), text)
    return tally.result()


def _kinds(history: History) -> dict[int, Descriptor]:
    """The types of zones that a device has reported, each with a zone of that type."""
    return {zone.kind: zone for request in history.requests for zone in request.report}


@rule("BI-DE-09", needs=_REPORTED)
def plain_devices_have_no_model(view: View) -> Result:
    """Section 5.2.5.2: a device that is not zoned for its driver reports the model NONE.

    Checked: each read of the model in a life with ZONED: it is one of the three that there are,
    and not NONE on a device that reports sequential zones. Which model a device without them has
    to report is not visible.
    """
    tally = Tally(none="no model was read")
    sequential = {bits.ZT_SEQUENTIAL_REQUIRED, bits.ZT_SEQUENTIAL_PREFERRED}
    zoned = {
        h.life.dev: z for h in histories(view) for k, z in _kinds(h).items() if k in sequential
    }
    for life in block_lives(view, tally):
        if not life.has(bits.BLK_ZONED):
            continue
        for access, model in _models(life):
            wrong = model > bits.Z_HOST_AWARE or (model == bits.Z_NONE and life.dev in zoned)
            tally.check(not wrong, access.row, f"{life.name}: the zone model reads {model}")
    return tally.result()


def _model_of(view: View, kind: int, model: int, what: str) -> Result:
    """Check the model that devices report that have zones of a type."""
    tally = Tally(none=f"no device reported {what} zones")
    for history in histories(view):
        zone = _kinds(history).get(kind)
        if zone and history.limits.model is not None:
            text = f"{history.name}: it has {what} zones, and its model is {history.limits.model}"
            tally.check(history.limits.model == model, zone.row, text)
    return tally.result()


@rule("BI-DE-10", needs=_REPORTED)
def managed_devices_say_so(view: View) -> Result:
    """Section 5.2.5.2: a host-managed device reports the model HM.

    Checked: each life with ZONED whose device reports zones of the type SWR.
    """
    kind = bits.ZT_SEQUENTIAL_REQUIRED
    return _model_of(view, kind, bits.Z_HOST_MANAGED, "sequential-write-required")


@rule("BI-DE-11", needs=_REPORTED)
def aware_devices_say_so(view: View) -> Result:
    """Section 5.2.5.2: a host-aware device reports the model HA.

    Checked: each life with ZONED whose device reports zones of the type SWP.
    """
    kind = bits.ZT_SEQUENTIAL_PREFERRED
    return _model_of(view, kind, bits.Z_HOST_AWARE, "sequential-write-preferred")


@rule("BI-DE-12", needs=_REPORTED)
def zone_sectors_is_the_size(view: View) -> Result:
    """Section 5.2.5.2: zone_sectors is the size of a zone.

    Checked: each zone in a report that comes after another one: it begins zone_sectors after it,
    where the driver read that.
    """
    tally = Tally(none="no report had two zones")
    for history in histories(view):
        size = history.limits.zone_sectors
        for request in history.requests if size is not None else ():
            for zone, other in zip(request.report, request.report[1:], strict=False):
                text = f"{history.name}: zones at {zone.start} and {other.start}, zone_sectors"
                text += f" is {size}"
                tally.check(other.start - zone.start == size, (zone.row, other.row), text)
    return tally.result()


@rule("BI-DE-17", needs=_READ)
def appends_fit_into_requests(view: View) -> Result:
    """Section 5.2.5.2: max_append_sectors is at most what seg_max and size_max allow.

    Checked: each life with ZONED in which the driver read max_append_sectors and both limits,
    with SEG_MAX and SIZE_MAX negotiated. Without those there is no limit.
    """
    tally = Tally(none="SEG_MAX and SIZE_MAX were not negotiated with ZONED")
    for life in block_lives(view, tally):
        if not all(life.has(bit) for bit in (bits.BLK_ZONED, bits.BLK_SEG_MAX, bits.BLK_SIZE_MAX)):
            continue
        read = next(iter(life.reads(cfg.MAX_APPEND_SECTORS.offset, 4)), None)
        segments = max((v for _, v in life.reads(cfg.SEG_MAX.offset, 4)), default=0)
        length = max((v for _, v in life.reads(cfg.SIZE_MAX.offset, 4)), default=0)
        if read and segments and length:
            text = f"{life.name}: max_append_sectors {read[1]}, a request has at most {segments}"
            text += f" segments of {length} bytes"
            tally.check(read[1] * bits.SECTOR <= segments * length, read[0].row, text)
    return tally.result()


@rule("BI-DE-20", needs=_READ, local=True)
def zone_padding_is_zero(view: View) -> Result:
    """Section 5.2.5.2: the padding behind the zone characteristics, unused2, reads 0.

    Checked: each byte of it that a read covers.
    """
    tally = Tally(none="the padding was not read")
    for life in block_lives(view, tally):
        for offset in range(cfg.UNUSED2.offset, cfg.UNUSED2.offset + cfg.UNUSED2.width):
            for access, value in life.reads(offset, 1):
                text = f"{life.name}: padding at {offset} reads {value:#x}"
                tally.check(not value, access.row, text)
    return tally.result()
