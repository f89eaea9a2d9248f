/*
 * What a supervisor had asked for before it died is done although the kernel refuses to hand it out, or to take the answer, for want of memory.
 * recvmsg(2) and sendmsg(2) are ours here: the keeper calls the first by its name, and the second fails by itself, since nobody is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../held.h"
#include "../keeper.h"

static struct keeper keeper;
enum { ALWAYS = -1 };
static int refused; /* of so many calls of recvmsg only each fourth one is carried out */

ssize_t recvmsg(int fd, struct msghdr *header, int flags)
{
	if (refused == ALWAYS || (refused > 0 && refused-- % 4 != 0)) {
		errno = refused % 2 == 0 ? ENOMEM : ENOBUFS;
		return -1;
	}
	return (ssize_t)syscall(SYS_recvmsg, fd, header, flags);
}

static void check_at(int line, int holds, const char *what)
{
	if (holds)
		return;
	printf("%s:%d: %s (errno %s)\n", __FILE__, line, what, strerror(errno));
	exit(1);
}

#define CHECK(condition) check_at(__LINE__, (condition) != 0, #condition)

static struct bytes text(const char *string)
{
	return (struct bytes){(const uint8_t *)string, strlen(string)};
}

static void ask(int fd, uint16_t type, const uint8_t *payload, size_t length)
{
	static uint8_t frame[FRAME_MAX];
	header_encode(frame, type, 1, length);
	memcpy(frame + FRAME_HEADER, payload, length);
	CHECK(send(fd, frame, FRAME_HEADER + length, 0) == (ssize_t)(FRAME_HEADER + length));
}

static void attach(int fd)
{
	uint8_t bytes[64];
	struct writer w = {.bytes = bytes, .capacity = sizeof bytes};
	writer_u16(&w, 1);
	writer_u16(&w, PROTOCOL_VERSION);
	writer_u32(&w, 0);
	writer_u8(&w, ATTACH_LEASE);
	ask(fd, REQUEST_ATTACH, bytes, w.at);
}

static void hold_note(int fd, const char *key)
{
	uint8_t bytes[64];
	struct writer w = {.bytes = bytes, .capacity = sizeof bytes};
	writer_key(&w, text(key));
	writer_tag(&w, text(""));
	writer_u8(&w, 0);
	ask(fd, REQUEST_HOLD, bytes, w.at);
}

static size_t drained(int refusals)
{
	const int on = 1;
	int ends[2];
	char key[16];
	struct keeper *k = &keeper;
	memset(k, 0, sizeof *k);
	k->channel.fd = k->supervisor.status_fd = -1;
	successor_init(&k->successor);
	k->reserved_from = 1000;
	CHECK(loop_open(&k->loop) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	CHECK(channel_open(k, &k->channel, ends[0], getpid()) == 0);
	attach(ends[1]);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "%d", i);
		hold_note(ends[1], key);
	}
	close(ends[1]);
	refused = refusals;
	channel_drain(k, &k->channel);
	CHECK(k->channel.fd == -1);
	close(k->loop.epoll);
	size_t count = k->tables[TABLE_HELD].count;
	while (k->tables[TABLE_HELD].count != 0)
		CHECK(held_release(k, k->tables[TABLE_HELD].entries[0]->key) == 0);
	return count;
}

int main(void)
{
	CHECK(drained(0) == 20);
	CHECK(drained(40) == 20);
	CHECK(drained(ALWAYS) == 0); /* and it comes to an end where memory never comes back */
	return 0;
}
