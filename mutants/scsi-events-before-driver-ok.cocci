// SPDX-License-Identifier: GPL-2.0-only
// title: Event buffers are notified of before DRIVER_OK.
// must: IN-DR-08
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression V;
@@
 virtscsi_probe(...) {
 <...
+ if (PYKIT_MUTANT(scsi_events_before_driver_ok)) virtscsi_kick_event_all(vscsi);
 virtio_device_ready(V);
 ...>
 }
