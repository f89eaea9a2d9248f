/* Connections of other processes are ended in an orderly way, and nothing else is. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "harness.h"

struct pair {
	int client, server;
	ino_t inode; /* of the server's end */
};

static ino_t inode_of(int fd)
{
	struct stat file;
	CHECK(fstat(fd, &file) == 0);
	return file.st_ino;
}

static int listener_of(struct sockaddr *address, socklen_t *length)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && bind(fd, address, *length) == 0 && listen(fd, 8) == 0);
	*length = sizeof(struct sockaddr_storage);
	CHECK(getsockname(fd, address, length) == 0);
	return fd;
}

static int tcp_listener(struct sockaddr_storage *address, socklen_t *length)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	memcpy(address, &any, sizeof any);
	*length = sizeof any;
	return listener_of((struct sockaddr *)address, length);
}

static struct pair pair_over(int listener, const struct sockaddr_storage *address, socklen_t length)
{
	struct pair p = {.client = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	CHECK(p.client >= 0 && connect(p.client, (const struct sockaddr *)address, length) == 0);
	p.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	CHECK(p.server >= 0);
	p.inode = inode_of(p.server);
	return p;
}

static struct pair tcp_pair(void)
{
	struct sockaddr_storage address;
	socklen_t length;
	int listener = tcp_listener(&address, &length);
	struct pair p = pair_over(listener, &address, length);
	close(listener);
	return p;
}

static struct pair unix_pair(void)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX}; /* the kernel chooses a name */
	socklen_t length = sizeof(sa_family_t);
	int listener = listener_of((struct sockaddr *)&address, &length);
	struct pair p = pair_over(listener, &address, length);
	close(listener);
	return p;
}

static void close_pair(const struct pair *p)
{
	close(p->client);
	close(p->server);
}

/* What a read of it gives; waits for it. */
static ssize_t read_byte(int fd)
{
	char byte;
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	CHECK_EQUAL(poll(&readable, 1, PATIENCE_MS), 1);
	return read(fd, &byte, 1);
}

static bool is_silent(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	return poll(&readable, 1, 0) == 0;
}

/* The process itself is the other process: the keeper is its parent. */
static int32_t shut_own(struct client *c, int number, ino_t inode)
{
	int32_t error = -1;
	int pidfd = sys_pidfd_open(getpid());
	CHECK(pidfd >= 0);
	const struct connection connection = {0, number, inode, UINT64_MAX};
	CHECK_EQUAL(shut(c, &pidfd, 1, &connection, 1, &error), 0);
	close(pidfd);
	return error;
}

static void end_orderly(struct client *c, struct pair p)
{
	CHECK_EQUAL(write(p.server, "a", 1), 1);
	CHECK_EQUAL(shut_own(c, p.server, p.inode), 0);
	CHECK_EQUAL(read_byte(p.client), 1); /* what was sent before arrives, */
	CHECK_EQUAL(read_byte(p.client), 0); /* then the end, and no reset */
	CHECK_EQUAL(send(p.server, "b", 1, MSG_NOSIGNAL), -1);
	CHECK_EQUAL(errno, EPIPE);
	CHECK_EQUAL(write(p.client, "c", 1), 1); /* the other direction is open until the client closes it */
	CHECK_EQUAL(read_byte(p.server), 1);
	CHECK_EQUAL(shut_own(c, p.server, p.inode), 0); /* again: nothing changes */
	CHECK(is_silent(p.server));
	CHECK_EQUAL(shutdown(p.client, SHUT_WR), 0);
	CHECK_EQUAL(read_byte(p.server), 0);
	close_pair(&p);
}

static void clients_see_an_orderly_end(struct client *c)
{
	attach(c);
	end_orderly(c, tcp_pair());
	end_orderly(c, unix_pair());
	end_scenario(c);
}

/* One frame, in which only the first and the last may be done. */
static void each_connection_has_its_own_answer(struct client *c)
{
	attach(c);
	struct pair first = tcp_pair(), other = tcp_pair(), last = tcp_pair();
	int pipes[2], unconnected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(pipe2(pipes, O_CLOEXEC) == 0 && unconnected >= 0);
	const int pidfds[2] = {sys_pidfd_open(getpid()), pipes[0] /* no pidfd */};
	CHECK(pidfds[0] >= 0);
	const struct connection connections[] = {
		{0, first.server, first.inode, UINT64_MAX},
		{0, other.server, first.inode, UINT64_MAX},           /* the number is another socket's by now, */
		{0, pipes[0], inode_of(pipes[0]), UINT64_MAX},        /* or that of no socket */
		{0, 4000, other.inode, UINT64_MAX},                   /* or nobody's */
		{0, unconnected, inode_of(unconnected), UINT64_MAX},
		{1, other.server, other.inode, UINT64_MAX},
		{0, last.server, last.inode, UINT64_MAX},
	};
	const int32_t wanted[] = {0, ESTALE, ESTALE, EBADF, ENOTCONN, EBADF, 0};
	int32_t errors[7];
	CHECK_EQUAL(shut(c, pidfds, 2, connections, 7, errors), 0);
	for (int i = 0; i < 7; i++)
		CHECK_EQUAL(errors[i], wanted[i]);
	CHECK_EQUAL(read_byte(first.client), 0);
	CHECK_EQUAL(read_byte(last.client), 0);
	CHECK(is_silent(other.client));
	CHECK_EQUAL(write(pipes[1], "x", 1), 1);
	close(pidfds[0]);
	close(pipes[0]);
	close(pipes[1]);
	close(unconnected);
	close_pair(&first);
	close_pair(&other);
	close_pair(&last);
	end_scenario(c);
}

