// SPDX-License-Identifier: GPL-2.0-only
/*
 * receive - bring into a guest what the host left in memory that both see
 *
 * Usage: receive RESOURCE >FILE
 *
 * RESOURCE is the sysfs file of an ivshmem device's shared memory (resource2),
 * which the host filled like this, all little-endian:
 *
 *   0     u64 length of the data, 32 random bytes
 *   4096  data
 *
 * A guest that is a copy would draw the random numbers of every other copy. So
 * the random bytes go into the kernel's pool, and it draws from that anew.
 */
#include <endian.h>
#include <fcntl.h>
#include <linux/random.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD	4096
#define SEED	32

static int seed(const unsigned char *memory)
{
	unsigned char bytes[SEED];
	int file = open("/dev/urandom", O_WRONLY);

	memcpy(bytes, memory + sizeof(__u64), sizeof(bytes));
	if (file < 0 || write(file, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    ioctl(file, RNDRESEEDCRNG)) {
		perror("/dev/urandom");
		return -1;
	}
	return close(file);
}

int main(int argc, char **argv)
{
	unsigned char *memory;
	struct stat status;
	__u64 length;
	int file;

	if (argc != 2) {
		fprintf(stderr, "usage: receive RESOURCE >FILE\n");
		return 2;
	}
	file = open(argv[1], O_RDWR);
	if (file < 0 || fstat(file, &status)) {
		perror(argv[1]);
		return 1;
	}
	memory = mmap(NULL, status.st_size, PROT_READ, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED) {
		perror(argv[1]);
		return 1;
	}
	memcpy(&length, memory, sizeof(length));
	length = le64toh(length);
	if (status.st_size < HEAD || length > (__u64)status.st_size - HEAD) {
		fprintf(stderr, "receive: %s: nothing is there\n", argv[1]);
		return 1;
	}
	if (seed(memory) || fwrite(memory + HEAD, 1, length, stdout) != length || fflush(stdout)) {
		fprintf(stderr, "receive: %s: not all of it came in\n", argv[1]);
		return 1;
	}
	return 0;
}
