#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What runs in the guest: takes the name of a step from the host, runs that
# script of the payload, answers with its exit code. Speaks over a serial port,
# never over virtio. Plain sh: busybox and dash alike. Variables that come with
# a step are in its environment, and stay there for those after it.
#
# A step is a subshell, which has lib.sh from here: a shell of its own that reads
# it anew takes 12 ms under TCG, a fork takes 3.
#
# agent.sh NONCE PAYLOAD [PORT]
#
# Lines to the host:  NONCE hello | NONCE ready | NONCE out TEXT |
#                     NONCE done STEP RC UPTIME
# Lines from it:      NONCE step STEP [VARIABLE=VALUE ...] |
#                     NONCE beside STEP [VARIABLE=VALUE ...] | NONCE off
# The nonce keeps lines of another run, or of the kernel, from being taken for ours.
#
# Who reads the lines does no step, but for one beside another: a step that a driver
# never lets go cannot even be killed, and what was traced up to there has to come out.

nonce=$1
PAYLOAD=$2
TRACING=/sys/kernel/tracing
export PAYLOAD TRACING
# For lib.sh's ready, in the step.
PYKIT_NONCE=$nonce
PYKIT_PORT=${3:-/dev/ttyS1}
export PYKIT_NONCE PYKIT_PORT

exec 3<>"$PYKIT_PORT" || exit 1
stty raw -echo <&3
[ -e "$TRACING/trace_clock" ] || mount -t tracefs tracefs "$TRACING"

# shellcheck source=guest/agent/lib.sh
. "$PAYLOAD/lib.sh"

# said FILE: its last 20 lines, to the host; seldom are there more
said() {
	lines=
	count=0
	while IFS= read -r text || [ -n "$text" ]; do
		count=$((count + 1))
		[ $count -le 20 ] || break
		lines="$lines$nonce out $text
"
	done <"$1"
	if [ $count -le 20 ]; then
		printf %s "$lines"
	else
		tail -n 20 "$1" | sed "s/^/$nonce out /"
	fi
}

output=/tmp/pykit-step.$$

# perform OUTPUT LINE: do the line's step
perform() {
	output=$1
	# Words without white space: no value has any.
	set -f
	set -- $2
	set +f
	step=$3
	shift 3
	# shellcheck disable=SC2163 # the arguments are NAME=VALUE
	[ $# = 0 ] || export "$@"
	set --
	# shellcheck source=/dev/null
	(. "$PAYLOAD/steps/$step") >"$output" 2>&1 3>&- </dev/null
	rc=$?
	[ ! -s "$output" ] || said "$output" >&3
	read -r uptime _ </proc/uptime
	echo "$nonce done $step $rc $uptime" >&3
}

echo "$nonce hello" >&3
while IFS= read -r line <&3; do
	case $line in
	"$nonce beside "*)
		perform "$output.beside" "$line" ;;
	"$nonce step "* | "$nonce off")
		echo "$line" ;;
	esac
	[ "$line" != "$nonce off" ] || break
done | while IFS= read -r line; do
	[ "$line" != "$nonce off" ] || break
	perform "$output" "$line"
done
rm -f "$output"
