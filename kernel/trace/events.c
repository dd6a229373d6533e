// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events of the system "pykit", defined once for all modules that
 * emit them.
 */
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include <trace/events/pykit.h>

#include <pykit_passed.h>

EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_driver);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_features);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_status);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_config);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_generation);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_config_change);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_queue);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_add);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_desc);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_slot);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_add_failed);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_kick);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_notify);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_interrupt);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_stray);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_used);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_compared);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_callback);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_detach);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_quiet);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_opening);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_reply);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_start);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_range);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_answer);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_zone);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_wrote);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_done);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_blk_passed);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_attach);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_queue);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_get);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_used);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_signal);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_notify);
EXPORT_TRACEPOINT_SYMBOL_GPL(pykit_vhost_blk);

static int __init pykit_trace_init(void)
{
	pykit_passed_init();
	return 0;
}

static void __exit pykit_trace_exit(void)
{
	pykit_passed_exit();
}

module_init(pykit_trace_init);
module_exit(pykit_trace_exit);

MODULE_DESCRIPTION("Trace events of virtio drivers and devices");
MODULE_LICENSE("GPL");
