// SPDX-License-Identifier: GPL-2.0-only
/*
 * carry - bring files out of a guest through memory that the host sees
 *
 * Usage: carry RESOURCE <LIST
 *        carry --pages FILE <LIST
 *
 * RESOURCE is the sysfs file of an ivshmem device's shared memory (resource2).
 * FILE is made anew in a file system of memory, for a host that has all of the
 * guest's memory in a file. Each line of LIST is "SOURCE<TAB>NAME". What is
 * written, all little-endian:
 *
 *   0     u64 magic, u64 length of all records, u64 checksum (sum of all bytes)
 *   4096  records: u32 length of NAME, NAME, u64 length of the data, data
 *
 * The head is written last: a guest that died left no magic. Reads do not
 * block, so that trace_pipe_raw ends where the buffer is empty, and take a
 * page at most, which is what trace_pipe_raw gives.
 *
 * With --pages, lists of pages follow, from the next page on, and "pages ADDRESS"
 * is printed. A list is one page of u64: the address of the next list (0: none),
 * then those of pages written above, in their order, 0 behind the last. Addresses
 * are physical. The pages stay where they are as long as FILE does.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	0x31796b6974797061ULL
#define HEAD	4096

/* Of --pages: what there is room for, and the pages of which one list says where they are. */
#define PAGE	4096
#define ROOM	(256UL << 20)
#define LISTED	(PAGE / sizeof(__u64) - 1)

static unsigned char *memory;
static size_t room;
static size_t used = HEAD;
static __u64 checksum;

static int put(const void *data, size_t length)
{
	const unsigned char *byte = data;

	if (length > room - used)
		return -1;
	memcpy(memory + used, data, length);
	used += length;
	while (length--)
		checksum += *byte++;
	return 0;
}

/* Returns 0, 1 for a source that cannot be read (skipped), -1 when memory is full. */
static int bring(const char *source, const char *name)
{
	static unsigned char buffer[65536];
	size_t name_length = strlen(name);
	__u32 name_length_le = htole32(name_length);
	__u64 length = 0, length_le;
	size_t length_at;
	ssize_t got;
	int file;

	file = open(source, O_RDONLY | O_NONBLOCK);
	if (file < 0) {
		fprintf(stderr, "carry: %s: %s\n", source, strerror(errno));
		return 1;
	}
	if (put(&name_length_le, sizeof(name_length_le)) || put(name, name_length))
		goto full;
	length_at = used;
	if (room - used < sizeof(length))
		goto full;
	used += sizeof(length);
	while ((got = read(file, buffer, sizeof(buffer))) > 0) {
		if (put(buffer, got))
			goto full;
		length += got;
	}
	if (got < 0 && errno != EAGAIN)
		fprintf(stderr, "carry: %s: %s\n", source, strerror(errno));
	length_le = htole64(length);
	memcpy(memory + length_at, &length_le, sizeof(length_le));
	for (size_t i = 0; i < sizeof(length); i++)
		checksum += memory[length_at + i];
	close(file);
	return 0;
full:
	fprintf(stderr, "carry: %s: does not fit in %zu bytes\n", source, room);
	close(file);
	return -1;
}

/* The physical address of a page (Documentation/admin-guide/mm/pagemap.rst), 0 without one. */
static __u64 physical(int pagemap, const unsigned char *page)
{
	__u64 entry = 0;
	off_t offset = (unsigned long)page / PAGE * sizeof(entry);

	if (pread(pagemap, &entry, sizeof(entry), offset) != sizeof(entry))
		return 0;
	return (entry & ((1ULL << 55) - 1)) * PAGE;
}

/* Write the lists of all pages up to @used behind them, and print where the first one is. */
static int list_pages(void)
{
	size_t pages = (used + PAGE - 1) / PAGE;
	size_t lists = (pages + LISTED - 1) / LISTED;
	__u64 *list = (__u64 *)(memory + pages * PAGE);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	__u64 first;

	if (pagemap < 0 || (pages + lists) * PAGE > room)
		return -1;
	/* A page has no address before it is written. */
	memset(list, 0, lists * PAGE);
	first = physical(pagemap, (unsigned char *)list);
	for (size_t page = 0; page < pages; page++) {
		__u64 *at = list + page / LISTED * (LISTED + 1);
		__u64 address = physical(pagemap, memory + page * PAGE);

		if (!address)
			return -1;
		at[page % LISTED + 1] = htole64(address);
		if (page % LISTED == 0 && page)
			at[-(LISTED + 1)] = htole64(physical(pagemap, (unsigned char *)at));
	}
	close(pagemap);
	printf("pages %llx\n", (unsigned long long)first);
	return first ? 0 : -1;
}

int main(int argc, char **argv)
{
	static char line[8192];
	__u64 head[3];
	struct stat status;
	int failed = 0;
	int paged;
	int file;

	paged = argc == 3 && !strcmp(argv[1], "--pages");
	if (argc != 2 + paged) {
		fprintf(stderr, "usage: carry [--pages] RESOURCE <LIST\n");
		return 2;
	}
	argv += paged;
	file = open(argv[1], paged ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR, 0600);
	if (file < 0 || (paged && ftruncate(file, ROOM)) || fstat(file, &status)) {
		perror(argv[1]);
		return 1;
	}
	room = status.st_size;
	memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		char *name = strchr(line, '\t');
		int done;

		if (!name)
			continue;
		*name++ = '\0';
		name[strcspn(name, "\n")] = '\0';
		done = bring(line, name);
		if (done < 0)
			return 1;
		failed |= done;
	}
	head[0] = htole64(MAGIC);
	head[1] = htole64(used - HEAD);
	head[2] = htole64(checksum);
	__sync_synchronize();
	memcpy(memory, head, sizeof(head));
	if (paged && list_pages()) {
		fprintf(stderr, "carry: %s: its pages cannot be found in memory\n", argv[1]);
		return 1;
	}
	return failed;
}
