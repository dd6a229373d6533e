# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
#
# The step of the bench of I/O paths, after lib.sh and idle.sh. The host gives PLACE, the address on
# PCI of the device or "loopback"; DEPTH, THREADS, REQUESTS and TIME, how much is read; and WATCH:
# "no", "doorbells" or "idle".

# the_disk: the block device at a place
the_disk() {
	case $PLACE in
	loopback) under='/sys/bus/virtio/drivers/virtio_blk/virtio*' ;;
	*) under=/sys/bus/pci/devices/$PLACE/ ;;
	esac
	for folder in $under; do
		[ $PLACE != loopback ] || case $(readlink -f $folder) in
			*/pci*) continue ;;
		esac
		found=$(find $folder/ -name queue 2>/dev/null | head -n 1)
		[ -n "$found" ] || continue
		found=${found%/queue}
		# One of the ways to a disk of NVMe, nvme0c0n1, has the disk nvme0n1 before it.
		echo ${found##*/} | sed 's/^\(nvme[0-9]*\)c[0-9]*n/\1n/'
		return 0
	done
	return 1
}

# interrupts: how many came of the device so far
interrupts() {
	if [ $PLACE = loopback ]; then
		lines=IWI
	else
		lines=$(ls /sys/bus/pci/devices/$PLACE/msi_irqs 2>/dev/null ||
			cat /sys/bus/pci/devices/$PLACE/irq)
		# A controller of IDE in its old mode is on no line of PCI.
		[ "$lines" != 0 ] || lines=14
	fi
	awk -v lines="$(echo $lines)" '
		BEGIN { n = split(lines, names, " "); for (i = 1; i <= n; i++) mine[names[i] ":"] = 1 }
		NR == 1 { cpus = NF }
		$1 in mine { for (i = 2; i <= cpus + 1; i++) sum += $i }
		END { print sum + 0 }' /proc/interrupts
}

# doorbells: how often a driver notified a device so far
doorbells() { awk '/pykit_bell/ { sum += $2 } END { print sum + 0 }' $TRACING/kprobe_profile; }

name=
waited 'name=$(the_disk)' || die "no disk at $PLACE"
waited "true </dev/$name" || die "cannot open /dev/$name"
echo none >/sys/block/$name/queue/scheduler || die "no scheduler none for $name"
marker=
case $WATCH in
doorbells)
	echo 1 >$TRACING/events/kprobes/enable
	rang=$(doorbells)
	;;
idle)
	watch_idle 16384
	echo >$IDLE/trace
	marker=$IDLE/trace_marker
	;;
esac
came=$(interrupts)
"$PAYLOAD/bin/iopath" /dev/$name $DEPTH $THREADS $REQUESTS $TIME $marker || die "iopath failed"
echo "interrupts $(($(interrupts) - came))"
case $WATCH in
doorbells)
	echo 0 >$TRACING/events/kprobes/enable
	echo "doorbells $(($(doorbells) - rang))"
	;;
idle)
	figures=$(spent) || die "no idle times"
	echo "span ${figures% *}"
	echo "idle ${figures#* }"
	;;
esac
