// SPDX-License-Identifier: GPL-2.0-only
// title: A field of 32 bits is read byte by byte.
// must: PL-DR-03
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression E;
@@
 virtscsi_probe(...) {
 <...
+ if (PYKIT_MUTANT(scsi_config_by_bytes)) { u8 byte; vdev->config->get(vdev, offsetof(struct virtio_scsi_config, seg_max), &byte, 1); }
 num_targets = E;
 ...>
 }
