# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Read by steps of benches whose guest's clock counts instructions, after lib.sh: when the CPU is
# idle, from where the idle task goes to sleep to the interrupt that wakes it. The kernel's own
# account of that in /proc/timer_list is not there on all kernels.

IDLE=$TRACING/instances/idle

# watch_idle KB: begin, with so much of buffer for each CPU; beside the events whose cost is measured
watch_idle() {
	[ -d $IDLE ] || mkdir $IDLE || die "no second trace buffer"
	echo mono >$IDLE/trace_clock
	echo $1 >$IDLE/buffer_size_kb
	for event in power/cpu_idle irq/irq_handler_entry irq_vectors; do
		echo 1 >$IDLE/events/$event/enable || die "no event $event"
	done
}

# spent: how long it was from begin to end, and how long of that the CPU was idle, in ns
spent() {
	lost=$(cat $IDLE/per_cpu/cpu*/stats | awk '/^overrun:/ { n += $2 } END { print n + 0 }')
	[ $lost = 0 ] || die "$lost events of idle times were overwritten" >&2
	awk '/^#/ { next }
		match($0, /[0-9]+\.[0-9]+: /) { split(substr($0, RSTART, RLENGTH - 2), at, ".")
			# Without the 1, busybox takes 012000 for octal.
			now = at[1] * 1e9 + ((1 at[2]) - 1000000) * 1e3 }
		/: begin$/ { began = now }
		/ state=4294967295 |_entry: / { if (began && since) idle += now - since; since = 0; next }
		/ state=/ { if (began) since = now; next }
		/: end$/ { if (began) { printf "%.0f %.0f\n", now - began, idle; printed = 1 } }
		END { exit !printed }' $IDLE/trace || die "the trace of idle times has no begin and end" >&2
}
