// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has every allocation of one system call fail in turn, and every copy from or to the user,
 * by /proc/<pid>/fail-nth: the first of them, then the second, until the call comes
 * through with none left to fail.
 *
 *   failnth insmod FILE [PARAMETERS]	load a module; it is unloaded again when it loads
 *   failnth write FILE TEXT UNDO BACK	write TEXT to FILE; then BACK to UNDO if that worked
 *   failnth run FIRST PROGRAM [WORD]...	each call of a program that opens, asks a driver,
 *					maps or writes, until the program ends or is killed
 *
 * A program's call that failed is made anew, and the program knows nothing of it. A call that
 * came through for all that one allocation failed is not: FIRST is the allocation to begin
 * with, so that, from 1 on until none is left to fail, all of them do.
 *
 * Prints how many allocations failed, and what the calls said of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "failnth repeats system calls by the registers of x86-64: it has no others"
#endif

#define MOST	100000

/* Bytes of the instruction that makes a system call. */
#define SYSCALL_BYTES	2

static unsigned int errors[256], failed, survived;
static pid_t traced;

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

/* What a call said of an allocation that failed: an errno, or 0. */
static void note(int err)
{
	failed++;
	if (err)
		errors[err & 255]++;
	else
		survived++;
}

static void one_call(char **argv, bool module)
{
	int fail = open_or_die("/proc/thread-self/fail-nth", O_RDWR);
	int fd = open_or_die(argv[2], module ? O_RDONLY : O_WRONLY);
	unsigned int nth;

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
		note(err);
	}
}

static void trace(long request, void *data)
{
	if (ptrace(request, traced, NULL, data))
		die("ptrace: %s", strerror(errno));
}

/* Those that a driver's file can be behind. */
static bool is_tried(unsigned long long call)
{
	return call == SYS_openat || call == SYS_ioctl || call == SYS_mmap ||
	       call == SYS_write;
}

/* After a call; returns whether it has to be made anew. */
static bool look(int fail, struct user_regs_struct *regs)
{
	bool left = disarm(fail);
	long result = regs->rax;

	if (left)
		return false;
	note(result < 0 && result >= -4095 ? -result : 0);
	if (result >= 0 || result < -4095)
		return false;
	regs->rax = regs->orig_rax;
	regs->rip -= SYSCALL_BYTES;
	trace(PTRACE_SETREGS, regs);
	return true;
}

static void every_call(unsigned int first, char **argv)
{
	bool inside = false, tried = false;
	struct user_regs_struct regs;
	unsigned int nth = first;
	char path[64];
	int fail, status;
	long signal = 0;

	traced = fork();
	if (traced < 0)
		die("fork: %s", strerror(errno));
	if (!traced) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[0], argv);
		die("%s: %s", argv[0], strerror(errno));
	}
	if (waitpid(traced, &status, 0) != traced || !WIFSTOPPED(status))
		die("%s did not start", argv[0]);
	trace(PTRACE_SETOPTIONS, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	snprintf(path, sizeof(path), "/proc/%d/fail-nth", traced);
	fail = open_or_die(path, O_RDWR);
	for (;;) {
		trace(PTRACE_SYSCALL, (void *)signal);
		if (waitpid(traced, &status, 0) != traced)
			die("waitpid: %s", strerror(errno));
		if (!WIFSTOPPED(status))
			break;
		signal = WSTOPSIG(status);
		if (signal != (SIGTRAP | 0x80))
			continue;
		signal = 0;
		inside = !inside;
		trace(PTRACE_GETREGS, &regs);
		if (inside) {
			tried = is_tried(regs.orig_rax);
			if (tried)
				arm(fail, nth);
		} else if (tried) {
			nth = look(fail, &regs) ? nth + 1 : first;
		}
	}
	/* Killed is what a program is that would never end. */
	if (status && status != SIGKILL)
		die("%s ended with status %#x", argv[0], status);
}

int main(int argc, char **argv)
{
	bool module = argc >= 3 && !strcmp(argv[1], "insmod");
	unsigned int i;

	if (argc >= 4 && !strcmp(argv[1], "run"))
		every_call(strtoul(argv[2], NULL, 0), argv + 3);
	else if (module || (argc == 6 && !strcmp(argv[1], "write")))
		one_call(argv, module);
	else
		die("insmod FILE [WORD]... | write FILE TEXT UNDO BACK | run FIRST WORD...");
	printf("allocations that failed: %u; survived by the call: %u", failed, survived);
	for (i = 0; i < 256; i++)
		if (errors[i])
			printf("; %s: %u", strerrorname_np(i), errors[i]);
	printf("\n");
	return 0;
}