/* Somebody has asked something since it was looked at. */
static void what_has_moved_is_left_alone(struct client *c)
{
	attach(c);
	struct pair p = tcp_pair();
	int pidfd = sys_pidfd_open(getpid());
	CHECK(pidfd >= 0);
	const uint64_t received[] = {0, 1, 1};
	const int32_t wanted[] = {EBUSY, 0, 0};
	CHECK_EQUAL(write(p.client, "x", 1), 1);
	CHECK_EQUAL(read_byte(p.server), 1);
	for (int i = 0; i < 3; i++) {
		int32_t error = -1;
		const struct connection connection = {0, p.server, p.inode, received[i]};
		CHECK_EQUAL(shut(c, &pidfd, 1, &connection, 1, &error), 0);
		CHECK_EQUAL(error, wanted[i]);
		if (i == 0)
			CHECK(is_silent(p.client));
	}
	CHECK_EQUAL(read_byte(p.client), 0);
	close(pidfd);
	close_pair(&p);
	end_scenario(c);
}

static void a_listening_socket_goes_on(struct client *c)
{
	struct sockaddr_storage address;
	socklen_t length;
	attach(c);
	int listener = tcp_listener(&address, &length);
	(void)shut_own(c, listener, inode_of(listener)); /* whatever the answer is */
	struct pair p = pair_over(listener, &address, length);
	CHECK_EQUAL(write(p.client, "x", 1), 1);
	CHECK_EQUAL(read_byte(p.server), 1);
	close_pair(&p);
	close(listener);
	end_scenario(c);
}

static void as_many_as_a_frame_takes(struct client *c)
{
	enum { MOST = 256 };
	struct connection connections[MOST + 1];
	int32_t errors[MOST + 1];
	attach(c);
	struct pair p = tcp_pair();
	int pidfd = sys_pidfd_open(getpid());
	for (size_t i = 0; i < MOST + 1; i++)
		connections[i] = (struct connection){0, p.server, i == MOST - 1 ? p.inode : p.inode + 1, UINT64_MAX};
	CHECK_EQUAL(shut(c, &pidfd, 1, connections, MOST + 1, errors), EBADMSG);
	CHECK_EQUAL(shut(c, &pidfd, 1, connections, 0, errors), EBADMSG);
	CHECK_EQUAL(shut(c, &pidfd, 0, connections, 1, errors), EBADMSG); /* without the pidfd that it names */
	CHECK(is_silent(p.client));
	CHECK_EQUAL(shut(c, &pidfd, 1, connections, MOST, errors), 0);
	for (size_t i = 0; i < MOST; i++)
		CHECK_EQUAL(errors[i], i == MOST - 1 ? 0 : ESTALE);
	CHECK_EQUAL(read_byte(p.client), 0);
	close(pidfd);
	close_pair(&p);
	end_scenario(c);
}

static void a_process_that_has_ended_is_said_to_have(struct client *c)
{
	attach(c);
	struct pair p = tcp_pair();
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	int pidfd = sys_pidfd_open(pid), wait_status;
	const struct connection connection = {0, p.server, p.inode, UINT64_MAX};
	int32_t error = -1;
	CHECK(pidfd >= 0 && kill(pid, SIGKILL) == 0 && waitpid(pid, &wait_status, 0) == pid);
	CHECK_EQUAL(shut(c, &pidfd, 1, &connection, 1, &error), 0);
	CHECK_EQUAL(error, ESRCH);
	CHECK(is_silent(p.client));
	close(pidfd);
	close_pair(&p);
	end_scenario(c);
}

/* The runner is root's. */
static void a_process_of_another_user_is_not_touched(struct client *c)
{
	char path[64], word[64];
	int runner = 0;
	attach(c);
	snprintf(path, sizeof path, "/proc/%d/status", (int)getppid());
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	while (runner == 0 && fscanf(file, "%63s", word) == 1)
		if (strcmp(word, "PPid:") == 0)
			CHECK_EQUAL(fscanf(file, "%d", &runner), 1);
	fclose(file);
	int pidfd = sys_pidfd_open(runner);
	const struct connection connection = {0, 0, 1, UINT64_MAX};
	int32_t error = -1;
	CHECK(pidfd >= 0);
	CHECK_EQUAL(shut(c, &pidfd, 1, &connection, 1, &error), 0);
	CHECK_EQUAL(error, EPERM);
	close(pidfd);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "clients see an orderly end", .run = clients_see_an_orderly_end},
	{.name = "clients of an unprivileged keeper see one", .run = clients_see_an_orderly_end, .unprivileged = true},
	{.name = "each connection has its own answer", .run = each_connection_has_its_own_answer},
	{.name = "what has moved is left alone", .run = what_has_moved_is_left_alone},
	{.name = "a listening socket goes on", .run = a_listening_socket_goes_on},
	{.name = "as many as a frame takes", .run = as_many_as_a_frame_takes},
	{.name = "a process that has ended is said to have", .run = a_process_that_has_ended_is_said_to_have},
	{.name = "a process of another user is not touched", .run = a_process_of_another_user_is_not_touched, .unprivileged = true},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
