# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/zoned_config.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.base import bare, case, set_bits
from tests.spec.disk import ZONED, ZONES, Disk
from tests.spec.log import Log

PLACE = {"dev": 1, "life": 0, "cpu": 0, "pid": 7}
AWARE = tuple((3 if kind == 2 else kind, state, behind) for kind, state, behind in ZONES)


def aware() -> Log:
    """Return a log of a host-aware device."""
    return Disk(values={cfg.ZONE_MODEL: bits.Z_HOST_AWARE}).report(AWARE).log


@case("BI-DR-05", clean=lambda: Disk().log)
def driver_fails_at_the_model(log: Log) -> None:
    """A driver that negotiated ZONED gives up when it has read the model."""
    log.add("driver", **PLACE, id=2, err=-95, stage=2)


@case(
    "BI-DR-06",
    clean=lambda: Disk(offered=ZONED | 1 << bits.BLK_DISCARD, acked=ZONED).log,
)
def discard_with_managed_zones(log: Log) -> None:
    """DISCARD is negotiated with a host-managed device."""
    set_bits(log, acked=1 << bits.BLK_DISCARD)


def gives_up(log: Log) -> Log:
    """Let a driver read the model of a host-managed device, and give up."""
    model = cfg.ZONE_MODEL
    log.add("config", **PLACE, offset=model.offset, len=1, value=bits.Z_HOST_MANAGED, write=0)
    log.add("status", **PLACE, status=0x83, op=0)
    log.add("driver", **PLACE, id=2, err=-95, stage=2)
    return log


def in_time() -> Log:
    """Return a log in which a driver gives up before FEATURES_OK."""
    log = bare(offered=ZONED, acked=ZONED)
    log.drop([event for event in log.of("status") if event["status"] & bits.FEATURES_OK])
    return gives_up(log)


@case("BI-DR-08", clean=in_time)
def features_ok_before_giving_up(log: Log) -> None:
    """A driver writes FEATURES_OK and cannot use the model."""
    log.insert(log.one("config"), "status", status=0x0B, op=0)


@case("BI-DR-09", clean=in_time)
def silent_failure(log: Log) -> None:
    """A driver that cannot use the model does not write FAILED."""
    log.drop(log.of("status", status=0x83))


def plain() -> Log:
    """Return a log of a host-aware device that is used as a plain disk."""
    disk = Disk(values={cfg.ZONE_MODEL: bits.Z_HOST_AWARE}).ask(bits.T_IN, 0, 8)
    others = {field.offset for field in cfg.ZONE_FIELDS[:-1]}
    disk.log.drop([event for event in disk.log.of("config") if event["offset"] in others])
    return disk.log


@case("BI-DR-11", clean=plain)
def characteristics_are_read(log: Log) -> None:
    """A driver that uses no zones reads their size."""
    log.insert(log.of("config")[-1], "config", offset=72, len=4, value=2048, write=0)


def legacy() -> Log:
    """Return a log of a legacy device."""
    features = ZONED & ~(1 << bits.VERSION_1 | 1 << bits.BLK_ZONED)
    return bare(offered=features, acked=features)


@case("BI-DE-06", clean=legacy)
def legacy_device_is_zoned(log: Log) -> None:
    """A legacy device offers ZONED."""
    set_bits(log, offered=1 << bits.BLK_ZONED)


def declined() -> Log:
    """Return a log in which ZONED is declined and all fields read 0."""
    values = dict.fromkeys(cfg.ZONE_FIELDS, 0)
    return Disk(acked=ZONED & ~(1 << bits.BLK_ZONED), values=values).log


@case("BI-DE-07", clean=declined)
def declined_zones_have_a_size(log: Log) -> None:
    """zone_sectors reads 2048 though ZONED was declined."""
    log.one("config", offset=cfg.ZONE_SECTORS.offset)["value"] = 2048


def refused() -> Log:
    """Return a log of two lives: ZONED was declined in the second, and FEATURES_OK refused."""
    log = Disk().log
    other = bare(offered=ZONED, acked=ZONED & ~(1 << bits.BLK_ZONED))
    for event in other.events:
        if event["source"] == "driver":
            log.now += 1000
            log.events.append(event | {"life": 1, "ts": log.now})
    log.of("status", op=1)[-1]["status"] = 3
    return log


@case("BI-DE-08", clean=refused)
def declined_zones_are_accepted(log: Log) -> None:
    """A host-managed device takes FEATURES_OK though ZONED was declined."""
    log.of("status", op=1)[-1]["status"] = 0x0B


@case("BI-DE-09", clean=lambda: Disk().log)
def undefined_model(log: Log) -> None:
    """The model reads 3."""
    log.one("config", offset=cfg.ZONE_MODEL.offset)["value"] = 3


@case("BI-DE-10", clean=lambda: Disk().report().log)
def managed_device_says_aware(log: Log) -> None:
    """A device whose zones are SWR reports the model HA."""
    log.one("config", offset=cfg.ZONE_MODEL.offset)["value"] = bits.Z_HOST_AWARE


@case("BI-DE-11", clean=aware)
def aware_device_says_managed(log: Log) -> None:
    """A device whose zones are SWP reports the model HM."""
    log.one("config", offset=cfg.ZONE_MODEL.offset)["value"] = bits.Z_HOST_MANAGED


@case("BI-DE-12", clean=lambda: Disk().report().log)
def zones_are_smaller(log: Log) -> None:
    """zone_sectors is twice the distance of two zones."""
    log.one("config", offset=cfg.ZONE_SECTORS.offset)["value"] = 4096


@case("BI-DE-17", clean=lambda: Disk().log)
def appends_do_not_fit(log: Log) -> None:
    """max_append_sectors is more than a request can have."""
    log.one("config", offset=cfg.MAX_APPEND_SECTORS.offset)["value"] = 1 << 20


def padded() -> Log:
    """Return a log in which the padding is read."""
    disk = Disk()
    disk.read(cfg.UNUSED2, 0)
    return disk.log


@case("BI-DE-20", clean=padded)
def zone_padding_is_set(log: Log) -> None:
    """A byte of unused2 is 1."""
    log.one("config", offset=cfg.UNUSED2.offset)["value"] = 0x100
