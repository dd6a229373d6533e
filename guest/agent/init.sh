#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# /init of the small initramfs: mounts, the programs' disk if there is one, the agent.

/bin/busybox mkdir -p /proc /sys /dev /tmp /mnt /usr /lib /lib64 /programs /run
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s /bin

# receive: wait until this guest is a copy; then the run that it is for brings its files. They come
# with the line "NONCE receive SECONDS", as the clock has stood since the template was made.
receive() {
	exec 3<>"$PORT"
	stty raw -echo <&3
	echo "$NONCE hello" >&3
	read -r _ _ now <&3
	exec 3>&-
	date -s "@$now" >/dev/null
	# shellcheck source=guest/agent/lib.sh
	. /pykit/lib.sh
	tries=0
	while ! shared_memory && [ $tries -lt 1000 ]; do
		sleep 0.01
		tries=$((tries + 1))
	done
	/pykit/bin/receive "$resource" | cpio -idu 'pykit/*' 2>/tmp/received ||
		cat /tmp/received
}

for module in $(cat /pykit/boot-modules); do
	insmod "/pykit/modules/$module"
done
# shellcheck source=/dev/null
. /pykit/nonce
if [ ! -e /pykit/agent.sh ]; then
	receive
	# shellcheck source=/dev/null
	. /pykit/nonce
fi
if [ -e /pykit/programs ]; then
	# Not a virtio disk: the transport under test carries nothing of ours.
	tries=0
	while [ ! -b /dev/nvme0n1 ] && [ $tries -lt 200 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
	mount -t ext4 -o ro,noload /dev/nvme0n1 /programs
fi
# Where no such disk can be, the initramfs has them.
if [ -d /programs/usr ]; then
	for folder in usr lib lib64; do
		mount -o bind "/programs/$folder" "/$folder"
	done
fi
sh /pykit/agent.sh "$NONCE" /pykit "$PORT"
poweroff -f
