# SPDX-License-Identifier: GPL-2.0-only
#
# Read by every step before its own lines. DRIVER is the virtio driver of the
# scenario's first device.

set -u

# die MESSAGE: end the step; the host shows the message
die() { echo "$*"; exit 1; }

# ready: have the host do, now, what the step asks of it beside these lines
ready() { echo "$PYKIT_NONCE ready" >/dev/ttyS1; }

# disk: the block device of the driver under test, waited for up to 10 s
disk() {
	tries=0
	while [ $tries -lt 200 ]; do
		for name in /sys/bus/virtio/drivers/$DRIVER/virtio*/block/*; do
			name=${name##*/}
			[ -b "/dev/$name" ] && { echo "/dev/$name"; return 0; }
		done
		tries=$((tries + 1))
		sleep 0.05
	done
	return 1
}

# virtio_device: its name on the virtio bus
virtio_device() {
	for name in /sys/bus/virtio/drivers/$DRIVER/virtio*; do
		[ -e "$name" ] && { echo "${name##*/}"; return 0; }
	done
	return 1
}
