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

for module in $(cat /pykit/boot-modules); do
	insmod "/pykit/modules/$module"
done
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
# shellcheck source=/dev/null
. /pykit/nonce
sh /pykit/agent.sh "$NONCE" /pykit "$PORT"
poweroff -f
