// SPDX-License-Identifier: GPL-2.0-only
/*
 * Brings the BPF programs into the kernel, and attaches those whose function is there.
 *
 * Operations on queues are hooked by their names in BTF. Operations of a transport have the
 * same names in several files and too many arguments on some kernels: they are hooked by the
 * addresses in the transport's own table.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define MAX_SYMBOLS	32
#define MAX_HOOKS	256

/* The object file of the programs is part of this one. */
__asm__(".section .rodata\n.balign 8\n.global bpf_begin, bpf_end\n"
	"bpf_begin:\n.incbin \"" BPF_OBJECT "\"\nbpf_end:\n.previous\n");
extern const char bpf_begin[], bpf_end[];

static const char *const tables[] = {
	"virtio_pci_config_ops", "virtio_pci_config_nodev_ops", "virtio_mmio_config_ops",
	"virtio_vdpa_config_ops",
};

/* What notifies a device, by transport; see the programs of the same names. */
static const char *const notifiers[] = {
	"vp_notify", "vp_notify_with_data", "vm_notify", "vm_notify_with_data",
};

/* Functions of the core that are hooked by address, too. */
static const struct {
	const char *name;
	u32 op;
} core[] = {
	{ "virtio_dev_probe", OP_PROBE },
	{ "virtio_dev_remove", OP_REMOVE },
	{ "virtio_device_freeze", OP_FREEZE },
	{ "virtio_device_restore", OP_RESTORE },
	{ "virtio_config_changed", OP_CONFIG_CHANGED },
	{ "__virtqueue_break", OP_BREAK },
	{ "__virtqueue_unbreak", OP_UNBREAK },
	{ "virtio_break_device", OP_BREAK_ALL },
	{ "__virtio_unbreak_device", OP_UNBREAK_ALL },
	{ "vring_del_virtqueue", OP_DEL_QUEUE },
};

/* Which program runs at the entry to an operation, and which at the return from it. */
static const struct {
	const char *in;
	const char *out;
} programs[] = {
	[OP_GET] = { "op_in", "op_out" },
	[OP_SET] = { "op_in", NULL },
	[OP_GENERATION] = { "op_in", "op_out" },
	[OP_GET_STATUS] = { "op_in", "op_out" },
	[OP_SET_STATUS] = { "op_in", "features_out" },
	[OP_RESET] = { "op_in", NULL },
	[OP_FIND_VQS] = { "op_in", "queues_out" },
	[OP_DEL_VQS] = { "queues_in", NULL },
	[OP_GET_FEATURES] = { "op_in", "features_out" },
	[OP_GET_EXTENDED] = { "op_in", "features_out" },
	[OP_FINALIZE] = { "op_in", "features_out" },
	[OP_DISABLE_VQ] = { "queues_in", NULL },
	[OP_ENABLE_VQ] = { "op_in", "queues_out" },
	[OP_PROBE] = { "driver_in", "driver_out" },
	[OP_REMOVE] = { "driver_in", "driver_out" },
	[OP_FREEZE] = { "driver_in", "driver_out" },
	[OP_RESTORE] = { "driver_in", "driver_out" },
	[OP_CONFIG_CHANGED] = { "driver_in", "driver_out" },
	[OP_BREAK] = { "broken_in", "driver_out" },
	[OP_UNBREAK] = { "broken_in", "driver_out" },
	[OP_BREAK_ALL] = { "broken_in", "driver_out" },
	[OP_UNBREAK_ALL] = { "broken_in", "driver_out" },
	[OP_DEL_QUEUE] = { "queues_in", NULL },
};

struct symbol {
	char name[64];
	u64 address;
};

/* Variables that say where memory is: see struct layout. */
static const char direct_base[] = "page_offset_base", pages_base[] = "vmemmap_base";

static struct symbol symbols[MAX_SYMBOLS];
static u32 symbol_count;

void debug(const char *form, ...)
{
	static int on = -1;
	struct timespec now;
	va_list args;

	if (on < 0)
		on = !!getenv("PYKIT_RECORD_DEBUG");
	if (!on)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(stderr, "pykit-record: %lld.%03ld ", (long long)now.tv_sec,
		now.tv_nsec / 1000000);
	va_start(args, form);
	vfprintf(stderr, form, args);
	va_end(args);
	fputc('\n', stderr);
}

static int is_wanted(const char *name)
{
	u32 i;

	if (!strcmp(name, direct_base) || !strcmp(name, pages_base))
		return 1;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!strcmp(name, tables[i]))
			return 1;
	for (i = 0; i < sizeof(notifiers) / sizeof(notifiers[0]); i++)
		if (!strcmp(name, notifiers[i]))
			return 1;
	for (i = 0; i < sizeof(core) / sizeof(core[0]); i++)
		if (!strcmp(name, core[i].name))
			return 1;
	return 0;
}

