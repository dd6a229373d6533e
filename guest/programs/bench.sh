# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Read by every step of the driver bench, after lib.sh and a line that sets IOS, how many
# requests are measured at a time.

echo 0 >$TRACING/events/pykit/enable
cd /tmp || die "no /tmp"

# When the CPU is idle, beside the events whose cost is measured: from where the idle task goes
# to sleep to the interrupt that wakes it. The kernel's own account of that in /proc/timer_list
# is not there on all kernels.
IDLE=$TRACING/instances/idle
[ -d $IDLE ] || mkdir $IDLE || die "no second trace buffer"
echo mono >$IDLE/trace_clock
echo 8192 >$IDLE/buffer_size_kb
for event in power/cpu_idle irq/irq_handler_entry irq_vectors; do
	echo 1 >$IDLE/events/$event/enable || die "no event $event"
done

# drive DRIVER: have it drive the device
drive() {
	for now in /sys/bus/virtio/drivers/virtio_blk /sys/bus/virtio/drivers/pykit_virtio_blk; do
		for device in $now/virtio*; do
			[ -e $device ] || continue
			device=${device##*/}
			echo $device >$now/unbind || die "unbind failed"
			echo $device >/sys/bus/virtio/drivers/$1/bind || die "$1 does not take $device"
			break 2
		done
	done
	# shellcheck disable=SC2034 # disk reads it
	DRIVER=$1
	disk=$(disk) || die "no disk of $1"
	queue=/sys/block/${disk#/dev/}/queue
	echo none >$queue/scheduler || die "no scheduler none"
}

# spent: how long it was from begin to end, and how long of that the CPU was idle, in ns
spent() {
	awk '/^#/ { next }
		match($0, /[0-9]+\.[0-9]+: /) { split(substr($0, RSTART, RLENGTH - 2), at, ".")
			# Without the 1, busybox takes 012000 for octal.
			now = at[1] * 1e9 + ((1 at[2]) - 1000000) * 1e3 }
		/: begin$/ { began = now }
		/ state=4294967295 |_entry: / { if (began && since) idle += now - since; since = 0; next }
		/ state=/ { if (began) since = now; next }
		/: end$/ { if (began) { printf "%.0f %.0f\n", now - began, idle; told = 1 } }
		END { exit !told }' $IDLE/trace
}

# measure MODE WORKLOAD: a line of figures
measure() {
	echo >$TRACING/trace
	echo >$IDLE/trace
	said=$(fio --minimal --name=job --filename=$disk --direct=1 --ioengine=libaio --iodepth=16 \
		--bs=4k --rw=$2 --number_ios=$IOS --thread --gtod_reduce=1 --aux-path=/tmp \
		--exec_prerun="sh -c 'echo begin >$IDLE/trace_marker'" \
		--exec_postrun="sh -c 'echo end >$IDLE/trace_marker'") ||
		die "fio: $said"
	entries=$(cat $TRACING/per_cpu/cpu*/stats |
		awk '/^entries:|^overrun:/ { n += $2 } END { print n + 0 }')
	lost=$(cat $IDLE/per_cpu/cpu*/stats | awk '/^overrun:/ { n += $2 } END { print n + 0 }')
	[ $lost = 0 ] || die "$lost events of idle times were overwritten"
	figures=$(spent) || die "the trace of idle times has no begin and end"
	rate=$(echo "$said" | awk -F ';' 'NF > 50 { print $8 + $49 }')
	echo "sample $1 $2 $rate $figures $entries"
}

# limits: what the block layer was told, in one line
limits() {
	for name in $queue/*; do
		[ -f $name ] && value=$(cat $name 2>/dev/null) && printf '%s=%s;' ${name##*/} "$value"
	done
	echo
}
