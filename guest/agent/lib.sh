# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# Read by the agent, for all steps: each of them has it. The host gives DRIVER, the
# virtio driver of the scenario's first device, and COUNT, the scenario's count.

set -u

# die MESSAGE: end the step; the host shows the message
die() { echo "$*"; exit 1; }

# ready: have the host do, now, what the step asks of it beside these lines
ready() { echo "$PYKIT_NONCE ready" >"$PYKIT_PORT"; }

# shared_memory: put the file of the memory that host and guest share into $resource, switched on.
# Without a program: each costs a fork and, over 9p, a way to the host.
shared_memory() {
	for resource in /sys/bus/pci/devices/*/resource2; do
		[ -e $resource ] || continue
		device=${resource%/*}
		read -r vendor <$device/vendor
		read -r model <$device/device
		[ $vendor:$model = 0x1af4:0x1110 ] || continue
		echo 1 >$device/enable
		[ ! -e ${resource}_wc ] || resource=${resource}_wc
		return 0
	done
	return 1
}

# waited CONDITION: run it until it holds, for up to 20 s
waited() {
	tries=0
	while ! eval "$1" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 400 ] || return 1
		sleep 0.05
	done
}

# disk: the block device of the driver under test, waited for up to 10 s
disk() {
	tries=0
	while [ $tries -lt 200 ]; do
		for name in /sys/bus/virtio/drivers/$DRIVER/virtio*/block/*; do
			name=${name##*/}
			# The name is there before the disk can be opened (ENXIO until then).
			[ -b "/dev/$name" ] && { true <"/dev/$name"; } 2>/dev/null &&
				{ echo "/dev/$name"; return 0; }
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

# mmio bind|unbind SLOT: have the transport's driver take or let go the device in a slot of
# QEMU's microvm machine, whose ACPI table calls it VR00, VR01, …, or of its machine virt, whose
# device tree has the address: 32 slots of 512 bytes
mmio() {
	device=$(printf /sys/bus/platform/devices/%x.virtio_mmio $((0xa000000 + $2 * 0x200)))
	slot=$2
	[ -e $device ] || acpi_slot $2
	echo ${device##*/} >/sys/bus/platform/drivers/virtio-mmio/$1 || die "cannot $1 slot $slot"
}

# acpi_slot SLOT: put the device in a slot of microvm into $device, and its ACPI name into $slot
acpi_slot() {
	slot=VR$(printf %02d $1)
	for device in /sys/bus/platform/devices/LNRO0005:*; do
		read -r path <$device/firmware_node/path || die "no virtio-mmio device here"
		[ "${path##*.}" != $slot ] || break
	done
	[ "${path##*.}" = $slot ] || die "no device in slot $slot"
}

# rebind [PARAMETER=VALUE ...]: part the first device from its driver and join them again,
# with these parameters of the driver's module
rebind() {
	bound=$(virtio_device) || die "no device is bound to $DRIVER"
	echo "$bound" >/sys/bus/virtio/drivers/$DRIVER/unbind || die "unbind failed"
	for given; do
		echo "${given#*=}" >/sys/module/$DRIVER/parameters/"${given%%=*}" ||
			die "the driver does not take $given"
	done
	echo "$bound" >/sys/bus/virtio/drivers/$DRIVER/bind
}

# leaks: end with 1 and what kmemleak suspects of ours, where the kernel has it
leaks() {
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	suspects=/sys/kernel/debug/kmemleak
	[ -e $suspects ] || { echo "leaks: this kernel has no kmemleak"; return 0; }
	# What was just allocated counts after a while only, and the second time it is found.
	echo scan >$suspects
	sleep 6
	echo scan >$suspects
	all=$(grep -c '^unreferenced object' $suspects)
	# Not ours: the name of a cache of objects that has no memory for its directory
	# (sysfs_slab_add() in mm/slub.c).
	awk '/^unreferenced object/ { if (mine && !theirs) printf "%s", text; text = mine = theirs = "" }
		/pykit/ { mine = 1 } /sysfs_slab_add/ { theirs = 1 } { text = text $0 "\n" }
		END { if (mine && !theirs) printf "%s", text }' $suspects >/tmp/leaks
	ours=$(grep -c '^unreferenced object' /tmp/leaks)
	echo "leaks: kmemleak suspects $all objects, pykit on the stack of $ours"
	[ "$ours" = 0 ] || { tail -n 18 /tmp/leaks; return 1; }
}

# join WAY BACK-END [KEY=VALUE]...: a virtio device with a back-end in this guest
join() {
	"$PAYLOAD/bin/loopback" "$@" >/tmp/loopback.out 2>&1 &
	echo $! >/tmp/loopback.pid
	[ $1 = vduse ] || return 0
	tries=0
	while [ ! -e /dev/vduse/loop0 ]; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || die "no VDUSE device: $(cat /tmp/loopback.out)"
		sleep 0.05
	done
	vdpa dev add name loop0 mgmtdev vduse || die "cannot add the device to the vDPA bus"
}

# leave [SIGNAL]: end that, and wait up to 20 s until the device has gone
leave() {
	[ ! -e /dev/vduse/loop0 ] || vdpa dev del loop0 || die "cannot delete the device"
	kill -${1:-TERM} "$(cat /tmp/loopback.pid)"
	tries=0
	while [ -n "$(virtio_device)" ]; do
		tries=$((tries + 1))
		[ $tries -lt 400 ] || die "the device never went: $(cat /tmp/loopback.out)"
		sleep 0.05
	done
}

# filesystem DISK: a new one brings back what it was given, also when it was mounted anew, and
# is sound
filesystem() {
	mkdir -p /tmp/mnt /tmp/files
	cp /usr/bin/fio /usr/sbin/mkfs.ext4 /tmp/files/
	for n in 1 2 3 4 5 6 7 8; do
		head -c $((n * n * 4999)) /dev/urandom >/tmp/files/$n
		head -c $((n * 17)) /dev/urandom >/tmp/files/tiny$n
	done
	(cd /tmp/files && sha256sum *) >/tmp/sums
	mkfs.ext4 -q -F $1 || die "mkfs failed"
	mount -t ext4 $1 /tmp/mnt || die "mount failed"
	cp /tmp/files/* /tmp/mnt/ || die "copying failed"
	umount /tmp/mnt || die "umount failed"
	echo 3 >/proc/sys/vm/drop_caches
	mount -t ext4 $1 /tmp/mnt || die "the second mount failed"
	(cd /tmp/mnt && sha256sum -c /tmp/sums) >/tmp/checked || die "changed: $(grep -v OK /tmp/checked)"
	bytes=$(find /tmp/mnt -type f -exec cat {} + | wc -c)
	umount /tmp/mnt || die "the second umount failed"
	fsck.ext4 -f -n $1 >/tmp/fsck.out 2>&1 || die "fsck: $(tail -n 3 /tmp/fsck.out)"
	echo "filesystem: $(wc -l </tmp/checked) files of $bytes bytes, all checksums right when mounted again"
}

# busy DISK: random reads and writes, in the background, of which 20 are done on return
busy() {
	fio --name=busy --filename=$1 --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw \
		--bs=4k --time_based --runtime=60 --thread --aux-path=/tmp --minimal \
		>/tmp/fio.out 2>&1 &
	fio=$!
	while read -r _ _ _ _ writes _ </sys/block/${1#/dev/}/stat && [ "$writes" -lt 20 ]; do
		kill -0 $fio 2>/dev/null || die "fio ended early: $(cat /tmp/fio.out)"
		sleep 0.02
	done
}

# none_stuck: within 10 s no task waits that cannot be interrupted
none_stuck() {
	tries=0
	while stuck=$(grep -l '^State:	D' /proc/[0-9]*/status 2>/dev/null); do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || die "stuck: $(cat ${stuck%%status*}stack)"
		sleep 0.1
	done
}

