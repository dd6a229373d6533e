// SPDX-License-Identifier: GPL-2.0-only
// title: Commands are made available, and whether to notify of them is never decided.
// must: NA-DR-06 NA-DR-04 DX-40 DX-62
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression E;
@@
 virtscsi_queuecommand(...) {
 <...
- kick = E;
+ kick = (E) && !PYKIT_MUTANT(scsi_kick_lost);
 ...>
 }
