// SPDX-License-Identifier: GPL-2.0-only
/*
 * drive - do in a guest what `pykit drive --guest` says over a serial line
 *
 * It is the guest's init. A line is "NUMBER COMMAND;COMMAND…", all numbers in
 * hexadecimal, and is answered by one line ":NUMBER RESULT;RESULT…", or by
 * ":NUMBER !WHAT" where a command cannot be done. The next line is sent when
 * the answer came: so no more is in flight than the tty keeps. At first it
 * answers "1 H" unasked: what is typed before may be lost.
 *
 *   H               version, physical address and size of the memory, its address
 *                   in this program; closes what was opened for an earlier line
 *   L               devices: "p BDF" (PCI, vendor of virtio), "m ADDRESS" (MMIO)
 *   u BDF           take a PCI device from its driver
 *   F BYTE          fill the memory
 *   W OFFSET BYTES  write the memory; two bytes on an even offset at once
 *   S MS            wait so long for bytes that the device changes; what it
 *                   changed since the last time: "OFFSET BYTES,…", "+" for more
 *   m ADDRESS WIDTH, M ADDRESS WIDTH VALUE       physical memory
 *   i PORT WIDTH, I PORT WIDTH VALUE             I/O ports
 *   c BDF OFFSET WIDTH, C BDF OFFSET WIDTH VALUE configuration of PCI
 *   a PATH, e       open a file, or make an eventfd: its descriptor
 *   b BYTES         make a file of so many bytes in memory: its descriptor
 *   x FD            close it
 *   f FD REQUEST BYTES                           an ioctl: "ERROR BYTES"
 *   k FD, n FD      signal an eventfd; how often it was signalled
 *   w PATH TEXT     write a file
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__
#include <sys/io.h>
#endif

#define VERSION		3
#define PAGE		4096UL
#define HUGE		(2UL << 20)
/* What the driver uses, at the begin of a huge page. */
#define MEMORY		(256UL << 10)
#define LINE		4000
/* Bytes of changes in one answer. */
#define CHANGES		1200
#define WINDOWS		16
/* Bytes of an ioctl's argument. */
#define ARGUMENT	256
#define FILES		256
/* Modules that the bundle has, to be loaded in the order of their names. */
#define MODULES		"/modules"

static unsigned char *memory, *seen;
static __u64 physical;
static int memory_file = -1;

static char answer[16384];
static size_t used;

static struct window {
	__u64 page;
	unsigned char *at;
} windows[WINDOWS];

static const char *failed;

static void say(const char *format, ...)
{
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(answer + used, sizeof(answer) - used, format, list);
	va_end(list);
	if (length > 0 && (size_t)length < sizeof(answer) - used)
		used += length;
	else
		failed = "answer too long";
}

/* Registers and indices are read and written by one instruction of their width. */
static __u64 load(const unsigned char *at, unsigned int width)
{
	__u64 value = 0;
	unsigned int i;

	switch (width) {
	case 1:
		return __atomic_load_n(at, __ATOMIC_RELAXED);
	case 2:
		return __atomic_load_n((const __u16 *)at, __ATOMIC_RELAXED);
	case 4:
		return __atomic_load_n((const __u32 *)at, __ATOMIC_RELAXED);
	case 8:
		return __atomic_load_n((const __u64 *)at, __ATOMIC_RELAXED);
	}
	for (i = 0; i < width && i < 8; i++)
		value |= (__u64)at[i] << 8 * i;
	return value;
}

static void store(unsigned char *at, unsigned int width, __u64 value)
{
	unsigned int i;

	switch (width) {
	case 1:
		__atomic_store_n(at, value, __ATOMIC_RELAXED);
		return;
	case 2:
		__atomic_store_n((__u16 *)at, value, __ATOMIC_RELAXED);
		return;
	case 4:
		__atomic_store_n((__u32 *)at, value, __ATOMIC_RELAXED);
		return;
	case 8:
		__atomic_store_n((__u64 *)at, value, __ATOMIC_RELAXED);
		return;
	}
	for (i = 0; i < width && i < 8; i++)
		at[i] = value >> 8 * i;
}

