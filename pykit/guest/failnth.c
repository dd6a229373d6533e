// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has every allocation of one system call fail in turn, and every copy from or to the user,
 * by /proc/thread-self/fail-nth: the first of them, then the second, until the call comes
 * through with none left to fail.
 *
 *   failnth insmod FILE [PARAMETERS]	load a module; it is unloaded again when it loads
 *   failnth write FILE TEXT UNDO BACK	write TEXT to FILE; then BACK to UNDO if that worked
 *
 * Prints how many allocations failed, and what the call said of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST	100000

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

/* The allocation to fail, counted from now. */
static void arm(int fd, unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(fd, text, length, 0) != length)
		die("fail-nth: %s", strerror(errno));
}

/*
 * Whether it was still to come; none is to come afterwards. Copies from and to the user are
 * refused too: one that was to come may hit the very calls that ask for it and take it back.
 */
static bool disarm(int fd)
{
	char text[16] = "";
	ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
	bool hit = got < 0 && errno == EFAULT;

	if (got <= 0 && !hit)
		die("fail-nth: %s", strerror(errno));
	if (pwrite(fd, "0", 1, 0) != 1 && (errno != EFAULT || pwrite(fd, "0", 1, 0) != 1))
		die("fail-nth: %s", strerror(errno));
	return hit || atoi(text) != 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open_or_die(path, O_WRONLY);
	ssize_t done = write(fd, text, strlen(text));
	int err = done < 0 ? errno : 0;

	close(fd);
	return err;
}

/* The name of a module: that of its file, without .ko. */
static void module_name(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');

	snprintf(name, size, "%s", slash ? slash + 1 : path);
	name[strcspn(name, ".")] = '\0';
}

static int once(char **argv, int fail, int module, int file, unsigned int nth)
{
	const char *parameters = argv[3] ? argv[3] : "";
	long done;
	int err;

	arm(fail, nth);
	if (module >= 0)
		done = syscall(SYS_finit_module, module, parameters, 0);
	else
		done = pwrite(file, argv[3], strlen(argv[3]), 0);
	err = done < 0 ? errno : 0;
	return err;
}

static void take_back(char **argv, bool module)
{
	char name[64];
	int err;

	if (module) {
		module_name(argv[2], name, sizeof(name));
		err = syscall(SYS_delete_module, name, 0) < 0 ? errno : 0;
	} else {
		err = write_text(argv[4], argv[5]);
	}
	if (err)
		die("cannot undo %s: %s", argv[2], strerror(err));
}

int main(int argc, char **argv)
{
	unsigned int nth, errors[256] = { 0 }, survived = 0, i;
	bool module = argc >= 3 && !strcmp(argv[1], "insmod");
	int fail, fd;

	if (!module && (argc != 6 || strcmp(argv[1], "write")))
		die("failnth insmod FILE [PARAMETERS] | failnth write FILE TEXT UNDO BACK");
	fail = open_or_die("/proc/thread-self/fail-nth", O_RDWR);
	fd = open_or_die(argv[2], module ? O_RDONLY : O_WRONLY);
	for (nth = 1; nth < MOST; nth++) {
		int err = once(argv, fail, module ? fd : -1, fd, nth);
		bool left = disarm(fail);

		if (!err)
			take_back(argv, module);
		if (left) {
			if (err)
				die("%s fails by itself: %s", argv[2], strerror(err));
			break;
		}
		if (err)
			errors[err & 255]++;
		else
			survived++;
	}
	printf("allocations that failed: %u; survived by the call: %u", nth - 1, survived);
	for (i = 0; i < 256; i++)
		if (errors[i])
			printf("; %s: %u", strerrorname_np(i), errors[i]);
	printf("\n");
	return 0;
}
