// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /dev/pykit-loopback has to refuse is, and how; and what it has to live
 * through. The same for /dev/pykit-vhost-probe. A refused device leaves one line
 * in the kernel's log, everything else none. Whoever may not have memory is
 * refused as /dev/mem refuses him, where that is there to be asked.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/virtio_blk.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loopback.h"

#define PAGE		4096UL
#define MIB		0x100000UL
#define NO_SUCH_FD	9999
/* An id that no driver is for. */
#define NOBODYS_ID	63
#define CONFIG_BYTES	8
#define ROUNDS		30
#define GOES_WITHIN_MS	20000

/* A device's file, and eventfds for its queues. */
struct client {
	int fd;
	int kick;
	int call;
};

static unsigned int number, wrong;
/* Devices that were there before. */
static unsigned int others;
static int kernel_log = -1;

/* Lines about the loopback that the kernel has said since the last time; a splat is many. */
static unsigned int lines_logged(void)
{
	unsigned int count = 0;
	char line[4096];
	ssize_t length;

	while ((length = read(kernel_log, line, sizeof(line) - 1)) > 0 ||
	       (length < 0 && errno == EPIPE)) {
		if (length < 0)
			continue;
		line[length] = '\0';
		count += !!strstr(line, "pykit-loopback");
		if (strstr(line, "cut here") || strstr(line, "BUG:"))
			count += 100;
	}
	return count;
}

static void report(const char *name, int got, int want, unsigned int lines)
{
	unsigned int said = lines_logged();

	number++;
	if (got == want && said == lines) {
		say("ok %u - %s", number, name);
		return;
	}
	wrong++;
	say("not ok %u - %s # %s instead of %s, %u lines in the log instead of %u",
	    number, name, strerror(got), strerror(want), said, lines);
}

static void expect(const char *name, long result, int error)
{
	report(name, result < 0 ? errno : 0, error, 0);
}

static struct client open_client(void)
{
	struct client c = {
		.fd = must(open(PYKIT_LOOPBACK_DEV, O_RDWR | O_CLOEXEC),
			   PYKIT_LOOPBACK_DEV),
		.kick = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"),
		.call = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd"),
	};

	return c;
}

static void close_client(struct client *c)
{
	close(c->fd);
	close(c->kick);
	close(c->call);
}

static int set_events(struct client *c, unsigned int queue, int kick, int call)
{
	struct pykit_loopback_events events = {
		.queue = queue, .kick = kick, .call = call,
	};

	return ioctl(c->fd, PYKIT_LOOPBACK_SET_EVENTS, &events);
}

static struct pykit_loopback_device sound(void)
{
	struct pykit_loopback_device about = {
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM),
		.id = NOBODYS_ID,
		.num_queues = 1,
		.config_len = CONFIG_BYTES,
		.bounce_mib = 1,
		.queues[0].size = 64,
	};

	return about;
}

static int create(struct client *c)
{
	struct pykit_loopback_device about = sound();

	return ioctl(c->fd, PYKIT_LOOPBACK_CREATE, &about);
}

static struct client created(void)
{
	struct client c = open_client();

	must(set_events(&c, 0, c.kick, c.call), "PYKIT_LOOPBACK_SET_EVENTS");
	must(create(&c), "PYKIT_LOOPBACK_CREATE");
	return c;
}