/* The place of a physical address, mapped by pages and the page behind it. */
static unsigned char *place(__u64 address)
{
	static unsigned int next;
	struct window *window;
	unsigned int i;
	void *at;

	for (i = 0; i < WINDOWS; i++)
		if (windows[i].at && windows[i].page == address / PAGE)
			return windows[i].at + address % PAGE;
	at = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file,
		  address / PAGE * PAGE);
	if (at == MAP_FAILED) {
		failed = "this physical memory cannot be mapped";
		return NULL;
	}
	window = &windows[next++ % WINDOWS];
	if (window->at)
		munmap(window->at, 2 * PAGE);
	window->page = address / PAGE;
	window->at = at;
	return window->at + address % PAGE;
}

static void physical_memory(char **word, int write)
{
	__u64 address = strtoull(word[1], NULL, 16);
	unsigned int width = strtoul(word[2], NULL, 16);
	unsigned char *at = place(address);

	if (!at)
		return;
	if (write)
		store(at, width, strtoull(word[3], NULL, 16));
	else
		say("%llx", (unsigned long long)load(at, width));
}

#ifdef __x86_64__
static int allow_ports(void)
{
	return iopl(3);
}

static void port(char **word, int write)
{
	unsigned int number = strtoul(word[1], NULL, 16);
	unsigned int width = strtoul(word[2], NULL, 16);
	__u32 value = write ? strtoul(word[3], NULL, 16) : 0;

	if (width == 1 && write)
		outb(value, number);
	else if (width == 2 && write)
		outw(value, number);
	else if (width == 4 && write)
		outl(value, number);
	else if (width == 1)
		say("%x", inb(number));
	else if (width == 2)
		say("%x", inw(number));
	else if (width == 4)
		say("%x", inl(number));
	else
		failed = "ports have 1, 2 or 4 bytes";
}
#else
static int allow_ports(void)
{
	return 0;
}

static void port(char **word, int write)
{
	failed = "this processor has no ports";
}
#endif

static void pci_space(char **word, int write)
{
	unsigned int width = strtoul(word[3], NULL, 16);
	__u64 value = write ? strtoull(word[4], NULL, 16) : 0;
	off_t offset = strtoul(word[2], NULL, 16);
	char path[96];
	ssize_t done = -1;
	int file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", word[1]);
	file = open(path, write ? O_WRONLY : O_RDONLY);
	if (file >= 0 && width <= sizeof(value)) {
		done = write ? pwrite(file, &value, width, offset) :
			       pread(file, &value, width, offset);
		close(file);
	}
	if (done != (ssize_t)width)
		failed = "this part of PCI cannot be accessed";
	else if (!write)
		say("%llx", (unsigned long long)value);
}

static int put(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	ssize_t done;

	if (file < 0)
		return -1;
	done = write(file, text, strlen(text));
	close(file);
	return done < 0 ? -1 : 0;
}

/* The number in a file of one PCI device, -1 without one. */
static long read_number(const char *device, const char *name)
{
	char path[320], text[32] = "";
	ssize_t length;
	int file;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, name);
	file = open(path, O_RDONLY);
	if (file < 0)
		return -1;
	length = read(file, text, sizeof(text) - 1);
	close(file);
	return length > 0 ? strtol(text, NULL, 16) : -1;
}

static void list_pci(void)
{
	DIR *devices = opendir("/sys/bus/pci/devices");
	struct dirent *entry;

	while (devices && (entry = readdir(devices)))
		if (read_number(entry->d_name, "vendor") == 0x1af4)
			say("p %s,", entry->d_name);
	if (devices)
		closedir(devices);
}

/* Transports of a device tree, whose names begin with their addresses. */
static void list_tree(void)
{
	DIR *devices = opendir("/sys/bus/platform/devices");
	struct dirent *entry;

	while (devices && (entry = readdir(devices)))
		if (strstr(entry->d_name, ".virtio_mmio"))
			say("m %llx,", strtoull(entry->d_name, NULL, 16));
	if (devices)
		closedir(devices);
}

/* Transports that ACPI names, and those of the kernel's command line. */
static void list_mmio(void)
{
	static const char ends[] = { ' ', '\n', 0 };
	FILE *file = fopen("/proc/iomem", "r");
	char line[4096], *word;

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "LNRO0005"))
			say("m %llx,", strtoull(line, NULL, 16));
	if (file)
		fclose(file);
	file = fopen("/proc/cmdline", "r");
	if (file && fgets(line, sizeof(line), file))
		for (word = strtok(line, ends); word; word = strtok(NULL, ends))
			if (!strncmp(word, "virtio_mmio.device=", 19) && strchr(word, '@'))
				say("m %llx,", strtoull(strchr(word, '@') + 1, NULL, 0));
	if (file)
		fclose(file);
}

