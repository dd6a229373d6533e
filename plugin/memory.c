// SPDX-License-Identifier: GPL-2.0-only
/* The guest's memory, by the file that is behind it: version 1 of the API gives no values. */
#include "access.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t *memory;
static uint64_t start, bytes;

/* The file of the memory that begins at an address. */
bool memory_map(const char *path, uint64_t base)
{
	struct stat status;
	void *mapped;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return false;
	if (fstat(file, &status)) {
		close(file);
		return false;
	}
	mapped = mmap(NULL, status.st_size, PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (mapped == MAP_FAILED)
		return false;
	memory = mapped;
	start = base;
	bytes = status.st_size;
	return true;
}

/* What stands there now, after the access; false where that is not in the guest's memory. */
bool memory_value(uint64_t address, unsigned int size, uint64_t *value)
{
	*value = 0;
	if (size > sizeof(*value) || address < start || address - start >= bytes ||
	    bytes - (address - start) < size)
		return false;
	memcpy(value, memory + (address - start), size);
	return true;
}
