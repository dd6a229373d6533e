// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends bytes over a connection, both ways at once, and checks those that come.
 *
 *	gcc -static -O2 -o /tmp/stream stream.c
 *	/tmp/stream listen tcp:PORT|vsock:PORT MIB
 *	/tmp/stream connect tcp:ADDRESS:PORT|vsock:CID:PORT MIB
 *
 * The listening end serves one connection. One line says how it went; the exit
 * code is 0 if all was well, else 1. It gives up after two minutes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* After what it needs of the C library. */
#include <linux/vm_sockets.h>

#define CHUNK		65536
#define DEADLINE_S	120

union address {
	struct sockaddr any;
	struct sockaddr_in tcp;
	struct sockaddr_vm vsock;
};

static void fail(const char *format, ...)
{
	va_list args;

	printf("stream: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static int must(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(errno));
	return result;
}

/* Byte @at of what the end sends that connects, or the one that listens. */
static __u8 byte_at(__u64 at, bool connects)
{
	return (at * 2654435761u >> 16) ^ (at >> 8) ^ (connects ? 0x5a : 0);
}

static socklen_t parse(char *text, bool connects, union address *address)
{
	char *port = strrchr(text, ':');
	char *host = strchr(text, ':');

	if (!port || (connects && port == host))
		fail("%s: write tcp:ADDRESS:PORT or vsock:CID:PORT", text);
	*port++ = 0;
	memset(address, 0, sizeof(*address));
	if (!strncmp(text, "tcp", 3)) {
		address->tcp.sin_family = AF_INET;
		address->tcp.sin_port = htons(atoi(port));
		if (connects && !inet_aton(host + 1, &address->tcp.sin_addr))
			fail("%s: not an address", host + 1);
		return sizeof(address->tcp);
	}
	address->vsock.svm_family = AF_VSOCK;
	address->vsock.svm_port = atoi(port);
	address->vsock.svm_cid = connects ? (unsigned int)atoi(host + 1) :
					    VMADDR_CID_ANY;
	return sizeof(address->vsock);
}

/* The other end may still be about to listen. */
static int connect_to(const union address *address, socklen_t length)
{
	int fd;

	for (;;) {
		fd = must(socket(address->any.sa_family, SOCK_STREAM, 0), "socket");
		if (!connect(fd, &address->any, length))
			return fd;
		if (errno != ECONNREFUSED && errno != ECONNRESET)
			fail("connect: %s", strerror(errno));
		close(fd);
		usleep(100000);
	}
}

static int listen_at(const union address *address, socklen_t length)
{
	int fd = must(socket(address->any.sa_family, SOCK_STREAM, 0), "socket");

	must(bind(fd, &address->any, length), "bind");
	must(listen(fd, 1), "listen");
	return must(accept(fd, NULL, NULL), "accept");
}

static void exchange(int fd, bool connects, __u64 total)
{
	static __u8 out[CHUNK], in[CHUNK];
	struct pollfd pfd = { .fd = fd };
	__u64 sent = 0, got = 0;
	ssize_t done, i;

	must(fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	while (sent < total || got < total) {
		pfd.events = (sent < total ? POLLOUT : 0) |
			     (got < total ? POLLIN : 0);
		must(poll(&pfd, 1, -1), "poll");
		if (pfd.revents & POLLOUT) {
			size_t left = total - sent < CHUNK ? total - sent : CHUNK;

			for (i = 0; i < (ssize_t)left; i++)
				out[i] = byte_at(sent + i, connects);
			done = send(fd, out, left, MSG_NOSIGNAL);
			if (done < 0 && errno != EAGAIN)
				fail("send: %s", strerror(errno));
			sent += done > 0 ? done : 0;
		}
		if (pfd.revents & (POLLIN | POLLHUP | POLLERR)) {
			done = recv(fd, in, CHUNK, 0);
			if (!done || (done < 0 && errno != EAGAIN))
				fail("after %llu bytes: %s",
				     (unsigned long long)got,
				     done ? strerror(errno) : "end of file");
			for (i = 0; i < done; i++)
				if (in[i] != byte_at(got + i, !connects))
					fail("byte %llu is wrong",
					     (unsigned long long)got + i);
			got += done > 0 ? done : 0;
		}
	}
	/* Until the other end has all, too. */
	must(shutdown(fd, SHUT_WR), "shutdown");
	must(fcntl(fd, F_SETFL, 0), "fcntl");
	if (recv(fd, in, 1, 0) > 0)
		fail("more came than was sent");
}

int main(int argc, char **argv)
{
	union address address;
	socklen_t length;
	bool connects;
	__u64 mib;

	if (argc != 4)
		fail("usage: stream listen|connect ADDRESS MIB");
	alarm(DEADLINE_S);
	connects = !strcmp(argv[1], "connect");
	length = parse(argv[2], connects, &address);
	mib = strtoull(argv[3], NULL, 0);
	exchange(connects ? connect_to(&address, length) :
			    listen_at(&address, length), connects, mib << 20);
	printf("stream: %llu bytes each way, all right\n",
	       (unsigned long long)mib << 20);
	return 0;
}