static void take_over(const char *device)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver/unbind", device);
	if (!access(path, W_OK) && put(path, device))
		failed = "its driver does not let it go";
}

static int digit(char letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static size_t parse_bytes(unsigned char *to, size_t room, const char *bytes)
{
	size_t length = strlen(bytes) / 2, i;

	for (i = 0; i < length && i < room; i++)
		to[i] = digit(bytes[2 * i]) << 4 | digit(bytes[2 * i + 1]);
	return length;
}

static void open_file(const char *path)
{
	int file = path ? open(path, O_RDWR | O_CLOEXEC) : eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (file < 0)
		failed = "cannot be opened: is its module loaded?";
	else
		say("%x", file);
}

static void make_file(const char *bytes)
{
	int file = syscall(SYS_memfd_create, "disk", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, strtoul(bytes, NULL, 16)))
		failed = "a file in memory cannot be made";
	else
		say("%x", file);
}

/* Files of the driver have the descriptors behind the program's own. */
static void close_files(void)
{
	int file;

	for (file = memory_file + 1; file < FILES; file++)
		close(file);
}

static void control(char **word)
{
	unsigned char argument[ARGUMENT] = "";
	size_t length = parse_bytes(argument, sizeof(argument), word[3]), i;
	int done;

	if (length > sizeof(argument)) {
		failed = "an argument that is too long";
		return;
	}
	done = ioctl(strtol(word[1], NULL, 16), strtoul(word[2], NULL, 16), argument);
	say("%x ", done < 0 ? errno : 0);
	for (i = 0; i < length; i++)
		say("%02x", argument[i]);
}

static void signal_event(const char *file)
{
	if (eventfd_write(strtol(file, NULL, 16), 1))
		failed = "no eventfd";
}

static void count_events(const char *file)
{
	eventfd_t count = 0;

	if (eventfd_read(strtol(file, NULL, 16), &count))
		count = 0;
	say("%llx", (unsigned long long)count);
}

static void write_bytes(const char *where, const char *bytes)
{
	size_t offset = strtoul(where, NULL, 16), length = strlen(bytes) / 2;

	if (offset > MEMORY || length > MEMORY - offset) {
		failed = "outside of the memory";
		return;
	}
	parse_bytes(seen + offset, length, bytes);
	if (length == 2 && offset % 2 == 0)
		store(memory + offset, 2, load(seen + offset, 2));
	else
		memcpy(memory + offset, seen + offset, length);
	__sync_synchronize();
}

static int changed(void)
{
	__sync_synchronize();
	return memcmp(memory, seen, MEMORY) != 0;
}

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void synchronize(long patience)
{
	size_t at = 0, count = 0;
	long end = now() + patience;

	while (!changed() && now() < end)
		usleep(200);
	while (at < MEMORY) {
		size_t begin = at;

		if (!(at % PAGE) && !memcmp(memory + at, seen + at, PAGE)) {
			at += PAGE;
			continue;
		}
		/* Two bytes at once: an index is never seen half written. */
		for (; at < MEMORY && count < CHANGES; at += 2, count += 2) {
			__u16 value = load(memory + at, 2);

			if (value == load(seen + at, 2))
				break;
			store(seen + at, 2, value);
			if (at == begin)
				say("%zx ", at);
			say("%02x%02x", value & 0xff, value >> 8);
		}
		if (at != begin)
			say(",");
		else if (count < CHANGES)
			at += 2;
		if (count >= CHANGES) {
			say("+");
			return;
		}
	}
}

