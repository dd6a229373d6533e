# SPDX-License-Identifier: GPL-2.0-only
"""Feature negotiation and the reserved feature bits (sections 2.2 and 6)."""

from __future__ import annotations

from collections.abc import Iterator

from pykit import pci
from pykit.spec import bits
from pykit.spec.accepted import words_beyond
from pykit.spec.lives import (
    Features,
    Life,
    Status,
    block_lives,
    logged_features,
    negotiated_lives,
)
from pykit.spec.model import Result, rule
from pykit.spec.offers import accuse, misread, miswritten
from pykit.spec.rows import Rows, Tally
from pykit.spec.survey import functions
from pykit.spec.topics.answers import excessive, flagged
from pykit.spec.view import View

NOT_SEEN = "no negotiation was seen"
_GAVE_UP = "the driver gave up, and may have had another reason"
#: Block requests that a feature brings, with its bit.
OFFERED_TYPES = {
    bits.T_FLUSH: bits.BLK_FLUSH,
    bits.T_DISCARD: bits.BLK_DISCARD,
    bits.T_WRITE_ZEROES: bits.BLK_WRITE_ZEROES,
    bits.T_SECURE_ERASE: bits.BLK_SECURE_ERASE,
}
#: Bits that version 1.4 defines or reserves. 42 was in use before it was reserved.
_DEFINED = bits.mask(bits.COMMON_BITS | bits.RESERVED_BITS | bits.DEVICE_BITS | {42})
#: Bits of the range of the queue and negotiation mechanisms that version 1.4 does not describe.
_GAPS = frozenset({25, 26, 31})


def _states(view: View) -> Iterator[tuple[Life, Features]]:
    """Return each traced state of each life's negotiation; then those of the registers' log."""
    for life in view.lives.values():
        yield from ((life, seen) for seen in life.features)
        yield from ((life, seen) for seen in logged_features(view, life))


def _outcomes(view: View) -> Iterator[tuple[Life, Features]]:
    """Return the last traced state of each life's negotiation; then that of the registers' log."""
    for life in view.lives.values():
        for states in (life.features, logged_features(view, life)):
            yield from ((life, last) for last in states[-1:])


@rule("FB-DR-01", needs="driver:features", local=True)
def only_offered_features(view: View) -> Result:
    """Section 2.2.1: the driver acknowledges no feature that the device does not offer.

    Checked: each traced state of the negotiation; of features from 64 on, which no driver's trace
    has, each write to the registers, against what was read of the offer.
    """
    tally = Tally(none=NOT_SEEN)
    for life, seen in _states(view):
        extra = seen.acked & ~seen.offered
        text = f"{life.name}: acknowledged though not offered: bits {bits.names_of(extra)}"
        tally.check(not extra, seen.row, text)
    beyond = words_beyond(view)
    return tally.result() + beyond.check(
        beyond["value"] & ~beyond["offered"] == 0,
        "{place}: {value:#x} is accepted of feature word {word}, and {offered:#x} is offered",
    )


def _missing(life: Life, value: int) -> Iterator[tuple[int, tuple[int, ...] | None]]:
    """Return each set bit that has prerequisites, with those of which none is set, or None."""
    for bit, groups in bits.REQUIRES.get(life.id or 0, {}).items():
        if value >> bit & 1:
            lacking = (g for g in groups if not any(value >> other & 1 for other in g))
            yield bit, next(lacking, None)


def _closed(view: View, *, device: bool) -> Result:
    """Check that prerequisites of features are set too: in the device's offer, or by the driver."""
    tally = Tally(none="no feature that has a prerequisite was there")
    for life, seen in _states(view):
        for bit, lacking in _missing(life, seen.offered if device else seen.acked):
            text = f"{life.name}: bit {bit} without {' or '.join(map(str, lacking or ()))}"
            doubtful = misread(view) if device else frozenset()
            accuse(tally, life, lacking is None, seen.row, text, doubtful=doubtful)
    return tally.result()


