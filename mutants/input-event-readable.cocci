// SPDX-License-Identifier: GPL-2.0-only
// title: A buffer for an event of an input device is given to it to read.
// must: IP-DR-01
// ring: both
// file: drivers/virtio/virtio_input.c
// scenario: mutant-others
// count: 1
@@
expression Q, S, N, D, G;
@@
 virtinput_queue_evtbuf(...) {
 <...
- virtqueue_add_inbuf(Q, S, N, D, G);
+ if (PYKIT_MUTANT(input_event_readable)) virtqueue_add_outbuf(Q, S, N, D, G); else virtqueue_add_inbuf(Q, S, N, D, G);
 ...>
 }

// Later kernels.
@@
expression Q, S, N, D, G;
@@
 virtinput_queue_evtbuf(...) {
 <...
- virtqueue_add_inbuf_cache_clean(Q, S, N, D, G);
+ if (PYKIT_MUTANT(input_event_readable)) virtqueue_add_outbuf(Q, S, N, D, G); else virtqueue_add_inbuf_cache_clean(Q, S, N, D, G);
 ...>
 }