static unsigned int virtio_devices(void)
{
	DIR *dir = opendir("/sys/bus/virtio/devices");
	unsigned int count = 0;

	if (!dir)
		fail("/sys/bus/virtio/devices: %s", strerror(errno));
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* False if it takes too long until there are as many of ours as that. */
static bool becomes(unsigned int devices)
{
	unsigned int ms;

	for (ms = 0; ms < GOES_WITHIN_MS; ms += 10) {
		if (virtio_devices() == others + devices)
			return true;
		usleep(10000);
	}
	return false;
}

static void expect_devices(const char *name, unsigned int devices)
{
	report(name, becomes(devices) ? 0 : ETIMEDOUT, 0, 0);
}

/* The errno of an open() without CAP_SYS_RAWIO. */
static int open_without_right(const char *path)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];
	pid_t pid = fork();
	int status;

	must(pid, "fork");
	if (!pid) {
		must(syscall(SYS_capget, &header, caps), "capget");
		caps[0].effective &= ~BIT(CAP_SYS_RAWIO);
		must(syscall(SYS_capset, &header, caps), "capset");
		_exit(open(path, O_RDWR) < 0 ? errno : 0);
	}
	must(waitpid(pid, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static void check_right(void)
{
	bool reference = !access("/dev/mem", F_OK);

	report("open without CAP_SYS_RAWIO", open_without_right(PYKIT_LOOPBACK_DEV),
	       reference ? open_without_right("/dev/mem") : EPERM, 0);
}

static void check_addresses(void)
{
	static const struct {
		const char *name;
		unsigned long request;
	} requests[] = {
		{ "events at a bad address", PYKIT_LOOPBACK_SET_EVENTS },
		{ "a device at a bad address", PYKIT_LOOPBACK_CREATE },
		{ "the state to a bad address", PYKIT_LOOPBACK_STATE },
		{ "a serial at a bad address", PYKIT_LOOPBACK_DONE },
		{ "a configuration at a bad address", PYKIT_LOOPBACK_SET_CONFIG },
	};
	struct client c = open_client();
	unsigned int i;
	char *pages;

	for (i = 0; i < ARRAY_SIZE(requests); i++)
		expect(requests[i].name, ioctl(c.fd, requests[i].request, 8), EFAULT);
	pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(munmap(pages + PAGE, PAGE), "munmap");
	expect("a device that is there in part",
	       ioctl(c.fd, PYKIT_LOOPBACK_CREATE, pages + PAGE - 64), EFAULT);
	munmap(pages, PAGE);
	close_client(&c);
}

static void check_unknown(void)
{
	struct client c = open_client();
	char byte = 0;

	expect("an unknown ioctl", ioctl(c.fd, _IO(VHOST_VIRTIO, 0xff), 0), ENOTTY);
	expect("an ioctl of vhost", ioctl(c.fd, VHOST_SET_OWNER), ENOTTY);
	expect("read", read(c.fd, &byte, 1), EINVAL);
	expect("write", write(c.fd, &byte, 1), EINVAL);
	close_client(&c);
}

static void check_events(void)
{
	struct client c = open_client();

	expect("events of a queue too many",
	       set_events(&c, PYKIT_LOOPBACK_MAX_QUEUES, c.kick, c.call), EINVAL);
	expect("events of the last queue number", set_events(&c, ~0u, c.kick, c.call),
	       EINVAL);
	expect("a kick without a file", set_events(&c, 0, -1, c.call), EBADF);
	expect("a kick that is not open", set_events(&c, 0, NO_SUCH_FD, c.call),
	       EBADF);
	expect("a kick that is no eventfd", set_events(&c, 0, c.fd, c.call), EINVAL);
	expect("a call without a file", set_events(&c, 0, c.kick, -1), EBADF);
	expect("a call that is not open", set_events(&c, 0, c.kick, NO_SUCH_FD),
	       EBADF);
	expect("a call that is no eventfd", set_events(&c, 0, c.kick, c.fd), EINVAL);
	expect("events after all that", set_events(&c, 0, c.kick, c.call), 0);
	expect("events twice", set_events(&c, 0, c.kick, c.call), EBUSY);
	close_client(&c);
}

#define WITH(name, member, value)	{ name, &(member), sizeof(member), value }

static void check_devices(void)
{
	static struct pykit_loopback_device about;
	static const struct {
		const char *name;
		void *at;
		size_t bytes;
		__u64 value;
	} spoilt[] = {
		WITH("a device without an id", about.id, 0),
		WITH("a legacy device", about.features, BIT(VIRTIO_F_ACCESS_PLATFORM)),
		WITH("a device with packed rings", about.features,
		     BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) |
		     BIT(VIRTIO_F_RING_PACKED)),
		WITH("a device that bounces, without the feature", about.features,
		     BIT(VIRTIO_F_VERSION_1)),
		WITH("a device with the feature that does not bounce", about.bounce_mib, 0),
		WITH("a device with too much memory to bounce in", about.bounce_mib,
		     PYKIT_LOOPBACK_MAX_BOUNCE_MIB + 1),
		WITH("a configuration that is too long", about.config_len,
		     PYKIT_LOOPBACK_MAX_CONFIG + 1),
		WITH("interrupts that are too late", about.delay_ms,
		     PYKIT_LOOPBACK_MAX_DELAY_MS + 1),
		WITH("a device without queues", about.num_queues, 0),
		WITH("a device with too many queues", about.num_queues,
		     PYKIT_LOOPBACK_MAX_QUEUES + 1),
		WITH("a device with most queues", about.num_queues, ~0u),
		WITH("a queue without eventfds", about.num_queues, 2),
		WITH("an empty queue", about.queues[0].size, 0),
		WITH("a queue of 96", about.queues[0].size, 96),
		WITH("a queue of 65536", about.queues[0].size, 65536),
	};
	struct client c = open_client();
	unsigned int i;

	must(set_events(&c, 0, c.kick, c.call), "PYKIT_LOOPBACK_SET_EVENTS");
	for (i = 0; i < ARRAY_SIZE(spoilt); i++) {
		int result;

		about = sound();
		memcpy(spoilt[i].at, &spoilt[i].value, spoilt[i].bytes);
		result = ioctl(c.fd, PYKIT_LOOPBACK_CREATE, &about);
		report(spoilt[i].name, result < 0 ? errno : 0, EINVAL, 1);
	}
	expect_devices("none of them is there", 0);
	expect("a device after all that", create(&c), 0);
	expect_devices("which is there", 1);
	expect("a device twice", create(&c), EBUSY);
	expect("events of a device that is there", set_events(&c, 1, c.kick, c.call),
	       EBUSY);
	close_client(&c);
	expect_devices("a device whose file is closed goes", 0);
}

static int set_config(struct client *c, __u32 offset, __u32 len)
{
	struct pykit_loopback_config config = { .offset = offset, .len = len };

	return ioctl(c->fd, PYKIT_LOOPBACK_SET_CONFIG, &config);
}

static void check_state(void)
{
	struct client none = open_client(), c = created();
	struct pykit_loopback_state state;
	__u32 serial;

	expect("a configuration without a device", set_config(&none, 0, 1), EINVAL);
	expect("a configuration behind the end", set_config(&c, CONFIG_BYTES, 0),
	       EINVAL);
	expect("a configuration over the end", set_config(&c, 1, CONFIG_BYTES),
	       EINVAL);
	expect("a configuration that wraps", set_config(&c, 4, ~0u - 3), EINVAL);
	expect("a configuration from where it wraps", set_config(&c, ~0u, 2), EINVAL);
	expect("the whole configuration", set_config(&c, 0, CONFIG_BYTES), 0);
	must(ioctl(c.fd, PYKIT_LOOPBACK_STATE, &state), "PYKIT_LOOPBACK_STATE");
	serial = state.serial + 1;
	expect("a state that is not wanted",
	       ioctl(c.fd, PYKIT_LOOPBACK_DONE, &serial), EAGAIN);
	expect("a drain without a device", ioctl(none.fd, PYKIT_LOOPBACK_DRAIN), 0);
	close_client(&none);
	close_client(&c);
	expect_devices("the device of that state goes", 0);
}

static void expect_map(const char *name, struct client *c, int how,
		       unsigned long offset, size_t bytes, int error)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, how, c->fd, offset);

	report(name, at == MAP_FAILED ? errno : 0, error, 0);
	if (at != MAP_FAILED)
		munmap(at, bytes);
}