@rule("FB-DR-02", needs="driver:features", local=True)
def acknowledged_with_prerequisites(view: View) -> Result:
    """Section 2.2.1: the driver acknowledges no feature without the features that it requires.

    Checked: each feature with prerequisites (5.1.3.1: only network devices have such) that is
    acknowledged, in each traced state of the negotiation.
    """
    return _closed(view, device=False)


@rule("FB-DE-01", needs="driver:features", local=True)
def offered_with_prerequisites(view: View) -> Result:
    """Section 2.2.2: the device offers no feature without the features that it requires.

    Checked: each feature with prerequisites (5.1.3.1: only network devices have such) that is
    offered, in each traced state of the negotiation. Contested: as for FB-DE-04.
    """
    return _closed(view, device=True)


@rule("FB-DR-05", needs="driver:features", local=True)
def only_defined_bits(view: View) -> Result:
    """Section 2.2.1: the driver acknowledges no feature bit that the specification lacks.

    Checked: each traced state of the negotiation. Bits of the ranges for device types count as
    defined here (FB-DR-08 looks at the type), and so do reserved ones (FB-DR-06 looks at them).
    """
    tally = Tally(none=NOT_SEEN)
    for life, seen in _states(view):
        extra = bits.names_of(seen.acked & ~_DEFINED)
        text = f"{life.name}: acknowledged bits that the specification does not define: {extra}"
        tally.check(not seen.acked & ~_DEFINED, seen.row, text)
    return tally.result()


@rule("FB-DR-06", needs="driver:features", local=True)
def no_reserved_bits(view: View) -> Result:
    """Section 2.2.1: the driver acknowledges no bit reserved for future extensions (44 to 49).

    Checked: each traced state of the negotiation.
    """
    tally = Tally(none=NOT_SEEN)
    for life, seen in _states(view):
        extra = seen.acked & bits.mask(bits.RESERVED_BITS)
        text = f"{life.name}: acknowledged reserved bits: {bits.names_of(extra)}"
        tally.check(not extra, seen.row, text)
    return tally.result()


@rule("FB-DR-11", needs=("driver:features", "driver:status"), also=("FB-DR-04",))
def unfamiliar_bits_are_disregarded(view: View) -> Result:
    """Section 2.2.1: the driver does not accept bits that it cannot know, nor give up for them.

    Checked: each life of a device that offers bits which are undefined, reserved or of another
    device type: the driver accepts none of them, and goes on to DRIVER_OK. That it does not is a
    violation where the same device, with all of the offer but such bits, got that far in another
    life.

    Undecided: the driver gave up, and no such life shows that another reason is unlikely.
    """
    tally = Tally(none="no device offered a feature that no driver can know", doubt=_GAVE_UP)
    lives = [life for life in view.lives.values() if life.negotiated and life.id is not None]
    for life in lives:
        last = life.negotiated
        strange = _unfamiliar(life, last.offered) if last else 0
        if last is None or not strange:
            continue
        if last.acked & strange:
            text = f"{life.name}: accepts bits {bits.names_of(last.acked & strange)}"
            tally.check(False, last.row, text)
        elif life.first_write(bits.DRIVER_OK):
            tally.check(True, last.row, "")
        elif any(
            other.dev == life.dev
            and other.negotiated is not None
            and other.negotiated.offered == last.offered & ~strange
            and other.first_write(bits.DRIVER_OK)
            for other in lives
        ):
            text = f"{life.name}: gives up, as bits {bits.names_of(strange)} are offered"
            tally.check(False, last.row, text)
        else:
            tally.undecided()
    return tally.result()


def _unfamiliar(life: Life, offered: int) -> int:
    """Return bits of an offer that no driver of this device type can know."""
    return offered & bits.mask(bits.RESERVED_BITS | _GAPS) | (_of_other_types(life, offered) or 0)


