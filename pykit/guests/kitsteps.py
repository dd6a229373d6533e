# SPDX-License-Identifier: GPL-2.0-only
"""The kit's own steps in the guest, as shell: modules in and out, tracing, the capture out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

#: The step that loads modules, the one that ends tracing and brings the capture out (with what
#: is the same in all captures of a guest, $LASTING, the kernel's symbols, $SYMBOLS, what its
#: tasks wait for, $TASKS, and in pages of the guest's own memory, $PAGES: yes or no),
#: and the one that binds or unbinds ($ACT) the device in a slot ($SLOT) where there is no hot-plug.
LOAD, CARRY, BIND = "pykit-load", "pykit-carry", "pykit-bind"
#: Of a guest that is used again: the step that lets modules go ($OLD), takes others ($NEW) and
#: begins a trace.
BEGIN = "pykit-begin"
#: The step that prints which memory of devices the kernel has mapped.
MAPPED = "pykit-mapped"
#: The step that prints which of virtio-mmio's slots the kernel reported errors of.
REPORTED = "pykit-reported"
#: Lines that come with the step itself ($SCRIPT, in base64).
SHELL = "pykit-shell"

#: Parameters of our modules, by module.
Parameters = dict[str, dict[str, str]]

#: $MUTANT is module:number, or empty where the kernel's modules are its own. Number 0 is no mutant:
#: its module need not be loaded.
ACTIVATE_LINES = """
[ -z "$MUTANT" ] || {
	for switch in /sys/module/*/parameters/pykit_mutant; do
		echo 0 >$switch
		echo 0 >${switch}_reached
	done
	[ ${MUTANT#*:} = 0 ] || echo ${MUTANT#*:} >/sys/module/${MUTANT%:*}/parameters/pykit_mutant
} || die "cannot activate mutant $MUTANT"
"""

CARRY_LINES = """
cd "$TRACING" || die "no tracefs"
echo 0 > tracing_on
for reached in /sys/module/*/parameters/pykit_mutant_reached; do
	[ ! -e $reached ] || { read -r times <$reached; echo "reached $times"; }
done
read -r ended _ </proc/uptime
echo "ended $ended"
if [ "$PAGES" = yes ]; then
	resource="--pages /tmp/pykit-carried"
else
	shared_memory || die "no shared memory to bring the capture out through"
fi
lasting="events/header_page events/header_event events/pykit/*/format"
[ "$LASTING" = yes ] || lasting=
for file in $lasting trace_clock saved_cmdlines per_cpu/cpu*/trace_pipe_raw per_cpu/cpu*/stats; do
	[ ! -e "$file" ] || echo "$PWD/$file	tracing/$file"
done >/tmp/pykit-carry
# What a step had the recorder write (pykit record).
[ ! -e /tmp/record.dat ] || echo "/tmp/record.dat	record.dat" >>/tmp/pykit-carry
[ "$SYMBOLS" != yes ] || echo "/proc/kallsyms	kallsyms" >>/tmp/pykit-carry
[ "$TASKS" != yes ] || for task in /proc/[0-9]*/task/[0-9]*; do
	# One may have ended meanwhile, and not every kernel shows stacks.
	for file in status stack; do
		[ ! -e $task/$file ] || echo "$task/$file	tasks/${task##*/}/$file"
	done
done >>/tmp/pykit-carry
[ "$TASKS" != yes ] || echo "/proc/self/status	tasks/self/status" >>/tmp/pykit-carry
"$PAYLOAD/bin/carry" $resource </tmp/pykit-carry
"""

#: Where no device can be plugged, those that are there from power-on are kept from their
#: transport's driver until the scenario plugs them (lib.sh's mmio).
HOLD = "echo 0 >/sys/bus/platform/drivers_autoprobe\n"
LET_GO = """
for device in /sys/bus/platform/drivers/virtio-mmio/LNRO* \
	/sys/bus/platform/drivers/virtio-mmio/*.virtio_mmio; do
	[ ! -e $device ] || echo ${device##*/} >/sys/bus/platform/drivers/virtio-mmio/unbind
