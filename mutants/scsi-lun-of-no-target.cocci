// SPDX-License-Identifier: GPL-2.0-only
// title: The lun field of a command begins with 0.
// must: DX-94
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression C;
@@
 virtio_scsi_init_hdr(...) {
 <...
- C->lun[0] = 1;
+ C->lun[0] = !PYKIT_MUTANT(scsi_lun_of_no_target);
 ...>
 }