@rule("FB-DR-07", needs="driver:features", local=True)
def only_features_of_the_transport(view: View) -> Result:
    """Section 2.2.1: the driver acknowledges no feature that its transport does not support.

    Checked: the last traced state of each life's negotiation, on a transport that the capture
    names. SR_IOV and ADMIN_VQ are the only features of one transport, which is PCI.
    """
    tally = Tally(none="the transport is not known")
    for life, last in _outcomes(view):
        if life.transport is None:
            continue
        extra = 0 if life.transport == "pci" else last.acked & bits.mask(bits.PCI_BITS)
        text = f"{life.name}: acknowledged features of PCI only: bits {bits.names_of(extra)}"
        tally.check(not extra, last.row, text)
    return tally.result()


def _of_other_types(life: Life, value: int) -> int | None:
    """Return bits of the device types' ranges that the type lacks; None if it is unknown."""
    described = bits.TYPE_BITS.get(life.id or 0)
    return None if described is None else value & bits.mask(bits.DEVICE_BITS - described)


@rule("FB-DR-08", needs="driver:features", local=True)
def only_features_of_the_type(view: View) -> Result:
    """Section 2.2.1: the driver acknowledges no feature that its device type does not define.

    Checked: the last traced state of each life's negotiation with a block or network device, the
    types whose features the kit knows.
    """
    tally = Tally(none="features of this device type are not known to the kit")
    for life, last in _outcomes(view):
        extra = _of_other_types(life, last.acked)
        if extra is None:
            continue
        text = f"{life.name}: acknowledged bits that its type lacks: {bits.names_of(extra)}"
        tally.check(not extra, last.row, text)
    return tally.result()


@rule("FB-DE-04", needs="driver:features", local=True)
def no_impossible_offer(view: View) -> Result:
    """Section 2.2.2: the device offers no feature that it could not support.

    Checked: the last traced state of each life's negotiation: the offer has no bit that is
    reserved or that version 1.4 leaves undefined, none that the device's type lacks (block and
    network devices, the types whose features the kit knows), and none of another transport
    (where the capture names the transport). Contested: an offer that the driver read without
    selecting a half of it, by the registers' log.

    A block device's offer is also checked by what it does: each flush, discard, write-zeroes
    and secure-erase request whose feature was negotiated and whose end was seen does not end with
    UNSUPP. Requests with a flag in a segment are left out, as those may have to end so (5.2.6.2),
    and requests that ask for more than is allowed, as the device may refuse those: flushes with
    data, segments that are not whole, too many or too long. So are all where events were lost.
    """
    tally = Tally(none=NOT_SEEN)
    _served_as_offered(view, tally)
    for life, last in _outcomes(view):
        extra = last.offered & bits.mask(bits.RESERVED_BITS | _GAPS)
        extra |= _of_other_types(life, last.offered) or 0
        if life.transport not in (None, "pci"):
            extra |= last.offered & bits.mask(bits.PCI_BITS)
        names = bits.names_of(extra)
        text = f"{life.name}: offered, but not defined for it by version 1.4: bits {names}"
        accuse(tally, life, not extra, last.row, text, doubtful=misread(view))
    return tally.result()


def _served_as_offered(view: View, tally: Tally) -> None:
    """Check that requests which a negotiated feature brings do not end with UNSUPP."""
    if view.events.lost:
        return
    requests = Rows.of(view.rings, view.requests)
    fair = ~flagged(view, ~0) & ~excessive(view)
    requests = requests.where(requests["sound"] & (requests["status"] >= 0) & fair)
    for kind, bit in OFFERED_TYPES.items():
        negotiated = view.rings.feature(bit)[requests["q"]] == 1
        mine = requests.where((requests["type"] == kind) & negotiated)
        held = mine["status"] != bits.S_UNSUPP
        text = "{queue}: feature bit " + f"{bit} is offered, and its request ended with UNSUPP"
        tally.check_together(len(mine), mine.violations(held, text, shown=("row", "done")))


def _answers(view: View) -> Iterator[tuple[Life, Features, Status]]:
    """Return lives with the features of the negotiation and the status read after FEATURES_OK.

    Without a read directly after the write there is no answer: the bit may be gone for another
    reason.
    """
    for life, agreed in negotiated_lives(view):
        following = next((s for s in life.status if s.row > agreed.row), None)
        if life.features and following and following.op == bits.STATUS_READ:
            yield life, life.features[-1], following