/* Note the addresses of what is hooked; a name may stand for two functions. */
static int read_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], name[256];
	unsigned long long address;

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		/* Most lines begin with something else: a scan of each takes a second. */
		char *third = strchr(line, ' ');

		if (!third || strlen(third) < 4 || !strchr("v_p", third[3]))
			continue;
		if (sscanf(line, "%llx %*c %255s", &address, name) != 2 || !is_wanted(name))
			continue;
		if (symbol_count == MAX_SYMBOLS)
			break;
		strcpy(symbols[symbol_count].name, name);
		symbols[symbol_count++].address = address;
	}
	fclose(file);
	return 0;
}

/* Whether the kernel has a function, with BTF, in itself or in one of the core's modules. */
struct types {
	struct btf *btf[8];
	u32 count;
};

static void read_types(struct types *types)
{
	static const char *const modules[] = {
		"virtio", "virtio_ring", "virtio_pci", "virtio_mmio",
	};
	struct btf *base = btf__load_vmlinux_btf(), *own;
	u32 i;

	if (!base)
		return;
	types->btf[types->count++] = base;
	for (i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		own = btf__load_module_btf(modules[i], base);
		if (own)
			types->btf[types->count++] = own;
	}
}

static int has_function(const struct types *types, const char *name)
{
	u32 i;

	for (i = 0; i < types->count; i++)
		if (btf__find_by_name_kind(types->btf[i], name, BTF_KIND_FUNC) > 0)
			return 1;
	return 0;
}

static int quiet(enum libbpf_print_level level, const char *form, va_list args)
{
	if (!getenv("PYKIT_RECORD_DEBUG"))
		return 0;
	return level == LIBBPF_DEBUG && !getenv("PYKIT_RECORD_LIBBPF") ?
		0 : vfprintf(stderr, form, args);
}

/* Load the programs. Returns 0 or a negative error: -ENOENT where there is nothing to hook. */
int load(struct loaded *loaded, u32 buffer_mib)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "pykit_record");
	struct bpf_program *program;
	struct types types = {};
	u32 i;
	int err;

	libbpf_set_print(quiet);
	read_symbols();
	debug("%u symbols", symbol_count);
	read_types(&types);
	debug("%u BTF", types.count);
	if (!has_function(&types, "virtqueue_get_buf"))
		return -ENOENT;
	loaded->object = bpf_object__open_mem(bpf_begin, bpf_end - bpf_begin, &opts);
	if (!loaded->object)
		return -errno;
	bpf_map__set_max_entries(bpf_object__find_map_by_name(loaded->object, "records"),
				 buffer_mib << 20);
	bpf_object__for_each_program(program, loaded->object) {
		const char *name = strchr(bpf_program__section_name(program), '/');

		if (name && !has_function(&types, name + 1)) {
			debug("no %s", name + 1);
			bpf_program__set_autoload(program, false);
		}
	}
	for (i = 0; i < types.count; i++)
		btf__free(types.btf[types.count - 1 - i]);
	debug("loading");
	err = bpf_object__load(loaded->object);
	debug("loaded: %d", err);
	return err;
}

/* An event of the kernel's that runs a program at an address. */
static int open_kprobe(u64 address, int at_return)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config2 = address,
		.config = at_return,	/* format/retprobe: the lowest bit, on every kernel */
	};
	FILE *file = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	int known = file && fscanf(file, "%u", &attr.type) == 1;

	if (file)
		fclose(file);
	if (!known)
		return -ENOENT;
	return syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

static int add_link(struct loaded *loaded, struct bpf_link *link)
{
	if (!link)
		return -errno;
	if (loaded->count == sizeof(loaded->links) / sizeof(loaded->links[0]))
		return -ENOSPC;
	loaded->links[loaded->count++] = link;
	return 0;
}

static int attach_at(struct loaded *loaded, const char *name, u64 address, u32 op, int at_return)
{
	LIBBPF_OPTS(bpf_perf_event_opts, opts, .bpf_cookie = op);
	struct bpf_program *program;
	int fd;

	program = bpf_object__find_program_by_name(loaded->object, name);
	fd = open_kprobe(address, at_return);
	if (fd < 0) {
		fprintf(stderr, "pykit-record: operation %u cannot be hooked: %s\n", op,
			strerror(errno));
		return -errno;
	}
	return add_link(loaded, bpf_program__attach_perf_event_opts(program, fd, &opts));
}

/* Hook one function, unless it was hooked before: two tables may share it. */
static int attach_op(struct loaded *loaded, u64 address, u32 op)
{
	static struct { u64 address; u32 op; } hooked[MAX_HOOKS];
	static u32 count;
	u32 i;
	int err;

	for (i = 0; i < count; i++)
		if (hooked[i].address == address && hooked[i].op == op)
			return 0;
	if (!address || count == MAX_HOOKS)
		return 0;
	hooked[count].address = address;
	hooked[count++].op = op;
	err = programs[op].out ? attach_at(loaded, programs[op].out, address, op, 1) : 0;
	if (!err)
		err = attach_at(loaded, programs[op].in, address, op, 0);
	debug("operation %u at %#llx: %d", op, (unsigned long long)address, err);
	return err;
}

