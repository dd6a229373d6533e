# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Read by every step of the driver bench, after lib.sh, idle.sh and a line that sets IOS, how many
# requests are measured at a time.

echo 0 >$TRACING/events/pykit/enable
cd /tmp || die "no /tmp"
watch_idle 8192

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
	figures=$(spent) || exit 1
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
