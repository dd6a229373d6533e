# SPDX-License-Identifier: GPL-2.0-only
"""Virtio's structures on PCI (4.1.4): their capabilities, as surveyed.

A structure is *present* where its capability names a BAR that the function has, and lies inside of
it with the bytes that it needs at least. Legacy devices (no capability of virtio's, an I/O BAR 0,
a transitional id, VERSION_1 never offered) are left out: they have none of these structures.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from pykit import pci
from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.survey import (
    CONFIGURED,
    NUM_QUEUES,
    QUEUE_NOTIFY_OFF,
    QUEUE_SELECT,
    STATUS,
    VENDOR,
    Cap,
    Function,
    functions,
)
from pykit.spec.view import View
from pykit.text import counted

NONE = "no PCI device with more than the legacy interface was surveyed"
OFFER = "whether NOTIFICATION_DATA is offered is not known"
_NO_MSI_X = "no surveyed PCI device has an MSI-X capability"
#: Bytes of a vendor data capability up to the data.
_VENDOR_DATA = 6


def _surveyed(view: View) -> Iterator[Function]:
    """Return looks at devices that have virtio's structures, or should have."""
    return (function for function in functions(view) if not function.legacy)


def _capabilities(view: View, cfg_type: int) -> Iterator[tuple[Function, Cap]]:
    """Return all capabilities of a type."""
    return ((f, cap) for f in _surveyed(view) for cap in f.structures(cfg_type))


def _present(view: View, cfg_type: int, *, types: frozenset[int] | None = None) -> Result:
    """Check that functions have a usable structure of a type."""
    tally = Tally(none=NONE)
    for function in _surveyed(view):
        if types is not None and function.type not in types:
            continue
        found = function.structures(cfg_type)
        good = any(map(function.usable, found))
        title = pci.CFG_TYPES[cfg_type]
        text = f"{function.name}: there is no {title} capability"
        if found and not good:
            cap = found[0]
            text = (
                f"{function.name}: {cap.name} names {cap.length} bytes at {cap.start} of BAR"
                f" {cap.bar}, which are not there"
            )
        rows = (function.row, *(cap.row for cap in found))
        tally.check(good, rows, text)
    return tally.result()


def _aligned(view: View, cfg_type: int, to: int) -> Result:
    """Check that structures of a type begin at a multiple of ``to``."""
    tally = Tally(none=NONE)
    for function, cap in _capabilities(view, cfg_type):
        if cap.start is not None:
            text = f"{function.name}: {cap.name} has the offset {cap.start:#x}"
            tally.check(cap.start % to == 0, cap.row, text)
    return tally.result()


@rule("PC-DE-01", needs="survey:survey_cap", local=True)
def cap_len_covers_all(view: View) -> Result:
    """Section 4.1.4.2: cap_len covers a capability from cap_vndr to the end of its extra data.

    Checked: each surveyed capability with a type that the specification knows: it has room for
    the structure and the fields that follow it in this type, ends inside of the space, and no
    other capability begins within it.
    """
    tally = Tally(none=NONE)
    for function in _surveyed(view):
        places = [cap.pos for cap in function.caps]
        for cap in function.virtio:
            if cap.cfg_type not in pci.CFG_TYPES or cap.cap_len is None:
                continue
            least = pci.VIRTIO_CAP + pci.EXTRA.get(cap.cfg_type, 0)
            if cap.cfg_type == pci.VENDOR_CFG:
                least = _VENDOR_DATA
            end = cap.pos + cap.cap_len
            inside = end <= pci.CONVENTIONAL and not any(cap.pos < at < end for at in places)
            text = f"{function.name}: {cap.name} has cap_len {cap.cap_len}"
            tally.check(cap.cap_len >= least and inside, cap.row, text)
    return tally.result()


@rule("PM-DE-01", needs="survey:survey_cap", local=True)
def common_offset_is_aligned(view: View) -> Result:
    """Section 4.1.4.3.1: the common configuration begins at a multiple of 4.

    Checked: each surveyed capability of that type.
    """
    return _aligned(view, pci.COMMON_CFG, 4)


