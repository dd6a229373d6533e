#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Install what pykit needs: missing Debian packages in one apt call, then the
# virtual environment. Ends with 3 and the list of packages where that fails.
# Plain sh, because a fresh machine may have no Python yet.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
table=$root/tools/packages.tsv
venv=$root/.venv
tab=$(printf '\t')
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*" >&2; }

# have CHECK: does this machine satisfy a check of the table?
have() {
	case $1 in
	*:venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
	*/*)
		for file in $(printf '%s' "$1" | tr '|' ' '); do
			[ -e "$file" ] && return 0
		done
		return 1 ;;
	*) command -v "$1" >/dev/null 2>&1 ;;
	esac
}

# missing COLUMN: the packages of one distribution that are not satisfied
missing() {
	grep -v '^#' "$table" | while IFS=$tab read -r check _ debian fedora arch; do
		have "$check" && continue
		case $1 in debian) echo "$debian" ;; fedora) echo "$fedora" ;; arch) echo "$arch" ;; esac
	done | sort -u | tr '\n' ' '
}

give_up() {
	say "$1"
	say "  Debian, Ubuntu: apt-get install $(missing debian)"
	say "  Fedora:         dnf install $(missing fedora)"
	say "  Arch:           pacman -S $(missing arch)"
	say "then run the same command again."
	exit 3
}

packages=$(missing debian)
if [ -n "$packages" ]; then
	[ -r /etc/debian_version ] && command -v apt-get >/dev/null 2>&1 ||
		give_up "these packages are missing, and this is no Debian on which they could be installed:"
	as_root=
	if [ "$(id -u)" != 0 ]; then
		as_root="sudo -n"
		sudo -n true 2>/dev/null ||
			give_up "these packages are missing, and installing them needs root or sudo without a password:"
	fi
	export DEBIAN_FRONTEND=noninteractive
	say "installing: $packages"
	# A machine that has never updated its lists knows no package at all.
	if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
		$as_root apt-get update -q >&2 || give_up "apt-get update failed:"
	fi
	$as_root apt-get install -q -y --no-install-recommends $packages >&2 || {
		# A list that is too old names versions that the mirror no longer has.
		$as_root apt-get update -q >&2 &&
		$as_root apt-get install -q -y --no-install-recommends $packages >&2
	} || give_up "apt-get install failed:"
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
	{ say "python3 is $(python3 -V 2>&1), pykit needs 3.11 or newer: install one"; exit 3; }

stamp=$venv/.ready
want=$(cat "$root/pyproject.toml" "$root/requirements.lock" | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
	say "virtual environment in .venv"
	python3 -m venv "$venv" ||
		{ say "python3 -m venv failed: see above"; exit 3; }
	pip="$venv/bin/python -m pip install -q --disable-pip-version-check"
	# setuptools first: with it at hand pip needs no second environment to build in.
	$pip -c "$root/requirements.lock" setuptools >&2 &&
	$pip -c "$root/requirements.lock" --no-build-isolation -e "${root}[dev]" >&2 ||
		{ say "pip could not install pykit's packages: see above; is PyPI reachable?"; exit 3; }
	printf '%s\n' "$want" >"$stamp"
fi