@rule("FB-DE-02", needs=("driver:features", "driver:status"))
def valid_subset_is_accepted(view: View) -> Result:
    """Section 2.2.2: the device accepts any valid subset of the features that it offers.

    Checked: each life whose driver read the status right after it wrote FEATURES_OK and had
    acknowledged a valid subset: the read has FEATURES_OK.

    Valid is a subset of the offer with VERSION_1 and all prerequisites. Subsets without
    ACCESS_PLATFORM, ORDER_PLATFORM or, on a block device, ZONED are left out where these are
    offered: a device may not work without them (6.2, 5.2.5.2). Contested: a status that was
    written in another width than the register's.
    """
    tally = Tally(none="no FEATURES_OK was read back")
    for life, last, answer in _answers(view):
        if _valid(life, last):
            accepted = bool(answer.value & bits.FEATURES_OK)
            text = f"{life.name}: a valid subset of the offer was refused"
            accuse(tally, life, accepted, answer.row, text, doubtful=miswritten(view))
    return tally.result()


def _valid(life: Life, last: Features) -> bool:
    """Return whether the device has no reason to refuse what the driver acknowledged."""
    required = 1 << bits.ACCESS_PLATFORM | 1 << bits.ORDER_PLATFORM
    if life.id == bits.BLK_ID:
        required |= 1 << bits.BLK_ZONED
    subset = not last.acked & ~last.offered and bool(last.acked & 1 << bits.VERSION_1)
    complete = all(lacking is None for _, lacking in _missing(life, last.acked))
    return subset and complete and not last.offered & ~last.acked & required


@rule("FB-DE-05", needs=("driver:features", "driver:status"))
def accepted_features_stay_acceptable(view: View) -> Result:
    """Section 2.2.2: features that the device accepted once it accepts after a reset again.

    Checked: each life whose driver read the status right after it wrote FEATURES_OK and had
    acknowledged the same features, of the same offer, as in an earlier life in which the device
    accepted them: the read has FEATURES_OK.

    Another offer is another negotiation: what is behind the device may have changed.
    """
    tally = Tally(none="no set of features was negotiated twice")
    good: dict[int, set[tuple[int, int]]] = {}
    for life, last, answer in _answers(view):
        known, features = good.setdefault(life.dev, set()), (last.offered, last.acked)
        accepted = bool(answer.value & bits.FEATURES_OK)
        if features in known:
            text = f"{life.name}: features that were accepted before are refused"
            tally.check(accepted, answer.row, text)
        if accepted:
            known.add(features)
    return tally.result()


def _acknowledged_if_offered(view: View, bit: int, name: str) -> Result:
    """Check that negotiations in which a feature is offered end with it acknowledged."""
    tally = Tally(none=f"{name} was not offered")
    for life, last in _outcomes(view):
        if last.offered >> bit & 1:
            text = f"{life.name}: {name} is offered, but was not acknowledged"
            tally.check(bool(last.acked >> bit & 1), last.row, text)
    return tally.result()


@rule("RF-DR-01", needs="driver:features")
def version_1_is_acknowledged(view: View) -> Result:
    """Section 6.1: the driver acknowledges VERSION_1 where it is offered.

    Checked: the last traced state of each life's negotiation in which it is offered.
    """
    return _acknowledged_if_offered(view, bits.VERSION_1, "VERSION_1")


@rule("RF-DR-03", needs="driver:features")
def access_platform_is_acknowledged(view: View) -> Result:
    """Section 6.1: the driver acknowledges ACCESS_PLATFORM where it is offered.

    Checked: the last traced state of each life's negotiation in which it is offered.
    """
    return _acknowledged_if_offered(view, bits.ACCESS_PLATFORM, "ACCESS_PLATFORM")