@rule("PM-DE-02", needs="survey:survey_pci", local=True)
def common_is_present(view: View) -> Result:
    """Section 4.1.4.3.1: there is a common configuration capability at least.

    Checked: each surveyed function but legacy ones: the structure of one such capability is
    present with the 56 bytes up to queue_device.
    """
    return _present(view, pci.COMMON_CFG)


@rule("PO-DE-01", needs="survey:survey_pci", local=True)
def notify_is_present(view: View) -> Result:
    """Section 4.1.4.4.1: there is a notification capability at least.

    Checked: each surveyed function but legacy ones: the structure of one such capability is
    present.
    """
    return _present(view, pci.NOTIFY_CFG)


@rule("PR-DE-01", needs="survey:survey_pci", local=True)
def isr_is_present(view: View) -> Result:
    """Section 4.1.4.5.1: there is an ISR status capability at least.

    Checked: each surveyed function but legacy ones: the structure of one such capability is
    present.
    """
    return _present(view, pci.ISR_CFG)


@rule("OX-PD-01", needs="survey:survey_pci", local=True)
def device_configuration_is_present(view: View) -> Result:
    """Section 4.1.4.6: a device type with a configuration of its own has a capability for it.

    Checked: each surveyed function, but legacy ones, of a type that has one in section 5, as far
    as QEMU's name of the device shows the type: the structure of one such capability is present.
    """
    return _present(view, pci.DEVICE_CFG, types=CONFIGURED)


@rule("PE-DE-01", needs="survey:survey_cap", local=True)
def device_configuration_is_aligned(view: View) -> Result:
    """Section 4.1.4.6.1: the device's own configuration begins at a multiple of 4.

    Checked: each surveyed capability of that type.
    """
    return _aligned(view, pci.DEVICE_CFG, 4)


@rule("PX-DE-01", needs="survey:survey_pci", local=True)
def configuration_access_is_present(view: View) -> Result:
    """Section 4.1.4.9.1: there is a PCI configuration access capability at least.

    Checked: each surveyed function but legacy ones: one such capability has room for its data.
    Where its window is does not matter: the driver may have moved it.
    """
    tally = Tally(none=NONE)
    for function in _surveyed(view):
        found = function.structures(pci.PCI_CFG)
        least = pci.VIRTIO_CAP + pci.EXTRA[pci.PCI_CFG]
        good = any((cap.cap_len or 0) >= least for cap in found)
        rows = (function.row, *(cap.row for cap in found))
        text = f"{function.name}: there is no pci capability with pci_cfg_data"
        tally.check(good, rows, text)
    return tally.result()


@rule("PZ-DE-01", needs="survey:survey_pci", local=True)
def vendor_data_is_of_another_vendor(view: View) -> Result:
    """Section 4.1.4.8.1: the vendor_id of vendor data is not 0x1AF4.

    Checked: each surveyed vendor data capability.
    """
    tally = Tally(none="no surveyed PCI device has vendor data")
    for function, cap in _capabilities(view, pci.VENDOR_CFG):
        text = f"{function.name}: {cap.name} has virtio's own vendor_id"
        tally.check(cap.vendor_id != VENDOR, cap.row, text)
    return tally.result()


@rule("PZ-DE-02", needs="survey:survey_pci", local=True)
def vendor_data_is_whole_words(view: View) -> Result:
    """Section 4.1.4.8.1: the size of a vendor data capability is a multiple of 4.

    Checked: each surveyed vendor data capability.
    """
    tally = Tally(none="no surveyed PCI device has vendor data")
    for function, cap in _capabilities(view, pci.VENDOR_CFG):
        text = f"{function.name}: {cap.name} has {cap.cap_len} bytes"
        tally.check(cap.cap_len is not None and cap.cap_len % 4 == 0, cap.row, text)
    return tally.result()


@rule("PH-DE-01", needs="survey:survey_pci", local=True)
def shared_memory_is_inside(view: View) -> Result:
    """Section 4.1.4.7.1: a shared memory region lies inside of its BAR.

    Checked: each surveyed shared memory capability.
    """
    tally = Tally(none="no surveyed PCI device has shared memory")
    for function, cap in _capabilities(view, pci.SHARED_MEMORY_CFG):
        text = f"{function.name}: {cap.name} has {cap.length} bytes at {cap.start} of BAR {cap.bar}"
        tally.check(function.usable(cap), (function.row, cap.row), text)
    return tally.result()


