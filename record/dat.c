// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of each CPU, as ftrace's ring buffer has them (include/linux/ring_buffer.h), are
 * written to a file without a name; when all is recorded the head is known, and they follow it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "dat.h"

#define PAGE		4096
#define PAGE_HEAD	16
#define DELTA_BITS	27
#define TYPE_EXTEND	30
#define SMALL_MAX	112
#define MAX_CPUS	8192

enum { OPTION_DONE, OPTION_CPUSTAT = 2, OPTION_CLOCK = 4, OPTION_UNAME = 5 };

struct cpu {
	int fd;
	u32 used;	/* bytes of the page, its head with them */
	u64 last;	/* time of the last record */
	u64 events;
	u64 pages;
	u8 page[PAGE];
};

struct dat {
	int fd;
	u32 cpus;
	struct cpu *cpu[MAX_CPUS];
	char path[4096];
};

static int write_all(int fd, const void *data, size_t bytes)
{
	while (bytes) {
		ssize_t done = write(fd, data, bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -1;
		data = (const u8 *)data + done;
		bytes -= done;
	}
	return 0;
}

/* A file beside another one that is gone when it is closed. */
static int nameless(const char *path)
{
	char name[4096 + 16];
	int fd;

	snprintf(name, sizeof(name), "%s.XXXXXX", path);
	fd = mkstemp(name);
	if (fd >= 0)
		unlink(name);
	return fd;
}

struct dat *dat_open(const char *path)
{
	struct dat *dat = calloc(1, sizeof(*dat));

	if (!dat || strlen(path) >= sizeof(dat->path))
		return NULL;
	strcpy(dat->path, path);
	dat->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (dat->fd >= 0)
		return dat;
	free(dat);
	return NULL;
}

static struct cpu *cpu_of(struct dat *dat, u16 number)
{
	struct cpu *cpu;

	if (number >= MAX_CPUS)
		return NULL;
	if (dat->cpu[number])
		return dat->cpu[number];
	cpu = calloc(1, sizeof(*cpu));
	if (!cpu)
		return NULL;
	cpu->fd = nameless(dat->path);
	if (cpu->fd < 0) {
		free(cpu);
		return NULL;
	}
	dat->cpu[number] = cpu;
	if (number >= dat->cpus)
		dat->cpus = number + 1;
	return cpu;
}

static int end_page(struct cpu *cpu)
{
	u64 commit = cpu->used - PAGE_HEAD;

	if (!cpu->used)
		return 0;
	memcpy(cpu->page + 8, &commit, sizeof(commit));
	memset(cpu->page + cpu->used, 0, PAGE - cpu->used);
	cpu->used = 0;
	cpu->pages++;
	return write_all(cpu->fd, cpu->page, PAGE);
}

static void put(struct cpu *cpu, const void *data, u32 bytes)
{
	memcpy(cpu->page + cpu->used, data, bytes);
	cpu->used += bytes;
}

static void put_word(struct cpu *cpu, u32 word)
{
	put(cpu, &word, sizeof(word));
}

/* Add an event to its CPU's page: what all events have in common, then its own fields. */
int dat_add(struct dat *dat, const struct head *h, u16 kind, const void *event, u32 bytes)
{
	struct { u16 type; u8 flags; u8 preempt; s32 pid; } common = { kind, 0, 0, h->pid };
	u32 own = (bytes + 3) & ~3U, length = sizeof(common) + own;
	struct cpu *cpu = cpu_of(dat, h->cpu);
	u64 delta, ts = h->ts;

	if (!cpu)
		return -1;
	/* An interrupt between a record's time and its place: its own record is in front. */
	if (ts < cpu->last)
		ts = cpu->last;
	/* The most that a record takes: with an extended time, and a length of its own. */
	if (cpu->used + 16 + length > PAGE && end_page(cpu))
		return -1;
	if (!cpu->used) {
		memcpy(cpu->page, &ts, sizeof(ts));
		cpu->used = PAGE_HEAD;
		cpu->last = ts;
	}
	delta = ts - cpu->last;
	cpu->last = ts;
	if (delta >> DELTA_BITS) {
		put_word(cpu, TYPE_EXTEND | (u32)(delta & ((1U << DELTA_BITS) - 1)) << 5);
		put_word(cpu, delta >> DELTA_BITS);
		delta = 0;
	}
	if (length <= SMALL_MAX) {
		put_word(cpu, length / 4 | (u32)delta << 5);
	} else {
		put_word(cpu, (u32)delta << 5);
		put_word(cpu, length + 4);
	}
	put(cpu, &common, sizeof(common));
	memset(cpu->page + cpu->used, 0, own);
	memcpy(cpu->page + cpu->used, event, bytes);
	cpu->used += own;
	cpu->events++;
	return 0;
}

/* The head is made in memory. */
struct text {
	char *data;
	size_t bytes;
	FILE *file;
};

static void put_number(struct text *t, u64 value, u32 bytes)
{
	fwrite(&value, 1, bytes, t->file);
}

static void put_sized(struct text *t, u32 width, const char *data, size_t bytes)
{
	put_number(t, bytes, width);
	fwrite(data, 1, bytes, t->file);
}

static const char header_page[] =
	"\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
	"\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
	"\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
	"\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";

static const char header_event[] =
	"# compressed entry header\n"
	"\ttype_len    :    5 bits\n"
	"\ttime_delta  :   27 bits\n"
	"\tarray       :   32 bits\n"
	"\n"
	"\tpadding     : type == 29\n"
	"\ttime_extend : type == 30\n"
	"\ttime_stamp : type == 31\n"
	"\tdata max type_len  == 28\n";

static const char common_fields[] =
	"format:\n"
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
	"\n";

/* Description of an event, while it is made. */
struct format {
	struct text *out;
	char names[1024];	/* the end: what is printed, */
	char values[2048];	/* and of what */
};

static void put_field(struct format *f, const char *type, const char *name, u32 offset, u32 size)
{
	fprintf(f->out->file, "\tfield:%s %s;\toffset:%u;\tsize:%u;\tsigned:%d;\n", type, name,
		offset + 8, size, type[0] == 's');
	sprintf(f->names + strlen(f->names), "%s%s=%s", *f->names ? " " : "", name,
		size == 8 ? "%#llx" : type[0] == 's' ? "%d" : "%u");
	sprintf(f->values + strlen(f->values), ", REC->%s", name);
}

/* One function for each event of the list that also made the structures. */
#define F(type, name)	put_field(f, #type, #name, offsetof(this_event, name), sizeof(type));
#define EVENT(event, fields)						\
static void format_##event(struct format *f)				\
{									\
	typedef struct ev_##event this_event;				\
									\
	fields								\
}
EVENTS(EVENT)
#undef EVENT
#undef F

#define EVENT(event, fields)	{ "pykit_" #event, format_##event },
static const struct {
	const char *name;
	void (*describe)(struct format *f);
} events[] = {
	EVENTS(EVENT)
};
#undef EVENT

static void put_formats(struct text *t)
{
	u32 count = sizeof(events) / sizeof(events[0]), i;

	for (i = 0; i < count; i++) {
		struct text one = {};
		struct format f = { .out = &one };

		one.file = open_memstream(&one.data, &one.bytes);
		fprintf(one.file, "name: %s\nID: %u\n%s", events[i].name, i + 1, common_fields);
		events[i].describe(&f);
		fprintf(one.file, "\nprint fmt: \"%s\"%s\n", f.names, f.values);
		fclose(one.file);
		put_sized(t, 8, one.data, one.bytes);
		free(one.data);
	}
}

static void put_option(struct text *t, u16 option, const char *form, ...)
{
	char text[1024];
	va_list args;
	int length;

	va_start(args, form);
	length = vsnprintf(text, sizeof(text), form, args);
	va_end(args);
	put_number(t, option, 2);
	put_sized(t, 4, text, length + 1);
}

static u64 round_up(u64 bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* All that stands before the pages; losses belong to no CPU: the first one with events has them. */
static void put_head(struct text *t, struct dat *dat, u64 lost)
{
	struct utsname name;
	u64 at;
	u32 i;

	uname(&name);
	fwrite("\x17\x08\x44" "tracing6\0\0\x08\0\x10\0\0", 1, 18, t->file);
	fwrite("header_page", 1, 12, t->file);
	put_sized(t, 8, header_page, strlen(header_page));
	fwrite("header_event", 1, 13, t->file);
	put_sized(t, 8, header_event, strlen(header_event));
	put_number(t, 0, 4);	/* events of ftrace's own */
	put_number(t, 1, 4);	/* systems */
	fwrite("pykit", 1, 6, t->file);
	put_number(t, sizeof(events) / sizeof(events[0]), 4);
	put_formats(t);
	put_number(t, 0, 4);	/* symbols */
	put_number(t, 0, 4);	/* formats of trace_printk() */
	put_number(t, 0, 8);	/* names of tasks */
	put_number(t, dat->cpus, 4);
	fwrite("options  ", 1, 10, t->file);
	put_option(t, OPTION_CLOCK, "[mono]");
	put_option(t, OPTION_UNAME, "%s %s %s %s", name.sysname, "-", name.release, name.machine);
	for (i = 0; i < dat->cpus; i++) {
		if (!dat->cpu[i])
			continue;
		put_option(t, OPTION_CPUSTAT,
			   "CPU: %u\nentries: %llu\noverrun: 0\ncommit overrun: 0\n"
			   "dropped events: %llu\nread events: 0\n",
			   i, (unsigned long long)dat->cpu[i]->events, (unsigned long long)lost);
		lost = 0;
	}
	put_number(t, OPTION_DONE, 2);
	fwrite("flyrecord", 1, 10, t->file);
	fflush(t->file);
	at = round_up(t->bytes + 16 * dat->cpus);
	for (i = 0; i < dat->cpus; i++) {
		u64 size = dat->cpu[i] ? dat->cpu[i]->pages * PAGE : 0;

		put_number(t, at, 8);
		put_number(t, size, 8);
		at += size;
	}
	fflush(t->file);
}

static int append(int to, int from)
{
	static u8 block[1 << 16];
	ssize_t bytes;

	if (lseek(from, 0, SEEK_SET))
		return -1;
	while ((bytes = read(from, block, sizeof(block))) > 0)
		if (write_all(to, block, bytes))
			return -1;
	return bytes;
}

/* Write the file; lost is how many events are missing, as far as that was counted. */
int dat_close(struct dat *dat, u64 lost)
{
	struct text t = {};
	int err = 0;
	u32 i;

	for (i = 0; i < dat->cpus; i++)
		if (dat->cpu[i] && end_page(dat->cpu[i]))
			return -1;
	t.file = open_memstream(&t.data, &t.bytes);
	put_head(&t, dat, lost);
	err = write_all(dat->fd, t.data, t.bytes);
	fclose(t.file);
	free(t.data);
	if (lseek(dat->fd, round_up(lseek(dat->fd, 0, SEEK_CUR)), SEEK_SET) < 0)
		err = -1;
	for (i = 0; i < dat->cpus && !err; i++)
		if (dat->cpu[i])
			err = append(dat->fd, dat->cpu[i]->fd);
	if (close(dat->fd))
		err = -1;
	return err;
}
