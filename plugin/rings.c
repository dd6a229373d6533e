// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the rings are: asked of pykit, which asks QEMU, whenever a device's status is written or
 * one of its queues is enabled.
 */
#include "access.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { RANGES = 4096, PAGE_BITS = 12, ANSWER_S = 20 };

static FILE *asked;
static struct range {
	uint64_t start;
	uint64_t end;
} ranges[RANGES];
static unsigned int count;
/* Ranges of the last answer for which there was no room. */
static unsigned int dropped;

bool rings_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = ANSWER_S };
	int sock;

	if (strlen(path) >= sizeof(address.sun_path))
		return false;
	strcpy(address.sun_path, path);
	sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return false;
	if (connect(sock, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience))) {
		close(sock);
		return false;
	}
	asked = fdopen(sock, "r+");
	return asked;
}

/* Whether a line of an answer describes a whole queue, of which the areas' lines then follow. */
static bool takes_queue(const char *line)
{
	struct queue_place place;
	unsigned int packed;

	if (sscanf(line, "queue %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx32 " %u",
		   &place.desc, &place.avail, &place.used, &place.size, &packed) != 5)
		return false;
	place.packed = packed;
	if (!chains_keep(&place))
		dropped++;
	return true;
}

/*
 * Ask for all rings, and wait: the vCPU stands still meanwhile, right behind its store.
 * It does not hold QEMU's big lock there, so QEMU's monitor answers.
 * False where no answer came; then no rings are known.
 */
bool rings_ask(uint64_t register_address)
{
	char line[128];
	uint64_t start, size;

	count = 0;
	dropped = 0;
	if (!asked)
		return false;
	fprintf(asked, "%" PRIx64 "\n", register_address);
	fflush(asked);
	chains_begin();
	while (fgets(line, sizeof(line), asked)) {
		if (takes_queue(line))
			continue;
		if (sscanf(line, "%" SCNx64 " %" SCNx64, &start, &size) != 2)
			return true;
		if (count < RANGES)
			ranges[count++] = (struct range){ start, start + size };
		else
			dropped++;
	}
	/* What comes late must not be taken for the next answer. */
	fclose(asked);
	asked = NULL;
	count = 0;
	return false;
}

/* Whether there was room for all ranges of the last answer. */
bool rings_all_known(void)
{
	return !dropped;
}

/* Whether there is ring memory on the page of an address. */
bool rings_on_page(uint64_t address)
{
	for (unsigned int i = 0; i < count; i++)
		if (ranges[i].start >> PAGE_BITS <= address >> PAGE_BITS &&
		    (ranges[i].end - 1) >> PAGE_BITS >= address >> PAGE_BITS)
			return true;
	return false;
}

bool rings_hold(uint64_t address)
{
	for (unsigned int i = 0; i < count; i++)
		if (ranges[i].start <= address && address < ranges[i].end)
			return true;
	return false;
}
