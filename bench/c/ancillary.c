/*
 * The floor: sendmsg + recvmsg + close on a stream pair, once for each iteration.
 * `ancillary thread`: with a second thread that sleeps, because the kernel counts references to files only where threads share them, as in Node.
 * Reads lines `LOOP ITERATIONS` and answers each with nanoseconds of processor time for one iteration. LOOP: bytes, fd, fds, credentials.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL_MAX = 256, FDS_MAX = 16 };

struct channel {
	int sender, receiver, file;
};

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static size_t add_message(uint8_t *control, int type, const void *payload, size_t size)
{
	struct cmsghdr *header = (struct cmsghdr *)(void *)control;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = type;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), payload, size);
	return CMSG_SPACE(size);
}

static void send_one(const struct channel *channel, size_t fd_count, int with_credentials)
{
	alignas(8) uint8_t control[CONTROL_MAX];
	struct iovec data = {.iov_base = (char[]){1}, .iov_len = 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	if (fd_count > 0) {
		int fds[FDS_MAX];
		for (size_t i = 0; i < fd_count; i++)
			fds[i] = channel->file;
		message.msg_controllen = add_message(control, SCM_RIGHTS, fds, fd_count * sizeof *fds);
	} else if (with_credentials) {
		struct ucred credentials = {getpid(), geteuid(), getegid()};
		message.msg_controllen = add_message(control, SCM_CREDENTIALS, &credentials, sizeof credentials);
	}
	message.msg_control = message.msg_controllen > 0 ? control : NULL;
	if (sendmsg(channel->sender, &message, MSG_NOSIGNAL) != 1)
		fail("sendmsg");
}

/* Returns how many descriptors and credentials came; the descriptors are closed. */
static size_t receive_one(const struct channel *channel)
{
	alignas(8) uint8_t control[CONTROL_MAX];
	char byte;
	struct iovec data = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	if (recvmsg(channel->receiver, &message, MSG_CMSG_CLOEXEC) != 1)
		fail("recvmsg");
	size_t found = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (size_t i = 0; i < count; i++) {
				int fd;
				memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
				close(fd);
			}
			found += count;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			found++;
		}
	}
	return found;
}

/* Of this process: what others do with the processor meanwhile does not count. */
static double processor_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc > 1 && strcmp(argv[1], "thread") == 0 && pthread_create(&thread, NULL, sleep_on, NULL) != 0)
		fail("pthread_create");
	char name[32];
	long iterations;
	while (scanf("%31s %ld", name, &iterations) == 2) {
		struct channel channel;
		int ends[2];
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
			fail("socketpair");
		channel = (struct channel){ends[0], ends[1], open("/dev/null", O_RDONLY | O_CLOEXEC)};
		int credentials = strcmp(name, "credentials") == 0;
		size_t fd_count = strcmp(name, "fd") == 0 ? 1 : strcmp(name, "fds") == 0 ? FDS_MAX : 0;
		if (credentials && setsockopt(channel.receiver, SOL_SOCKET, SO_PASSCRED, &credentials, sizeof credentials) != 0)
			fail("setsockopt");
		double start = processor_ns();
		for (long i = 0; i < iterations; i++) {
			send_one(&channel, fd_count, credentials);
			if (receive_one(&channel) != fd_count + (size_t)credentials)
				fail("something else came");
		}
		printf("%.1f\n", (processor_ns() - start) / (double)iterations);
		fflush(stdout);
		close(channel.sender);
		close(channel.receiver);
		close(channel.file);
	}
	return 0;
}
