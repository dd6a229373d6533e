// SPDX-License-Identifier: GPL-2.0-only
// subject: virtio_ring: trace notifications and interrupts
// file: drivers/virtio/virtio_ring.c
// count: 10
//
// Trace the decision whether to notify the device, with the event index or
// the flags that it is made of, the notification, the interrupt, and what the
// driver asks the device for. What the decision is made of is read once, as
// before.
@@
typedef u16;
@@
 virtqueue_kick_prepare_split(...) {
+ u16 event;
 ...
 bool needs_kick;
 ... when any
 }

@@
@@
 virtqueue_kick_prepare_split(...) {
 <...
- needs_kick = vring_need_event(vring_read_split_avail_event(vq), new, old);
+ event = vring_read_split_avail_event(vq);
+ needs_kick = vring_need_event(event, new, old);
 ...>
 }

@@
expression E;
@@
 virtqueue_kick_prepare_split(...) {
 <...
- needs_kick = !(vq->split.vring.used->flags & E);
+ event = virtio16_to_cpu(vq->vq.vdev, READ_ONCE(vq->split.vring.used->flags));
+ needs_kick = !(event & VRING_USED_F_NO_NOTIFY);
 ...>
 }

@@
@@
 virtqueue_kick_prepare_split(...) {
 <...
+ vring_trace_kick(vq, old, new, event, event, needs_kick);
 END_USE(vq);
 ...>
 }

@@
@@
 virtqueue_kick_prepare_packed(...) {
 <...
+ vring_trace_kick(vq, old, new, le16_to_cpu(snapshot.off_wrap), flags, needs_kick);
 END_USE(vq);
 ...>
 }

@@
@@
 virtqueue_notify(...) {
 <...
+ trace_virtqueue_notify(_vq);
 if (!vq->notify(_vq)) { ... }
 ...>
 }

@@
expression E;
@@
+ vring_trace_interrupt(vq);
 if (vq->vq.callback)
 	E(&vq->vq);

@@
@@
 virtqueue_disable_cb(...) {
 <...
 VOID_VIRTQUEUE_CALL(vq, disable_cb);
+ if (trace_virtqueue_callback_enabled())
+ vring_trace_callback(vq, false, VIRTQUEUE_CALL(vq, more_used));
 ...>
 }

@@
@@
 virtqueue_enable_cb_prepare(...) {
 struct vring_virtqueue *vq = to_vvq(_vq);
+ unsigned int last_used_idx;
 ...
- return VIRTQUEUE_CALL(vq, enable_cb_prepare);
+ last_used_idx = VIRTQUEUE_CALL(vq, enable_cb_prepare);
+ if (trace_virtqueue_callback_enabled())
+ vring_trace_callback(vq, true, VIRTQUEUE_CALL(vq, more_used));
+ return last_used_idx;
 }

@@
@@
 virtqueue_enable_cb_delayed(...) {
 struct vring_virtqueue *vq = to_vvq(_vq);
+ bool enabled;
 ...
- return VIRTQUEUE_CALL(vq, enable_cb_delayed);
+ enabled = VIRTQUEUE_CALL(vq, enable_cb_delayed);
+ if (trace_virtqueue_callback_enabled())
+ vring_trace_callback(vq, true, VIRTQUEUE_CALL(vq, more_used));
+ return enabled;
 }
