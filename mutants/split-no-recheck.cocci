// SPDX-License-Identifier: GPL-2.0-only
// title: The used index is not looked at again after interrupts were enabled.
// must: DX-17
// ring: split
// file: drivers/virtio/virtio_ring.c
// count: 2
// scenario: mutant-waiting
@@
expression E;
@@
 virtqueue_poll(...) {
 ...
 virtio_mb(...);
- return E;
+ return !PYKIT_MUTANT(split_no_recheck) && (E);
 }

// The device wins the race: it returns a chain between the last look and the enabling.
@@
expression Q;
@@
 virtqueue_enable_cb_prepare_split(...) {
 <...
 START_USE(Q);
+if (PYKIT_MUTANT(split_no_recheck)) mdelay(4);
 ...>
 }