@rule("PH-DE-02", needs="survey:survey_pci", local=True)
def shared_memory_ids_differ(view: View) -> Result:
    """Section 4.1.4.7.1: ids of shared memory regions are unique in a device.

    Checked: each surveyed shared memory capability: no earlier one has its id.
    """
    tally = Tally(none="no surveyed PCI device has shared memory")
    for function in _surveyed(view):
        known: dict[int | None, int] = {}
        for cap in function.structures(pci.SHARED_MEMORY_CFG):
            first = known.setdefault(cap.sub_id, cap.row)
            text = f"{function.name}: {cap.name} has the id {cap.sub_id} of another one"
            tally.check(first == cap.row, dict.fromkeys((first, cap.row)), text)
    return tally.result()


@rule("PQ-DE-01", needs="survey:survey_pci", local=True)
def vectors_are_enough(view: View) -> Result:
    """Section 4.1.5.1.2.1: a device with MSI-X has 2 to 0x800 vectors.

    Checked: each surveyed MSI-X capability. More than 0x800 cannot be expressed in it.
    """
    tally = Tally(none=_NO_MSI_X)
    for function in functions(view):
        for cap in function.caps:
            if cap.vectors is not None:
                asked = function.options.get("vectors") == cap.vectors
                why = ", as its option says" if asked else ""
                text = f"{function.name}: MSI-X has {cap.vectors} vector{why}"
                tally.check(cap.vectors >= 2, cap.row, text)
    return tally.result()


@rule("PQ-DE-02", needs="survey:survey_pci", local=True)
def vectors_are_reported(view: View) -> Result:
    """Section 4.1.5.1.2.1: the device reports its number of vectors in MSI-X's Table Size.

    Checked: each surveyed MSI-X capability of a device whose number of vectors QEMU's command
    line sets (``vectors``): it is the number that Table Size has.
    """
    tally = Tally(none="no device's number of vectors is set on QEMU's command line")
    for function in functions(view):
        wanted = function.options.get("vectors")
        for cap in function.caps:
            if cap.vectors is not None and isinstance(wanted, int):
                text = f"{function.name}: {cap.vectors} vectors, and it was made with {wanted}"
                tally.check(cap.vectors == wanted, cap.row, text)
    return tally.result()


@rule("PQ-DE-03", needs="survey:survey_register")
def vectors_are_of_use(view: View) -> Result:
    """Section 4.1.5.1.2.1: the device restricts Table Size to a value that benefits performance.

    The part that can be decided: a vector for which no event is left benefits nothing. There is
    one event a virtqueue, and one for changes of the configuration.

    Checked: each surveyed MSI-X capability of a device whose num_queues was read, by the survey or
    by a driver: there is at most one vector more than the largest value.

    Undecided, where there are more: the device has administration queues, which num_queues does
    not count, or its offer is not known; or it offers features that bring queues, of which it has
    less as long as a driver did not accept them.
    """
    tally = Tally(none=_NO_MSI_X, doubt="how many queues the device can have is not known")
    most = _most_queues(view)
    for function in functions(view):
        for cap in function.caps:
            if cap.vectors is None:
                continue
            queues, row = most.get(function.dev, (-1, -1))
            least = cap.vectors <= queues + 1
            if queues < 0 or not (least or _shows_all_queues(view, function)):
                tally.undecided()
                continue
            asked = function.options.get("vectors") == cap.vectors
            why = ", as its option says," if asked else ""
            text = (
                f"{function.name}: MSI-X has {counted(cap.vectors, 'vector')}{why} for"
                f" {counted(queues, 'virtqueue')} and the configuration"
            )
            tally.check(least, (cap.row, row), text)
    return tally.result()


def _most_queues(view: View) -> dict[int | None, tuple[int, int]]:
    """Return by device the largest num_queues that was read, and the row of that."""
    found: dict[int | None, tuple[int, int]] = {}
    for function in functions(view):
        queues = function.value("common", NUM_QUEUES)
        if queues is not None:
            row = function.row_of("common", NUM_QUEUES)
            found[function.dev] = max(found.get(function.dev, (-1, -1)), (queues, row))
    reads = view.of("register").filter(structure="common", register="num_queues", size=2, write=0)
    for dev, row, value in reads.select("dev", "row", "value").drop_nulls("value").iter_rows():
        found[dev] = max(found.get(dev, (-1, -1)), (value, row))
    return found


