// SPDX-License-Identifier: GPL-2.0-only
// title: The driver writes max_lun, which is the device's.
// must: DX-98
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression E;
@@
 virtscsi_probe(...) {
 <...
+ if (PYKIT_MUTANT(scsi_max_lun_written)) { u32 most = cpu_to_le32(1); vdev->config->set(vdev, offsetof(struct virtio_scsi_config, max_lun), &most, sizeof(most)); }
 num_targets = E;
 ...>
 }
