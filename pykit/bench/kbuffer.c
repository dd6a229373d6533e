// SPDX-License-Identifier: GPL-2.0-only
/*
 * The peer of pykit's decoder: libtraceevent's kbuffer walks the pages of a trace and looks
 * at each record's time and event id. It makes no columns and merges nothing.
 *
 * kbuffer FILE PAGE-SIZE LONG-SIZE BIG-ENDIAN {OFFSET SIZE}...: prints how many records there are.
 */
#include <fcntl.h>
#include <kbuffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long long records = 0, sum = 0, time;
	unsigned long page;
	struct kbuffer *kbuf;
	struct stat stat;
	char *data;
	int fd, i;

	if (argc < 5) {
		fprintf(stderr, "usage: kbuffer FILE PAGE LONG BIG {OFFSET SIZE}...\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &stat) < 0) {
		perror(argv[1]);
		return 1;
	}
	data = mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	page = strtoul(argv[2], NULL, 0);
	kbuf = kbuffer_alloc(atoi(argv[3]) == 4 ? KBUFFER_LSIZE_4 : KBUFFER_LSIZE_8,
			     atoi(argv[4]) ? KBUFFER_ENDIAN_BIG : KBUFFER_ENDIAN_LITTLE);
	if (!kbuf)
		return 1;
	for (i = 5; i + 1 < argc; i += 2) {
		unsigned long long at = strtoull(argv[i], NULL, 0);
		unsigned long long end = at + strtoull(argv[i + 1], NULL, 0);

		for (; at + page <= end; at += page) {
			void *record;

			if (kbuffer_load_subbuffer(kbuf, data + at))
				continue;
			while ((record = kbuffer_read_event(kbuf, &time))) {
				sum += time + *(unsigned short *)record;
				records++;
				kbuffer_next_event(kbuf, NULL);
			}
		}
	}
	kbuffer_free(kbuf);
	/* The sum keeps the compiler from leaving the reads out. */
	printf("%llu %llx\n", records, sum);
	return 0;
}
