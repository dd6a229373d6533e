// SPDX-License-Identifier: GPL-2.0-only
// subject: virtio_ring: define trace events
// file: drivers/virtio/virtio_ring.c
// count: 2
//
// A virtqueue that stands still, or a buffer that never comes back, is looked
// for with printks, or with kprobes at offsets that differ from kernel to
// kernel: neither the head nor the index of a buffer is an argument of any
// function that can be hooked.
//
// Define trace events for what a driver does to its virtqueues and finds
// there. They carry what stands in the ring, so that the trace shows which
// side has to act.
@@
@@
 #include <xen/xen.h>
+
+#define CREATE_TRACE_POINTS
+#include <trace/events/virtio_ring.h>

@@
@@
 virtqueue_is_in_order(...) { ... }
+
+#include "virtio_ring_trace.h"