# refusing: have memory refused to whom aim aims at; for kernels with fault injection
refusing() {
	mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
	for kind in failslab fail_page_alloc fail_usercopy; do
		cd /sys/kernel/debug/$kind || die "this kernel has no fault injection: use --kernel debug-…"
		[ ! -e ignore-gfp-wait ] || echo N >ignore-gfp-wait
		echo 0 >verbose
		[ ! -e min-order ] || echo 0 >min-order
	done
	cd /
	# Where they are, once: the list of symbols is long.
	for function in register_irq_proc remap_pfn_range vp_find_vqs_msix; do
		awk -v name=$function '$3 == name { start = $1 }
			start && $1 != start { print start, $1; exit }' /proc/kallsyms >/tmp/$function
		[ -s /tmp/$function ] || die "this kernel has no $function()"
	done
}

# spare FUNCTION ATTRIBUTE: it is refused nothing below that function of the kernel's
spare() {
	read -r start end </tmp/$1
	echo 0x$start >/sys/kernel/debug/$2/reject-start
	echo 0x$end >/sys/kernel/debug/$2/reject-end
}

# aim MODULE PERCENT: only what has one of its functions on the stack
aim() {
	# Not ours: an entry of /proc/irq that could not be made is removed all the same, and the
	# kernel warns of that; so it does of a mapping of all memory that has no page tables, and
	# it has hundreds, each like the one before (untrack_pfn() in arch/x86/mm/pat/memtype.c).
	spare register_irq_proc failslab
	case $1 in
	pykit_loopback | pykit_vhost) spare remap_pfn_range fail_page_alloc ;;
	*) spare register_irq_proc fail_page_alloc ;;
	esac
	start=$(cat /sys/module/$1/sections/.text)
	size=$(awk -v name=$1 '$1 == name { print $2 }' /proc/modules)
	within $start "$(printf '0x%x' $((start + size)))" $2
}

# calm: nothing is refused by chance, and fail-nth counts all there is
calm() { within 0 0xffffffffffffffff 0; }

# within START END PERCENT: only what has a function of there on the stack
within() {
	for kind in failslab fail_page_alloc fail_usercopy; do
		cd /sys/kernel/debug/$kind || die "this kernel has no $kind"
		# First: half of a new range and half of the old one may be the whole kernel.
		[ $kind = fail_usercopy ] || echo 0 >probability
		echo "$1" >require-start
		echo "$2" >require-end
		[ $kind = fail_usercopy ] || echo $3 >probability
		echo -1 >./times
	done
	cd /
}

# aim_once MODULE PERCENT: the same for one allocation of each kind, any; but for what a transport
# sets up for its interrupts. The kernel warns of a descriptor that it could not enter into its
# tree, and uses it all the same (irq_insert_desc() in kernel/irq/irqdesc.c).
aim_once() {
	aim $1 $2
	for kind in failslab fail_page_alloc; do
		spare vp_find_vqs_msix $kind
		echo 1 >/sys/kernel/debug/$kind/times
	done
}