static void execute(char *text)
{
	char *word[5] = { "", "", "", "", "" };
	int count = 0;
	char *rest, *next;

	next = strtok_r(text, " ", &rest);
	while (next && count < 5) {
		word[count++] = next;
		next = strtok_r(NULL, " ", &rest);
	}
	switch (word[0][0]) {
	case 'H':
		close_files();
		say("%x %llx %lx %lx", VERSION, (unsigned long long)physical, MEMORY,
		    (unsigned long)memory);
		break;
	case 'L':
		list_pci();
		list_tree();
		list_mmio();
		break;
	case 'u':
		take_over(word[1]);
		break;
	case 'F':
		memset(seen, strtoul(word[1], NULL, 16), MEMORY);
		memcpy(memory, seen, MEMORY);
		break;
	case 'W':
		write_bytes(word[1], word[2]);
		break;
	case 'S':
		synchronize(strtol(word[1], NULL, 16));
		break;
	case 'm': case 'M':
		physical_memory(word, word[0][0] == 'M');
		break;
	case 'i': case 'I':
		port(word, word[0][0] == 'I');
		break;
	case 'c': case 'C':
		pci_space(word, word[0][0] == 'C');
		break;
	case 'a':
		open_file(word[1]);
		break;
	case 'e':
		open_file(NULL);
		break;
	case 'b':
		make_file(word[1]);
		break;
	case 'x':
		close(strtol(word[1], NULL, 16));
		break;
	case 'f':
		control(word);
		break;
	case 'k':
		signal_event(word[1]);
		break;
	case 'n':
		count_events(word[1]);
		break;
	case 'w':
		if (put(word[1], word[2]))
			failed = "cannot be written";
		break;
	default:
		failed = "unknown command";
	}
}

/* Find the physical address of the memory (Documentation/admin-guide/mm/pagemap.rst). */
static int pin(void)
{
	__u64 entry = 0;
	int file;

	if (put("/proc/sys/vm/nr_hugepages", "1"))
		return -1;
	memory = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	seen = calloc(1, MEMORY);
	if (memory == MAP_FAILED || !seen || mlock(memory, HUGE))
		return -1;
	memset(memory, 0, HUGE);
	file = open("/proc/self/pagemap", O_RDONLY);
	if (file < 0)
		return -1;
	if (pread(file, &entry, sizeof(entry), (unsigned long)memory / PAGE * 8) != sizeof(entry))
		entry = 0;
	close(file);
	physical = (entry & ((1ULL << 55) - 1)) * PAGE;
	return physical ? 0 : -1;
}

/* A module whose device is not there, or that is there already, is no error. */
static void load_modules(void)
{
	struct dirent **names;
	int count = scandir(MODULES, &names, NULL, alphasort), i;

	for (i = 0; i < count; i++) {
		char path[320];
		int file;

		snprintf(path, sizeof(path), MODULES "/%s", names[i]->d_name);
		file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0)
			continue;
		syscall(SYS_finit_module, file, "", 0);
		close(file);
	}
}

static int raw(void)
{
	struct termios line;

	if (tcgetattr(0, &line))
		return -1;
	cfmakeraw(&line);
	return tcsetattr(0, TCSANOW, &line);
}

static void answer_line(char *text)
{
	char *rest, *next;
	size_t sent = 0;

	strtok_r(text, " ", &rest);
	used = 0;
	failed = NULL;
	say(":%s ", text);
	next = strtok_r(NULL, ";", &rest);
	while (next && !failed) {
		execute(next);
		next = strtok_r(NULL, ";", &rest);
		say(";");
	}
	if (failed)
		used = snprintf(answer, sizeof(answer), ":%s !%s", text, failed);
	answer[used++] = '\n';
	while (sent < used) {
		ssize_t done = write(1, answer + sent, used - sent);

		if (done < 0 && errno != EINTR)
			return;
		sent += done > 0 ? done : 0;
	}
}

int main(void)
{
	static char line[LINE + 1] = "1 H";
	size_t length = 0;
	char letter;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	/* Messages of the kernel would be in between; those that it dies of are not held back. */
	klogctl(8, NULL, 1);
	memory_file = open("/dev/mem", O_RDWR | O_SYNC);
	load_modules();
	if (raw() || pin() || memory_file < 0 || allow_ports()) {
		printf("pykit drive: no huge page or no /dev/mem: give the guest 256 MiB\n");
		fflush(stdout);
		reboot(RB_POWER_OFF);
	}
	answer_line(line);
	while (read(0, &letter, 1) == 1) {
		if (letter != '\n' && letter != '\r') {
			line[length < LINE ? length++ : length] = letter;
			continue;
		}
		line[length] = 0;
		if (length)
			answer_line(line);
		length = 0;
	}
	reboot(RB_POWER_OFF);
	return 0;
}