static void check_maps(void)
{
	struct client none = open_client(), c;
	void *pool;

	expect_map("memory, of one's own", &none, MAP_PRIVATE, 0x10000, PAGE, EINVAL);
	expect_map("the interrupt controller", &none, MAP_SHARED, 0xfee00000, PAGE,
		   EINVAL);
	expect_map("memory and what follows it", &none, MAP_SHARED, 0x90000, 0x20000,
		   EINVAL);
	expect_map("memory that wraps", &none, MAP_SHARED, -PAGE, 2 * PAGE, EOVERFLOW);
	expect_map("memory", &none, MAP_SHARED, 0x10000, PAGE, 0);
	close_client(&none);

	c = created();
	expect_map("a pool, of one's own", &c, MAP_PRIVATE, 0, MIB, EINVAL);
	expect_map("more than the pool", &c, MAP_SHARED, 0, MIB + PAGE, EINVAL);
	expect_map("what follows the pool", &c, MAP_SHARED, MIB, PAGE, EINVAL);
	expect_map("the pool", &c, MAP_SHARED, 0, MIB, 0);
	expect_devices("the device is there", 1);
	pool = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, c.fd, 0);
	close_client(&c);
	usleep(100000);
	expect_devices("a mapping keeps its device", 1);
	must(munmap(pool, MIB), "munmap");
	expect_devices("without it the device goes", 0);
}

