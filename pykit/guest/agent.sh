#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What runs in the guest: takes the name of a step from the host, runs that
# script of the payload, answers with its exit code. Speaks over a serial port,
# never over virtio. Plain sh: busybox and dash alike. Variables that come with
# a step are in its environment, and stay there for those after it.
#
# agent.sh NONCE PAYLOAD
#
# Lines to the host:  NONCE hello | NONCE ready | NONCE out TEXT |
#                     NONCE done STEP RC UPTIME
# Lines from it:      NONCE step STEP [VARIABLE=VALUE ...] | NONCE off
# The nonce keeps lines of another run, or of the kernel, from being taken for ours.

nonce=$1
PAYLOAD=$2
TRACING=/sys/kernel/tracing
export PAYLOAD TRACING
# For lib.sh's ready, in the step.
PYKIT_NONCE=$nonce
export PYKIT_NONCE

exec 3<>/dev/ttyS1 || exit 1
stty raw -echo <&3
[ -e "$TRACING/trace_clock" ] || mount -t tracefs tracefs "$TRACING"

output=/tmp/pykit-step.$$
echo "$nonce hello" >&3
while IFS= read -r line <&3; do
	case $line in
	"$nonce step "*)
		# Words without white space: no value has any.
		set -f
		set -- ${line#"$nonce step "}
		set +f
		step=$1
		shift
		[ $# = 0 ] || export "$@"
		sh "$PAYLOAD/steps/$step" >"$output" 2>&1 3>&- </dev/null
		rc=$?
		[ ! -s "$output" ] || tail -n 20 "$output" | while IFS= read -r text; do
			printf '%s out %s\n' "$nonce" "$text"
		done >&3
		read -r uptime _ </proc/uptime
		echo "$nonce done $step $rc $uptime" >&3 ;;
	"$nonce off")
		break ;;
	esac
done
rm -f "$output"