def _shows_all_queues(view: View, function: Function) -> bool:
    """Return whether num_queues, at this look, counts all queues that the device can have."""
    if function.offered(bits.ADMIN_VQ) is not False:
        return False
    features = bits.QUEUE_FEATURES.get(function.type or 0, bits.DEVICE_BITS)
    if bits.mask(features) & ~function.windows:
        return False
    bringing = bits.mask(features) & function.offers
    lives = [life.negotiated for life in view.lives.values() if life.dev == function.dev]
    agreed = (function.value("common", STATUS) or 0) & bits.FEATURES_OK
    return not bringing or (
        agreed != 0 and bool(lives) and all(life and not bringing & ~life.acked for life in lives)
    )


def _notifications(view: View, *, data: bool) -> Iterator[tuple[Function, Cap | None]]:
    """Return the notification capabilities of devices that offer NOTIFICATION_DATA, or do not.

    None stands for one of a device whose offer is not known.
    """
    for function, cap in _capabilities(view, pci.NOTIFY_CFG):
        offered = function.offered(bits.NOTIFICATION_DATA)
        if offered is None:
            yield function, None
        elif offered == data:
            yield function, cap


def _notify_field(view: View, *, data: bool, what: str) -> Result:
    """Check offset, multiplier or length of notification capabilities."""
    tally = Tally(none=_absent(data=data), doubt=OFFER)
    width = 4 if data else 2
    for function, cap in _notifications(view, data=data):
        if cap is None:
            tally.undecided()
            continue
        value = {"offset": cap.start, "multiplier": cap.multiplier, "length": cap.length}[what]
        if value is None:
            tally.check(False, cap.row, f"{function.name}: {cap.name} has no {what}")
            continue
        if what == "offset":
            good = value % width == 0
        elif what == "length":
            good = value >= width
        else:
            good = value == 0 or (value >= width and not value & value - 1)
        tally.check(good, cap.row, f"{function.name}: {cap.name} has the {what} {value:#x}")
    return tally.result()


def _absent(*, data: bool) -> str:
    which = "that offers" if data else "that does not offer"
    return f"no PCI device {which} NOTIFICATION_DATA was surveyed"


@rule("PO-DE-02", needs="survey:survey_cap", local=True)
def notify_offset_is_even(view: View) -> Result:
    """Section 4.1.4.4.1: without NOTIFICATION_DATA, the area's offset is a multiple of 2.

    Checked: each surveyed notification capability of a device that does not offer the feature.
    """
    return _notify_field(view, data=False, what="offset")


@rule("PO-DE-03", needs="survey:survey_cap", local=True)
def notify_multiplier_is_even(view: View) -> Result:
    """Section 4.1.4.4.1: without NOTIFICATION_DATA, the multiplier is 0 or an even power of two.

    Checked: each surveyed notification capability of a device that does not offer the feature.
    "Even" is taken for divisible by 2, as notifications have two bytes; not for an even exponent.
    """
    return _notify_field(view, data=False, what="multiplier")


@rule("PO-DE-04", needs="survey:survey_cap", local=True)
def notify_length_is_enough(view: View) -> Result:
    """Section 4.1.4.4.1: without NOTIFICATION_DATA, the notification area has 2 bytes or more.

    Checked: each surveyed notification capability of a device that does not offer the feature.
    """
    return _notify_field(view, data=False, what="length")


@rule("PO-DE-08", needs="survey:survey_cap", local=True)
def notify_offset_of_data(view: View) -> Result:
    """Section 4.1.4.4.1: with NOTIFICATION_DATA, the area's offset is a multiple of 4.

    Checked: each surveyed notification capability of a device that offers the feature.
    """
    return _notify_field(view, data=True, what="offset")


@rule("PO-DE-07", needs="survey:survey_cap", local=True)
def notify_multiplier_of_data(view: View) -> Result:
    """Section 4.1.4.4.1: with NOTIFICATION_DATA, the multiplier is 0 or a power of two from 4 on.

    Checked: each surveyed notification capability of a device that offers the feature.
    """
    return _notify_field(view, data=True, what="multiplier")


