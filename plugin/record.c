// SPDX-License-Identifier: GPL-2.0-only
/* The file of records. Callers hold the lock of access.c. */
#include "access.h"

#include <stdio.h>
#include <string.h>

enum { REGIONS = 256 };

static FILE *out;
/* QEMU keeps one string a name, so the pointer identifies the name. */
static const char *regions[REGIONS];

bool record_open(const char *path)
{
	out = fopen(path, "wb");
	return out && !setvbuf(out, NULL, _IOFBF, 1 << 20);
}

void record_put(const struct record *record)
{
	fwrite_unlocked(record, sizeof(*record), 1, out);
}

void record_flush(void)
{
	fflush(out);
}

/* The number of a region; its name is written when it is first met. */
uint32_t record_region(const char *name)
{
	struct record record = { .kind = RECORD_REGION };
	uint32_t number = 0;

	while (number < REGIONS - 1 && regions[number] && regions[number] != name)
		number++;
	if (regions[number] != name) {
		regions[number] = name;
		strncpy(record.name, name, sizeof(record.name) - 1);
		record.region = number;
		record_put(&record);
	}
	return number;
}