static int attach_table(struct loaded *loaded, u64 table)
{
	int map = bpf_object__find_map_fd_by_name(loaded->object, "looks");
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct look look = { .table = table };
	struct bpf_program *program;
	u32 zero = 0, op;
	int err;

	program = bpf_object__find_program_by_name(loaded->object, "look_up");
	err = bpf_map_update_elem(map, &zero, &look, BPF_ANY) ?:
	      bpf_prog_test_run_opts(bpf_program__fd(program), &opts) ?:
	      bpf_map_lookup_elem(map, &zero, &look);
	for (op = 0; op < OPS && !err; op++)
		err = attach_op(loaded, look.functions[op], op);
	return err;
}

static int note_notifier(struct loaded *loaded, u64 address)
{
	int map = bpf_object__find_map_fd_by_name(loaded->object, "notifiers");
	u32 one = 1;

	return bpf_map_update_elem(map, &address, &one, BPF_ANY);
}

static int note_layout(struct loaded *loaded)
{
	int map = bpf_object__find_map_fd_by_name(loaded->object, "layouts");
	struct layout layout = {};
	u32 zero = 0, i;

	for (i = 0; i < symbol_count; i++) {
		if (!strcmp(symbols[i].name, direct_base))
			layout.direct = symbols[i].address;
		else if (!strcmp(symbols[i].name, pages_base))
			layout.pages = symbols[i].address;
	}
	return bpf_map_update_elem(map, &zero, &layout, BPF_ANY);
}

/* Attach the programs, those last that begin a queue's record. Returns 0 or an error. */
int attach(struct loaded *loaded)
{
	struct bpf_program *program;
	int err = note_layout(loaded);
	u32 i, j;

	for (i = 0; i < symbol_count && !err; i++) {
		const struct symbol *s = &symbols[i];

		for (j = 0; j < sizeof(tables) / sizeof(tables[0]); j++)
			if (!err && !strcmp(s->name, tables[j]))
				err = attach_table(loaded, s->address);
		for (j = 0; j < sizeof(core) / sizeof(core[0]); j++)
			if (!err && !strcmp(s->name, core[j].name))
				err = attach_op(loaded, s->address, core[j].op);
		for (j = 0; j < sizeof(notifiers) / sizeof(notifiers[0]); j++)
			if (!err && !strcmp(s->name, notifiers[j]))
				err = note_notifier(loaded, s->address);
	}
	bpf_object__for_each_program(program, loaded->object) {
		const char *section = bpf_program__section_name(program);

		if (err || !strchr(section, '/') || !bpf_program__autoload(program))
			continue;
		err = add_link(loaded, bpf_program__attach(program));
		debug("%s: %d", section, err);
		if (err)
			fprintf(stderr, "pykit-record: %s cannot be hooked: %s\n",
				strchr(section, '/') + 1, strerror(-err));
	}
	return err;
}

/* Detach all, then record the last number of each queue. */
void detach(struct loaded *loaded)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	struct bpf_program *leave;

	while (loaded->count)
		bpf_link__destroy(loaded->links[--loaded->count]);
	debug("detached");
	leave = bpf_object__find_program_by_name(loaded->object, "leave");
	bpf_prog_test_run_opts(bpf_program__fd(leave), &opts);
}

/* How many events are missing: those that were counted, and runs that the kernel left out. */
u64 count_losses(const struct loaded *loaded)
{
	static const char *const reasons[LOSSES] = {
		[LOST_FULL] = "no room in the buffer",
		[LOST_QUEUES] = "too many queues",
		[LOST_LONG] = "a chain too long",
		[LOST_NOTIFY] = "a notification that is not hooked",
		[LOST_READS] = "memory that cannot be read",
		[LOST_RETURNS] = "the return from an operation",
	};
	int map = bpf_object__find_map_fd_by_name(loaded->object, "losses");
	struct bpf_program *program;
	u64 lost, all = 0;
	u32 i;

	for (i = 0; i < LOSSES; i++) {
		if (bpf_map_lookup_elem(map, &i, &lost) || !lost)
			continue;
		fprintf(stderr, "pykit-record: %llu lost: %s\n", (unsigned long long)lost,
			reasons[i]);
		all += lost;
	}
	bpf_object__for_each_program(program, loaded->object) {
		struct bpf_prog_info info = {};
		u32 size = sizeof(info);

		if (bpf_program__fd(program) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			continue;
		if (info.recursion_misses)
			fprintf(stderr, "pykit-record: %llu lost: %s interrupted itself\n",
				(unsigned long long)info.recursion_misses,
				bpf_program__name(program));
		all += info.recursion_misses;
	}
	return all;
}