/* A disk whose requests nobody serves; its driver waits for the first of them. */
static void check_unserved(bool acknowledged)
{
	struct pykit_loopback_device about = {
		.features = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_BLK_F_FLUSH),
		.id = VIRTIO_ID_BLOCK,
		.num_queues = 1,
		.config_len = sizeof(struct virtio_blk_config),
		.queues[0] = {
			.size = 64,
			.answers = 1,
			.answer_at = PYKIT_LOOPBACK_LAST,
			.answer = VIRTIO_BLK_S_IOERR,
		},
	};
	struct virtio_blk_config config = { .capacity = htole64(2048) };
	struct client c = open_client();
	struct pollfd asks = { .fd = c.fd, .events = POLLIN };
	struct pollfd kicks = { .fd = c.kick, .events = POLLIN };
	struct pykit_loopback_state state;

	memcpy(about.config, &config, sizeof(config));
	must(set_events(&c, 0, c.kick, c.call), "PYKIT_LOOPBACK_SET_EVENTS");
	must(ioctl(c.fd, PYKIT_LOOPBACK_CREATE, &about), "PYKIT_LOOPBACK_CREATE");
	if (poll(&asks, 1, GOES_WITHIN_MS) != 1)
		fail("no driver takes a disk");
	must(ioctl(c.fd, PYKIT_LOOPBACK_STATE, &state), "PYKIT_LOOPBACK_STATE");
	if (acknowledged)
		must(ioctl(c.fd, PYKIT_LOOPBACK_DONE, &state.serial),
		     "PYKIT_LOOPBACK_DONE");
	if (poll(&kicks, 1, GOES_WITHIN_MS) != 1)
		fail("the driver of a disk asks for nothing");
	close_client(&c);
	expect_devices(acknowledged ? "closed with requests in flight" :
		       "closed with requests in flight, before it was served",
		       0);
}

static int serves(int fd)
{
	__u32 index = 0;

	return ioctl(fd, PYKIT_VHOST_SERVES, &index);
}

/* The vhost probe watches back-ends of whoever asked first. */
static void check_probe(void)
{
	int status, fd = must(open(PYKIT_VHOST_PROBE_DEV, O_RDWR | O_CLOEXEC),
			      PYKIT_VHOST_PROBE_DEV);
	pid_t pid;

	expect("an unknown ioctl of the probe", ioctl(fd, PYKIT_VHOST_STOP), ENOTTY);
	expect("a device's index at a bad address", ioctl(fd, PYKIT_VHOST_SERVES, 8),
	       EFAULT);
	expect("a device's index", serves(fd), 0);
	expect("another index", serves(fd), 0);
	pid = must(fork(), "fork");
	if (!pid)
		_exit(serves(fd) < 0 ? errno : 0);
	must(waitpid(pid, &status, 0), "waitpid");
	report("an index by another process", WEXITSTATUS(status), EBUSY, 0);
	close(fd);
}

/* Returns something if it was this thread that made the device. */
static void *make(void *argument)
{
	struct client *c = argument;
	bool made = !create(c);

	ioctl(c->fd, PYKIT_LOOPBACK_DRAIN);
	set_config(c, 0, CONFIG_BYTES);
	return made ? c : NULL;
}

/* Two threads make the same device, and it goes while it may just be registered. */
static void check_races(void)
{
	unsigned int i, round, made = 0;

	for (round = 0; round < ROUNDS; round++) {
		struct client c = open_client();
		pthread_t threads[2];
		void *result;

		must(set_events(&c, 0, c.kick, c.call), "PYKIT_LOOPBACK_SET_EVENTS");
		for (i = 0; i < 2; i++)
			if (pthread_create(&threads[i], NULL, make, &c))
				fail("no thread");
		for (i = 0; i < 2; i++) {
			pthread_join(threads[i], &result);
			made += !!result;
		}
		close_client(&c);
	}
	report("of two who make a device one does", made == ROUNDS ? 0 : EBUSY, 0, 0);
	expect_devices("and all go", 0);
}

/* One line for each check; 0 if all was well. */
int run_checks(void)
{
	kernel_log = must(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC),
			  "/dev/kmsg");
	must(lseek(kernel_log, 0, SEEK_END), "/dev/kmsg");
	others = virtio_devices();
	check_right();
	check_addresses();
	check_unknown();
	check_events();
	check_devices();
	check_state();
	check_maps();
	check_probe();
	check_unserved(false);
	check_unserved(true);
	check_races();
	say("1..%u", number);
	say("loopback: %u checks, %u wrong", number, wrong);
	return wrong ? 1 : 0;
}