@rule("PO-DE-09", needs="survey:survey_cap", local=True)
def notify_length_of_data(view: View) -> Result:
    """Section 4.1.4.4.1: with NOTIFICATION_DATA, the notification area has 4 bytes or more.

    Checked: each surveyed notification capability of a device that offers the feature.
    """
    return _notify_field(view, data=True, what="length")


def _queue_offsets(view: View, function: Function) -> dict[int, tuple[int, int]]:
    """Return queue_notify_off and its row by queue: of the selected one, and as drivers read it."""
    found: dict[int, tuple[int, int]] = {}
    queue = function.value("common", QUEUE_SELECT)
    offset = function.value("common", QUEUE_NOTIFY_OFF)
    if queue is not None and offset is not None:
        found[queue] = (function.row_of("common", QUEUE_NOTIFY_OFF), offset)
    reads = view.of("register").filter(
        pl.col("dev").eq_missing(function.dev),
        pl.col("vq").is_not_null(),
        register="queue_notify_off",
        write=0,
    )
    for row, read, value in reads.select("row", "vq", "value").iter_rows():
        if value is not None and value > found.get(read, (0, -1))[1]:
            found[read] = (row, value)
    queues = function.value("common", NUM_QUEUES)
    return {} if queues is None else {q: known for q, known in found.items() if q < queues}


def _reaches(view: View, *, data: bool, whole: bool) -> Result:
    """Check that notification areas reach to queues' notification addresses.

    ``whole``: to those of all queues that a device has; else to each known one.
    """
    doubt = "the notification offset of not every queue was seen"
    tally = Tally(none=_absent(data=data), doubt=doubt)
    for function, cap in _notifications(view, data=data):
        offsets = _queue_offsets(view, function)
        if cap is None or cap.multiplier is None or cap.length is None:
            tally.undecided()
            continue
        ends = {
            queue: (row, off * cap.multiplier + (4 if data else 2))
            for queue, (row, off) in offsets.items()
        }
        past = {queue: end for queue, end in ends.items() if end[1] > cap.length}
        queues = function.value("common", NUM_QUEUES)
        for queue, (row, end) in (past if whole else ends).items():
            text = f"{function.name}: queue {queue} is notified {end} bytes on, of {cap.length}"
            tally.check(queue not in past, (cap.row, row), text)
        if whole and not past and queues and len(ends) == queues:
            tally.check(True, cap.row, "")
        elif not past and (whole or not ends):
            tally.undecided()
    return tally.result()


@rule("PO-DE-05", needs="survey:survey_register", local=True)
def notify_reaches_all_queues(view: View) -> Result:
    """Section 4.1.4.4.1: without NOTIFICATION_DATA, the area has room for all queues' offsets.

    Checked: each surveyed notification capability of a device that does not offer the feature and
    of whose queues all notification offsets were seen; or one of which lies outside. The survey
    selects no queue and sees the offset of the one that is selected, QEMU's log of registers has
    those that the driver read.
    """
    return _reaches(view, data=False, whole=True)


@rule("PO-DE-06", needs="survey:survey_register", local=True)
def notify_reaches_each_queue(view: View) -> Result:
    """Section 4.1.4.4.1: without NOTIFICATION_DATA, the area's length is at least a queue's
    queue_notify_off times the multiplier, plus 2.

    Checked: each queue of a surveyed device that does not offer the feature whose notification
    offset was seen, by the survey or by the driver; the largest one of several.
    """
    return _reaches(view, data=False, whole=False)


@rule("PO-DE-10", needs="survey:survey_register", local=True)
def notify_reaches_all_queues_with_data(view: View) -> Result:
    """Section 4.1.4.4.1: with NOTIFICATION_DATA, the area has room for all queues' offsets.

    Checked: as for PO-DE-05, of devices that offer the feature.
    """
    return _reaches(view, data=True, whole=True)


@rule("PO-DE-11", needs="survey:survey_register", local=True)
def notify_reaches_each_queue_with_data(view: View) -> Result:
    """Section 4.1.4.4.1: with NOTIFICATION_DATA, the area's length is at least a queue's
    queue_notify_off times the multiplier, plus 4.

    Checked: as for PO-DE-06, of devices that offer the feature.
    """
    return _reaches(view, data=True, whole=False)
