// SPDX-License-Identifier: GPL-2.0-only
/*
 * The access tracer: every access of the guest to ring memory and to the registers of virtio
 * devices, in program order. A plugin for QEMU's TCG, version 1 of the API (QEMU 7.2) and later.
 *
 * -plugin access.so,target=NAME,out=RECORDS,ram=FILE,base=ADDRESS,rings=SOCKET[,mmio=FIRST-END]
 *         [,log=FILE]
 *
 * target is QEMU's name of the machine's architecture, as in qemu-system-NAME, for which the rest
 * was chosen: base, an address, is where the guest's memory begins, which ram is.
 * mmio says where transports of MMIO are: they share pages, so QEMU names no region for them.
 * log is QEMU's own, read where a status register is a port, as accesses to ports are not shown.
 *
 * Nearly all accesses are to pages without any ring. A vCPU remembers those pages as its TLB
 * remembers translations, by virtual address, and forgets them when the guest flushes its TLB:
 * so the guest cannot come to a ring by a page that is remembered.
 */
#include "access.h"
#include "api.h"
#include "code.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	VCPUS = 256,
	REMEMBERED = 1024,
	PAGE_BITS = 12,
	PC_BITS = 48,
	/* Where registers are in their page: a device's status, and what enables a queue. */
	COMMON_STATUS = 0x14, COMMON_ENABLE = 0x1c, COMMON_MASK = 0xfff,
	MMIO_STATUS = 0x70, MMIO_READY = 0x44, MMIO_PFN = 0x40, MMIO_MASK = 0x1ff,
};

/* What the loader reads, after version_choose() has run. */
EXPORT int qemu_plugin_version = 1;

static struct vcpu {
	uint64_t epoch;		/* 0 where a port was written since the last access */
	uint64_t other[REMEMBERED];
} vcpus[VCPUS];

/* Counts the answers of rings.c; what was remembered before one is void. */
static uint64_t epoch = 1;
/* Accesses of which QEMU could not say where they went. */
static uint64_t unresolved;
static uint64_t one_counter;
static uint64_t mmio_first, mmio_end;
static bool reads_log;
static code_reader_t code_reader;
static const char *const mmio_region = "virtio-mmio";
static qemu_plugin_u64 counters;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void version_choose(void)
{
	if (qemu_plugin_mem_get_value)
		qemu_plugin_version = 4;
	else if (qemu_plugin_scoreboard_new)
		qemu_plugin_version = 2;
}

static uint64_t now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_REALTIME, &at);
	return at.tv_sec * UINT64_C(1000000000) + at.tv_nsec;
}

/* Instructions before this one, which is back from its block's end. */
static uint64_t instructions(unsigned int vcpu, unsigned int back)
{
	uint64_t until = counters.score ? qemu_plugin_u64_get(counters, vcpu) : one_counter;

	return until - back;
}

static void forget(unsigned int vcpu, void *unused)
{
	(void)unused;
	memset(vcpus[vcpu].other, 0xff, sizeof(vcpus[vcpu].other));
}

static void ask_for_rings(uint64_t register_address, unsigned int vcpu)
{
	bool answered = rings_ask(register_address);

	if (answered) {
		record_put(&(struct record){ .kind = RECORD_RINGS });
		chains_end(now(), vcpu);
	}
	/* Accesses to a ring that is not known are not seen. */
	if (!answered || !rings_all_known())
		record_put(&(struct record){ .kind = RECORD_LOST, .value = 1 });
	record_flush();
	__atomic_add_fetch(&epoch, 1, __ATOMIC_RELEASE);
}

static bool may_move_rings(const char *region, uint64_t address)
{
	uint64_t at = address & MMIO_MASK;

	if (region == mmio_region)
		return at == MMIO_STATUS || at == MMIO_READY || at == MMIO_PFN;
	at = address & COMMON_MASK;
	return !strncmp(region, "virtio-pci-common", 17) &&
	       (at == COMMON_STATUS || at == COMMON_ENABLE);
}

static void tell(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address,
		 const char *region, uintptr_t where)
{
	/* The upper bits of a program counter repeat the last one below. */
	struct record record = {
		.ts = now(),
		.insns = instructions(vcpu, where >> PC_BITS),
		.pc = (uint64_t)((int64_t)(where << (64 - PC_BITS)) >> (64 - PC_BITS)),
		.address = address,
		.kind = region ? RECORD_REGISTER : RECORD_RING,
		.cpu = vcpu,
		.size = 1u << qemu_plugin_mem_size_shift(info),
		.flags = qemu_plugin_mem_is_store(info) ? RECORD_WRITE : 0,
	};

	if (qemu_plugin_mem_get_value && record.size <= sizeof(record.value)) {
		record.value = qemu_plugin_mem_get_value(info).data.u64;
		if (record.size < sizeof(record.value))
			record.value &= (UINT64_C(1) << record.size * 8) - 1;
		record.flags |= RECORD_VALUE | RECORD_EXACT;
	} else if (!region && memory_value(address, record.size, &record.value)) {
		record.flags |= RECORD_VALUE;
	}
	pthread_mutex_lock(&lock);
	if (region)
		record.region = record_region(region);
	record_put(&record);
	if (!region)
		chains_accessed(&record);
	else if (record.flags & RECORD_WRITE && may_move_rings(region, address))
		ask_for_rings(address, vcpu);
	pthread_mutex_unlock(&lock);
}

