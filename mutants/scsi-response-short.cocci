// SPDX-License-Identifier: GPL-2.0-only
// title: A SCSI request has no room for all of its response.
// must: SC-DR-01
// ring: both
// file: drivers/scsi/virtio_scsi.c
// scenario: mutant-scsi
// count: 1
@@
expression R;
@@
 __virtscsi_add_cmd(...) {
 <...
- sg_init_one(&R, &cmd->resp, resp_size);
+ sg_init_one(&R, &cmd->resp, PYKIT_MUTANT(scsi_response_short) ? 16 : resp_size);
 ...>
 }
