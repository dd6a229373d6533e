// SPDX-License-Identifier: GPL-2.0-only
/*
 * loopback WAY BACK-END [KEY=VALUE]...
 * loopback --checks
 *
 *	loopback transport blk mib=64 queues=2 drop=50 drain-ms=20
 *	loopback vduse net name=loop0
 *
 * Joins a virtio device to a vhost back-end of the same kernel until it is
 * killed; then the device goes. It writes a line when a driver starts or resets
 * the device; when something is wrong it writes one line and exits with 1.
 * Or it checks what /dev/pykit-loopback has to refuse.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loopback.h"

static const struct way *const ways[] = { &transport, &vduse };
static const struct back_end *const back_ends[] = {
	&blk, &net, &scsi, &vsock
};

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

void fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "loopback: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

int must(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
	return result;
}

static void set_number(unsigned int *number, const char *key, const char *value)
{
	char *end;

	errno = 0;
	*number = strtoul(value, &end, 0);
	if (errno || end == value || *end)
		fail("%s=%s: not a number", key, value);
}

static void set_option(struct options *o, char *word)
{
	const struct {
		const char *key;
		unsigned int *number;
	} numbers[] = {
		{ "mib", &o->mib },
		{ "queues", &o->queues },
		{ "size", &o->size },
		{ "drop", &o->drop },
		{ "delay", &o->delay },
		{ "delay-ms", &o->delay_ms },
		{ "fake", &o->fake },
		{ "drain-ms", &o->drain_ms },
		{ "cid", &o->cid },
		{ "bounce", &o->bounce_mib },
	};
	char *value = strchr(word, '=');
	unsigned int i;

	if (!value)
		fail("%s: write KEY=VALUE", word);
	*value++ = 0;
	if (!strcmp(word, "name")) {
		o->name = value;
		return;
	}
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (!strcmp(word, numbers[i].key)) {
			set_number(numbers[i].number, word, value);
			return;
		}
	}
	fail("%s is not known", word);
}

static void choose(struct device *d, const char *way, const char *back_end)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (!strcmp(way, ways[i]->name))
			d->way = ways[i];
	for (i = 0; i < ARRAY_SIZE(back_ends); i++)
		if (!strcmp(back_end, back_ends[i]->name))
			d->back_end = back_ends[i];
	if (!d->way)
		fail("no way %s", way);
	if (!d->back_end)
		fail("no back-end %s", back_end);
}

int main(int argc, char **argv)
{
	static struct device d = {
		.options = { .mib = 64, .queues = 1, .size = 128, .cid = 3,
			     .name = "loop0" },
	};
	int i;

	if (argc == 2 && !strcmp(argv[1], "--checks"))
		return run_checks();
	if (argc < 3)
		fail("usage: loopback WAY BACK-END [KEY=VALUE]... | --checks");
	choose(&d, argv[1], argv[2]);
	for (i = 3; i < argc; i++)
		set_option(&d.options, argv[i]);
	d.about.bounce_mib = d.options.bounce_mib;
	d.back_end->open(&d);
	d.about.features |= d.offered & ~TRANSPORT_BITS;
	d.about.features |= d.offered & TRANSPORT_BITS & d.way->features;
	d.about.drop_every = d.options.drop;
	d.about.delay_every = d.options.delay;
	d.about.delay_ms = d.options.delay_ms;
	d.about.fake_every = d.options.fake;
	d.way->run(&d);
	return 1;
}