static const char *virtio_region(const struct qemu_plugin_hwaddr *where, uint64_t address)
{
	const char *name;

	if (mmio_first <= address && address < mmio_end)
		return mmio_region;
	name = qemu_plugin_hwaddr_device_name(where);
	return strncmp(name, "virtio-", 7) ? NULL : name;
}

static void on_epoch(unsigned int vcpu, uint64_t current)
{
	struct vcpu *self = &vcpus[vcpu];
	bool port = !self->epoch;

	if (!port)
		forget(vcpu, NULL);
	self->epoch = current;
	if (!port)
		return;
	pthread_mutex_lock(&lock);
	if (log_shows_status())
		ask_for_rings(0, vcpu);
	pthread_mutex_unlock(&lock);
}

/* Accesses to pages not known to be without rings. Apart: on_access() saves no registers. */
static __attribute__((noinline)) void look(unsigned int vcpu, qemu_plugin_meminfo_t info,
					   uint64_t vaddr, void *userdata)
{
	uint64_t address, current = __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
	uint64_t page = vaddr >> PAGE_BITS;
	struct qemu_plugin_hwaddr *where;
	const char *region;

	if (vcpus[vcpu].epoch != current)
		on_epoch(vcpu, current);
	where = qemu_plugin_get_hwaddr(info, vaddr);
	if (!where) {
		__atomic_add_fetch(&unresolved, 1, __ATOMIC_RELAXED);
		return;
	}
	address = qemu_plugin_hwaddr_phys_addr(where);
	if (qemu_plugin_hwaddr_is_io(where)) {
		region = virtio_region(where, address);
		if (region)
			tell(vcpu, info, address, region, (uintptr_t)userdata);
		return;
	}
	if (rings_hold(address))
		tell(vcpu, info, address, NULL, (uintptr_t)userdata);
	else if (!rings_on_page(address))
		vcpus[vcpu].other[page % REMEMBERED] = page;
}

static void on_access(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr,
		      void *userdata)
{
	const struct vcpu *self = &vcpus[vcpu];
	uint64_t page = vaddr >> PAGE_BITS;

	if (self->other[page % REMEMBERED] != page ||
	    self->epoch != __atomic_load_n(&epoch, __ATOMIC_ACQUIRE))
		look(vcpu, info, vaddr, userdata);
}

/* The next access of this vCPU comes after the port was written, and so after QEMU logged it. */
static void on_port(unsigned int vcpu, void *unused)
{
	(void)unused;
	vcpus[vcpu].epoch = 0;
}

static struct code code_of(const struct qemu_plugin_insn *insn)
{
	uint8_t copy[CODE_BYTES] = { 0 };
	size_t size = qemu_plugin_insn_size(insn);
	const uint8_t *bytes = qemu_plugin_insn_data(insn, copy, sizeof(copy));

	if (qemu_plugin_version >= 3)
		bytes = copy;
	return code_reader(bytes, size, qemu_plugin_insn_vaddr(insn));
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (counters.score)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
								  counters, n);
	else
		qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
							 &one_counter, n);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t pc = qemu_plugin_insn_vaddr(insn);
		uint64_t low = pc & ((UINT64_C(1) << PC_BITS) - 1);
		struct code code = code_of(insn);

		if (reads_log && code.writes_port)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_port,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		if (code.forgets)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, forget,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		if (code.misses_rings)
			continue;
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, QEMU_PLUGIN_CB_NO_REGS,
						 QEMU_PLUGIN_MEM_RW,
						 (void *)(uintptr_t)((n - i) << PC_BITS | low));
	}
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *unused)
{
	(void)id;
	(void)unused;
	if (unresolved)
		record_put(&(struct record){ .kind = RECORD_LOST, .value = unresolved });
	record_flush();
}

static const char *value_of(int argc, char **argv, const char *key)
{
	size_t length = strlen(key);

	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], key, length) && argv[i][length] == '=')
			return argv[i] + length + 1;
	return "";
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_plugin_info *info, int argc,
			       char **argv)
{
	uint64_t base = 0;

	code_reader = code_choose(info->target_name);
	if (!info->system_emulation || !code_reader ||
	    strcmp(info->target_name, value_of(argc, argv, "target"))) {
		fprintf(stderr, "pykit access tracer: a machine of %s is not traced so\n",
			info->target_name);
		return -1;
	}
	sscanf(value_of(argc, argv, "base"), "%" SCNx64, &base);
	if (!record_open(value_of(argc, argv, "out")) ||
	    !memory_map(value_of(argc, argv, "ram"), base) ||
	    !rings_connect(value_of(argc, argv, "rings"))) {
		fprintf(stderr, "pykit access tracer: needs out=FILE,ram=FILE,rings=SOCKET\n");
		return -1;
	}
	reads_log = log_follow(value_of(argc, argv, "log"));
	/* Without a range no address is one of MMIO. */
	if (sscanf(value_of(argc, argv, "mmio"), "%" SCNx64 "-%" SCNx64, &mmio_first,
		   &mmio_end) != 2)
		mmio_end = 0;
	if (qemu_plugin_scoreboard_new)
		counters.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
