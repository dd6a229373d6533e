// SPDX-License-Identifier: GPL-2.0-only
// title: An event buffer has no room for an event.
// must: SC-DR-02
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression R, E, S;
@@
 virtscsi_kick_event(...) {
 <...
- sg_init_one(R, E, S);
+ sg_init_one(R, E, PYKIT_MUTANT(scsi_event_short) ? 4 : S);
 ...>
 }