done
echo 1 >/sys/bus/platform/drivers_autoprobe
"""
BIND_LINES = "mmio $ACT $SLOT\n"

#: The size of a page (AT_PAGESZ), and each mapping by ioremap(): on one line, as the agent brings
#: few. Nothing where the kernel has no such list.
MAPPED_LINES = r"""
[ -r /proc/vmallocinfo ] || exit 0
page=$(od -An -v -t u8 /proc/self/auxv | while read -r type value; do
	[ "$type" != 6 ] || echo "$value"
done)
area='^[^ ]* *\([0-9]*\) \([^ +]*\).* phys=0x\([0-9a-f]*\) .*ioremap.*'
echo "mapped $page" $(sed -n "s/$area/\3:\1:\2/p" /proc/vmallocinfo)
"""

#: Whether all of the kernel's log is there yet, and for each slot that the kernel knows its address
#: and how many lines of level error or worse name its device (dev_err()).
REPORTED_LINES = r"""
dmesg -r >/tmp/pykit-log || exit 1
awk 'FNR == NR {
		if (NF == 3 && $3 ~ /^(virtio-mmio|LNRO0005)/) {
			split($1, at, "-")
			place[$3] = at[1]
		}
		next
	}
	/Linux version/ { whole = 1 }
	/^<[0-3]>/ { for (name in place) if (index($0, " " name ": ")) errors[name]++ }
	END {
		printf "reported %d", whole
		for (name in place) printf " %s:%d", place[name], errors[name]
		print ""
	}' /proc/iomem /tmp/pykit-log
"""
SHELL_LINES = 'eval "$(echo "$SCRIPT" | base64 -d)"\n'

# $OLD and $NEW: names and parameters apart by colons, modules by semicolons. No value that a
# module of ours takes has any of the two, nor white space.
BEGIN_LINES = (
    """
cd "$TRACING" || die "no tracefs"
echo 0 >tracing_on
IFS=';'
for name in $OLD; do
	rmmod $name || die "cannot unload $name"
done
for item in $NEW; do
	(
		IFS=:
		set -- $item
		file=$1
		shift
		[ -d /sys/module/${file%.ko} ] || insmod "$PAYLOAD/modules/$file" "$@"
	) || die "cannot load ${item%%:*}"
done
unset IFS
"""
    + ACTIVATE_LINES
    + """
echo >trace
echo 1 >tracing_on
"""
)


def begin_tracing(buffer_kb: int) -> str:
    """Lines that begin tracing, with ``buffer_kb`` KiB of buffer for each CPU."""
    return f"""
cd "$TRACING" || die "no tracefs"
echo 0 > tracing_on
echo mono > trace_clock
echo {buffer_kb} > buffer_size_kb || die "no memory for the trace buffer"
echo 1 > events/pykit/enable || die "pykit_trace.ko has no events"
echo 1 > tracing_on
"""


def load_theirs(name: str) -> str:
    """Lines that load one of the kernel's own modules, by its file's name."""
    loaded = f"/sys/module/{module_of(name)}"
    return f'[ -d {loaded} ] || insmod "$PAYLOAD/modules/{name}" || die "cannot load {name}"\n'


def require_driver(name: str, modules: Sequence[str]) -> str:
    """Lines that end the step unless one of the user's ``modules`` registered a driver of that
    name; none without such modules.
    """
    if not modules:
        return ""
    return f"""
[ -d /sys/bus/virtio/drivers/{shlex.quote(name)} ] || {{
	there=
	for link in {" ".join(f"/sys/module/{module}/drivers/virtio:*" for module in modules)}; do
		[ ! -e $link ] || there="$there --driver ${{link##*/virtio:}}"
	done
	die "{", ".join(modules)}: no virtio driver {name} is registered:${{there:- by no module}}"
}}
"""


def load_ours(path: Path, buffer_kb: int, *parameters: Parameters) -> str:
    """Lines that load one of our modules; the one with the tracepoints begins tracing."""
    given = [item for by in parameters for item in by.get(path.stem, {}).items()]
    own = " ".join(shlex.quote(f"{key}={value}") for key, value in given)
    line = f'insmod "$PAYLOAD/modules/{path.name}" {own} || die "cannot load {path.name}"\n'
    # Before any driver is there, so that not one event is missed.
    return line + begin_tracing(buffer_kb) if path.stem == "pykit_trace" else line


def module_of(file: str) -> str:
    """What the kernel calls a module by its file's name."""
    return Path(file).stem.replace("-", "_")


def last_lines(text: str) -> str:
    """Return the end of a step's output, on one line."""
    return " | ".join(text.splitlines()[-2:])