@rule("RF-DR-06", needs="driver:features")
def ring_packed_is_acknowledged(view: View) -> Result:
    """Section 6.1: the driver acknowledges RING_PACKED where it is offered.

    Checked: the last traced state of each life's negotiation in which it is offered.
    """
    return _acknowledged_if_offered(view, bits.RING_PACKED, "RING_PACKED")


@rule("RF-DR-07", needs="driver:features")
def order_platform_is_acknowledged(view: View) -> Result:
    """Section 6.1: the driver acknowledges ORDER_PLATFORM where it is offered.

    Checked: the last traced state of each life's negotiation in which it is offered.
    """
    return _acknowledged_if_offered(view, bits.ORDER_PLATFORM, "ORDER_PLATFORM")


@rule("RF-DR-13", needs="driver:features")
def notif_config_data_is_acknowledged(view: View) -> Result:
    """Section 6.1: the driver acknowledges NOTIF_CONFIG_DATA where it is offered.

    Checked: the last traced state of each life's negotiation in which it is offered.
    """
    return _acknowledged_if_offered(view, bits.NOTIF_CONFIG_DATA, "NOTIF_CONFIG_DATA")


@rule("BO-DR-03", needs="driver:features")
def read_only_is_acknowledged(view: View) -> Result:
    """Section 5.2.6.1: a block driver acknowledges RO where it is offered.

    Checked: the last traced state of each life's negotiation with a block device that offers RO.
    """
    tally = Tally(none="RO was not offered")
    for life in block_lives(view, tally):
        last = life.negotiated
        if last and last.offered >> bits.BLK_RO & 1:
            text = f"{life.name}: RO is offered, but was not acknowledged"
            tally.check(bool(last.acked >> bits.BLK_RO & 1), last.row, text)
    return tally.result()


@rule("RF-DE-01", needs="driver:features", local=True)
def version_1_is_offered(view: View) -> Result:
    """Section 6.2: the device offers VERSION_1.

    Checked: the last traced state of each life's negotiation, except with devices that have the
    legacy interface only, as the capture says: the clause is not about those. Contested: as for
    FB-DE-04.
    """
    tally = Tally(none="no negotiation was seen that is not the legacy interface's")
    for life, last in _outcomes(view):
        if not life.legacy:
            offered = bool(last.offered >> bits.VERSION_1 & 1)
            text = f"{life.name}: VERSION_1 is not offered"
            accuse(tally, life, offered, last.row, text, doubtful=misread(view))
    return tally.result()


def _no_sr_iov(view: View, *, device: bool) -> Result:
    """Check that SR_IOV is not set where it cannot be: in the device's offer, or by the driver."""
    tally = Tally(none="no transport is known, and no PCI device was surveyed")
    capable: dict[int | None, bool] = {}
    for function in functions(view):
        has = any(name == pci.SR_IOV for _, name in function.extended)
        capable[function.dev] = has or capable.get(function.dev, False)
    for life, last in _outcomes(view):
        value = last.offered if device else last.acked
        if life.transport == "pci":
            if not capable.get(life.dev, True):
                text = f"{life.name}: SR_IOV on a device without an SR-IOV capability"
                tally.check(not value >> bits.SR_IOV & 1, last.row, text)
        elif life.transport is not None:
            text = f"{life.name}: SR_IOV on a device that is not PCI"
            tally.check(not value >> bits.SR_IOV & 1, last.row, text)
    return tally.result()


@rule("RF-DE-10", needs="driver:features", local=True)
def sr_iov_is_offered_with_capability_only(view: View) -> Result:
    """Section 6.2: a device that is no PCI device with an SR-IOV capability does not offer SR_IOV.

    Checked: the last traced state of each life's negotiation on a transport that the capture
    names. Of PCI devices, those that were surveyed and have no such capability.
    """
    return _no_sr_iov(view, device=True)


@rule("RF-DR-10", needs="driver:features", local=True)
def sr_iov_is_acknowledged_with_capability_only(view: View) -> Result:
    """Section 6.1: the driver does not acknowledge SR_IOV on devices that cannot have it.

    Checked: as for RF-DE-10, what the driver acknowledged.
    """
    return _no_sr_iov(view, device=False)
