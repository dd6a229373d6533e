# SPDX-License-Identifier: GPL-2.0-only
"""Observe a guest from outside: the access tracer, the ring watcher, and what each cannot see."""
