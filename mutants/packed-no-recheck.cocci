// SPDX-License-Identifier: GPL-2.0-only
// title: The used descriptor is not looked at again after interrupts were enabled.
// must: DX-66 DX-40
// bug: B03
// ring: packed
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
+ return !PYKIT_MUTANT(packed_no_recheck) && (E);
 }

// The device wins the race: it returns a chain between the last look and the enabling.
@@
expression Q;
@@
 virtqueue_enable_cb_prepare_packed(...) {
 <...
 START_USE(Q);
+if (PYKIT_MUTANT(packed_no_recheck)) { int n; for (n = 0; n < 200 && vq->vq.num_free < vq->packed.vring.num && !more_used_packed(vq); n++) udelay(100); }
 ...>
 }
