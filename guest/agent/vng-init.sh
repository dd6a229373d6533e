# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# The first process of a guest of virtme-ng's, in place of its own, which has udev look at every
# device and waits for that. The host puts lines before these that set NONCE, PAYLOAD and BUSYBOX.
#
# The host's files come one by one over 9p, which keeps none of them: each program that is started
# would come anew, with all its libraries. So busybox does what it can, and those that the scenario
# needs come from a disk, as where QEMU boots directly.

$BUSYBOX mount -t proc proc /proc
$BUSYBOX mount -t sysfs sysfs /sys
$BUSYBOX mount -t devtmpfs devtmpfs /dev 2>/dev/null
$BUSYBOX mount -t tmpfs tmpfs /run
$BUSYBOX mkdir /run/pykit /run/bin /run/programs
$BUSYBOX cp $BUSYBOX /run/bin/busybox
/run/bin/busybox --install -s /run/bin
export PATH=/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# The payload may be in /tmp, which is to be the guest's own.
mount -o bind "$PAYLOAD" /run/pykit
mount -t tmpfs tmpfs /tmp
if [ -s /run/pykit/boot-modules ]; then
	while read -r module; do
		insmod "/run/pykit/modules/$module"
	done </run/pykit/boot-modules
	tries=0
	while [ ! -b /dev/nvme0n1 ] && [ $tries -lt 200 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
	mount -t ext4 -o ro,noload /dev/nvme0n1 /run/programs
	libraries=
	for folder in /run/programs/usr/lib /run/programs/usr/lib64 /run/programs/usr/lib/*-linux-gnu; do
		[ ! -d $folder ] || libraries=$libraries:$folder
	done
	export LD_LIBRARY_PATH=${libraries#:}
	for program in /run/programs/usr/bin/* /run/programs/usr/sbin/*; do
		[ ! -e $program ] || mount -o bind $program /usr/${program#/run/programs/usr/}
	done
fi
sh /run/pykit/agent.sh "$NONCE" /run/pykit
poweroff -f
