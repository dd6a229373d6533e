# SPDX-License-Identifier: GPL-2.0-only
#
# Read by every step of the driver bench, after lib.sh and a line that sets IOS, how many
# requests are measured at a time.

echo 0 >$TRACING/events/pykit/enable
cd /tmp || die "no /tmp"

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
	DRIVER=$1
	disk=$(disk) || die "no disk of $1"
	queue=/sys/block/${disk#/dev/}/queue
	echo none >$queue/scheduler || die "no scheduler none"
}

# clock FILE: the time, and how long the CPUs were idle, in ns
clock() {
	awk '/^now at/ { now = $3 }
		/_sleeptime/ { idle += $(NF - 1); seen = 1 }
		END { if (!seen) exit 1; printf "%.0f %.0f\n", now, idle }' $1 ||
		die "/proc/timer_list does not tell of idle time"
}

# measure MODE WORKLOAD: a line of figures
measure() {
	echo >$TRACING/trace
	said=$(fio --minimal --name=job --filename=$disk --direct=1 --ioengine=libaio --iodepth=16 \
		--bs=4k --rw=$2 --number_ios=$IOS --thread --gtod_reduce=1 --aux-path=/tmp \
		--exec_prerun="cat /proc/timer_list" --exec_postrun="cat /proc/timer_list") ||
		die "fio: $said"
	entries=$(cat $TRACING/per_cpu/cpu*/stats |
		awk '/^entries:|^overrun:/ { n += $2 } END { print n + 0 }')
	# What the function says when it dies is in what it gave.
	before=$(clock job.prerun.txt) || die "$before"
	after=$(clock job.postrun.txt) || die "$after"
	rate=$(echo "$said" | awk -F ';' 'NF > 50 { print $8 + $49 }')
	echo "sample $1 $2 $rate $before $after $entries"
}

# limits: what the block layer was told, in one line
limits() {
	for name in $queue/*; do
		[ -f $name ] && value=$(cat $name 2>/dev/null) && printf '%s=%s;' ${name##*/} "$value"
	done
	echo
}
