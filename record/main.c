// SPDX-License-Identifier: GPL-2.0-only
/*
 * pykit-record: records what virtio drivers do to their queues, without a kernel module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chains.h"
#include "load.h"
#include "watch.h"

#define EXIT_USAGE	2
#define EXIT_INFRA	3

#define NS		1000000000ULL

static const u32 sizes[KINDS] = {
#define EVENT(name, fields)	[KIND_##name] = sizeof(struct ev_##name),
	EVENTS(EVENT)
#undef EVENT
};

static volatile sig_atomic_t stopped;
static int watching;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void __attribute__((noreturn)) refuse(const char *why)
{
	fprintf(stderr, "pykit-record: %s\n", why);
	exit(EXIT_INFRA);
}

static int file_has(const char *path, const char *text)
{
	char line[256] = "";
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	return !!strstr(line, text);
}

/* Refuse to start where nothing could be recorded, or where the kernel would not survive it. */
static void check(void)
{
	struct utsname name;
	int major = 0, minor = 0;

	if (access("/sys/kernel/btf/vmlinux", R_OK))
		refuse("this kernel has no BTF (/sys/kernel/btf/vmlinux): record with the module"
		       " pykit_probe, or from outside");
	if (file_has("/sys/kernel/security/lockdown", "[confidentiality]"))
		refuse("lockdown=confidentiality lets no program read kernel memory:"
		       " boot with lockdown=integrity or none");
	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	/* Seen on 6.1: its ftrace warns without end. 6.12 does not. */
	if (!access("/sys/module/pykit_probe", F_OK) && (major < 6 || (major == 6 && minor < 12)))
		refuse("pykit_probe is loaded, and before Linux 6.12 the two do not go together:"
		       " rmmod pykit_probe");
}

static int take(void *data, void *record, size_t bytes)
{
	const struct head *h = record;
	const struct chain *chain = record;

	if (h->kind == KIND_CHAIN) {
		if (watching && bytes >= offsetof(struct chain, descs))
			watch_chain(h->ts, &chain->add);
		return chain_add(data, record, bytes);
	}
	if (h->kind >= KINDS || bytes < sizeof(*h) + sizes[h->kind])
		return -1;
	if (watching)
		watch_event(h->ts, h->kind, h + 1);
	return dat_add(data, h, h->kind, h + 1, sizes[h->kind]);
}

static pid_t start(char **command)
{
	pid_t pid = *command ? fork() : 0;

	if (pid || !*command)
		return pid;
	execvp(*command, command);
	fprintf(stderr, "pykit-record: %s cannot be run: %s\n", *command, strerror(errno));
	_exit(127);
}

static void usage(int code)
{
	fputs("usage: pykit-record [-o FILE] [-b MIB] [--watch] [COMMAND...]\n"
	      "Record what virtio drivers do, until Ctrl-C or the end of COMMAND.\n"
	      "  -o FILE  write here (default: pykit-record.dat); read it with pykit check FILE\n"
	      "  -b MIB   size of the buffer, a power of two (default: 16)\n"
	      "  --watch  print what each queue did, every second\n",
	      code ? stderr : stdout);
	exit(code);
}

static u64 now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NS + time.tv_nsec;
}

int main(int count, char **arguments)
{
	static const struct option options[] = {
		{ "watch", no_argument, NULL, 'w' },
		{}
	};
	const char *path = "pykit-record.dat";
	static struct loaded loaded;
	struct ring_buffer *records;
	u32 mib = 16;
	struct dat *dat;
	u64 lost, looked;
	pid_t child;
	int option, status = 0, err;

	while ((option = getopt_long(count, arguments, "+o:b:wh", options, NULL)) != -1) {
		if (option == 'o')
			path = optarg;
		else if (option == 'b')
			mib = atoi(optarg);
		else if (option == 'w')
			watching = 1;
		else
			usage(option == 'h' ? 0 : EXIT_USAGE);
	}
	if (!mib || mib > 1024 || mib & (mib - 1))
		usage(EXIT_USAGE);
	check();
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	signal(SIGHUP, stop);
	err = load(&loaded, mib);
	if (err == -ENOENT)
		refuse("the virtio core is not there, or without BTF: modprobe virtio_pci (and"
		       " virtio_mmio) first");
	if (err == -EPERM)
		refuse("the kernel lets this user load no BPF programs: run it as root");
	if (err)
		refuse("the kernel does not take the programs: run it with"
		       " PYKIT_RECORD_DEBUG=1 and report what it prints");
	dat = dat_open(path);
	if (!dat) {
		fprintf(stderr, "pykit-record: %s cannot be written: %s: name another with -o\n",
			path, strerror(errno));
		return EXIT_INFRA;
	}
	records = ring_buffer__new(bpf_object__find_map_fd_by_name(loaded.object, "records"),
				   take, dat, NULL);
	if (!records || attach(&loaded)) {
		detach(&loaded);
		refuse("the kernel cannot be hooked");
	}
	fprintf(stderr, "pykit-record: recording to %s\n", path);
	child = start(arguments + optind);
	looked = now();
	watch_print(looked);
	while (!stopped) {
		err = ring_buffer__poll(records, 100);
		if (err < 0 && err != -EINTR)
			break;
		if (watching && now() - looked >= NS) {
			looked = now();
			watch_print(looked);
		}
		if (child && waitpid(child, &status, WNOHANG) == child)
			break;
	}
	detach(&loaded);
	if (err >= 0 || err == -EINTR)
		err = ring_buffer__consume(records);
	watch_print(now());
	lost = count_losses(&loaded);
	if (dat_close(dat, lost) || err < 0) {
		fprintf(stderr, "pykit-record: %s cannot be written: %s\n", path, strerror(errno));
		return EXIT_INFRA;
	}
	fprintf(stderr, "pykit-record: %s is written, %llu lost\n", path,
		(unsigned long long)lost);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
