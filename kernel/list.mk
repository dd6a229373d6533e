# SPDX-License-Identifier: GPL-2.0-only
#
# The names of the modules that Kbuild has for the kernel of KDIR, without building
# any: make -f kernel/list.mk KDIR=...

-include $(KDIR)/include/config/auto.conf
srctree := $(firstword $(wildcard $(KDIR)/source) $(KDIR))
src := .
obj := .
include Kbuild

.PHONY: list
.DEFAULT_GOAL :=
list:
	@echo $(obj-m:.o=)
.DEFAULT_GOAL := list
