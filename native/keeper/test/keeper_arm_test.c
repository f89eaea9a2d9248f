/* Armed starts: every kind of descriptor, with and without a supervisor, and what becomes of the entries they watch. */
#define _GNU_SOURCE
#include "harness.h"

#include <netinet/in.h>
#include <sys/un.h>

static struct order armed_order(const char *key, const char *mode)
{
	return (struct order){.key = key, .path = self_path, .argv = {self_path, "--worker", mode, "0"}};
}

static void expect_fired(struct client *c, const char *key)
{
	struct record r = wait_child(c, key, 3);
	CHECK_EQUAL(r.by, 1);
	CHECK_EQUAL(r.status, 0);
	CHECK_EQUAL(acknowledge(c, key), 0);
}

/* Everything that became ready before this has been seen by the keeper: it handles one event after the other, in turn. */
static void expect_quiet(struct client *c)
{
	for (int i = 0; i < 20; i++)
		CHECK_EQUAL(heartbeat(c, 0), 0);
	CHECK_EQUAL(c->event_count, 0);
	CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 0);
}

static int listen_tcp(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(fd, (struct sockaddr *)address, sizeof *address) == 0 && listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

static void expect_greeting(int connection)
{
	char greeting[2];
	struct pollfd readable = {.fd = connection, .events = POLLIN};
	CHECK_EQUAL(poll(&readable, 1, PATIENCE_MS), 1);
	CHECK_EQUAL(read(connection, greeting, 2), 2);
	close(connection);
}

static void arm_acceptor(struct client *c, const char *key, const char *socket_key)
{
	struct order order = armed_order(key, "accept");
	order.map_count = 1;
	order.map[0].target = 3;
	order.map[0].held = socket_key;
	CHECK_EQUAL(arm_order(c, &order, socket_key, NULL), 0);
}

static void a_connection_starts_its_server(struct client *c)
{
	struct sockaddr_in tcp;
	struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
	attach(c);
	int listener = listen_tcp(&tcp);
	CHECK_EQUAL(hold(c, "tcp", text(""), false, &listener, 1), 0);
	close(listener);
	arm_acceptor(c, "tcp-server", "tcp");
	expect_quiet(c);
	int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(connection, (struct sockaddr *)&tcp, sizeof tcp) == 0);
	expect_greeting(connection);
	expect_fired(c, "tcp-server");
	expect_quiet(c);

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof unix_address; /* an abstract name that the kernel picks */
	CHECK(bind(listener, (struct sockaddr *)&unix_address, sizeof(sa_family_t)) == 0 && listen(listener, 8) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&unix_address, &length) == 0);
	CHECK_EQUAL(hold(c, "unix", text(""), false, &listener, 1), 0);
	close(listener);
	arm_acceptor(c, "unix-server", "unix");
	connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(connection, (struct sockaddr *)&unix_address, length) == 0);
	expect_greeting(connection);
	expect_fired(c, "unix-server");
	CHECK_EQUAL(release(c, "tcp"), 0);
	CHECK_EQUAL(release(c, "unix"), 0);
	end_scenario(c);
}

/* Holds `fd`, arms a start on it, makes it ready by `wake`, and expects the start. */
static void expect_start_on(struct client *c, int fd, void (*wake)(int), int wake_fd)
{
	struct order order = armed_order("w", "exit");
	CHECK_EQUAL(hold(c, "fd", text(""), false, &fd, 1), 0);
	CHECK_EQUAL(arm_order(c, &order, "fd", NULL), 0);
	expect_quiet(c);
	wake(wake_fd);
	expect_fired(c, "w");
	expect_quiet(c);
	CHECK_EQUAL(release(c, "fd"), 0);
}

static void write_byte(int fd)
{
	CHECK_EQUAL(write(fd, "x", 1), 1);
}

static void close_it(int fd)
{
	close(fd);
}

static void every_kind_of_descriptor_triggers(struct client *c)
{
	int ends[2];
	char path[] = "/tmp/holdfast-keeper-test.XXXXXX", fifo[64];
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	attach(c);

	int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(bind(udp, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(getsockname(udp, (struct sockaddr *)&address, &length) == 0);
	CHECK(connect(sender, (struct sockaddr *)&address, length) == 0);
	expect_start_on(c, udp, write_byte, sender);

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
	expect_start_on(c, ends[0], write_byte, ends[1]);

	CHECK(mkdtemp(path) != NULL);
	snprintf(fifo, sizeof fifo, "%s/fifo", path);
	CHECK(mkfifo(fifo, 0600) == 0);
	int reader = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC), writer = open(fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(unlink(fifo) == 0 && rmdir(path) == 0);
	expect_start_on(c, reader, write_byte, writer);

	CHECK(pipe2(ends, O_CLOEXEC) == 0); /* a hang-up counts as readable */
	expect_start_on(c, ends[0], close_it, ends[1]);
	end_scenario(c);
}

static void an_arm_that_is_ready_already_fires_after_its_reply(struct client *c)
{
	int ends[2];
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	write_byte(ends[1]);
	CHECK_EQUAL(hold(c, "pipe", text(""), false, &ends[0], 1), 0);
	struct order order = armed_order("w", "exit");
	CHECK_EQUAL(arm_order(c, &order, "pipe", NULL), 0); /* receives the reply only if it comes first */
	CHECK_EQUAL(c->event_count, 0);
	expect_fired(c, "w");
	CHECK_EQUAL(release(c, "pipe"), 0);
	end_scenario(c);
}

/* The connection is made by the process that kills the supervisor, at once, before a new one can be there. */
static void an_arm_fires_without_a_supervisor(struct client *c)
{
	struct sockaddr_in tcp;
	struct frame frame;
	struct record r;
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		int listener = listen_tcp(&tcp);
		CHECK_EQUAL(hold(c, "tcp", text(""), false, &listener, 1), 0);
		arm_acceptor(c, "server", "tcp");
		CHECK_EQUAL(set_tag(c, TABLE_ARMS, "server", text("changed while armed")), 0);
		pid_t supervisor = getpid();
		if (fork() == 0) {
			int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
			kill(supervisor, SIGKILL);
			_exit(connect(connection, (struct sockaddr *)&tcp, sizeof tcp) == 0 && read(connection, &tcp, 2) == 2 ? 0 : 1);
		}
		for (;;)
			pause();
	}
	r = wait_child(c, "server", 3);
	CHECK_EQUAL(r.by, 1);
	CHECK_EQUAL(r.status, 0);
	CHECK(r.started < hello.when + 100 * 1000000); /* the next supervisor is not started before */
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "server", &frame, &r), 0);
	CHECK_EQUAL(bytes_compare(r.tag, text("changed while armed")), 0);
	frame_free(&frame);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 0);
	CHECK_EQUAL(acknowledge(c, "server"), 0);
	CHECK_EQUAL(release(c, "tcp"), 0);
	end_scenario(c);
}

static void all_arms_on_an_entry_fire(struct client *c)
{
	int a[2], b[2];
	const char *keys[] = {"w1", "w2", "w3"};
	attach(c);
	CHECK(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "a", text(""), false, &a[0], 1), 0);
	CHECK_EQUAL(hold(c, "b", text(""), false, &b[0], 1), 0);
	for (size_t i = 0; i < 3; i++) {
		struct order order = armed_order(keys[i], "exit");
		CHECK_EQUAL(arm_order(c, &order, "a", i == 1 ? "b" : i == 2 ? "a" : NULL), 0);
	}
	struct order only_b = armed_order("b only", "exit");
	CHECK_EQUAL(arm_order(c, &only_b, "b", NULL), 0);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 4);
	write_byte(a[1]);
	for (size_t i = 0; i < 3; i++)
		wait_child(c, keys[i], 3);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 1);
	write_byte(b[1]);
	expect_fired(c, "b only");
	for (size_t i = 0; i < 3; i++)
		CHECK_EQUAL(acknowledge(c, keys[i]), 0);
	CHECK_EQUAL(release(c, "a"), 0);
	CHECK_EQUAL(release(c, "b"), 0);
	end_scenario(c);
}

static void arms_follow_the_entry_that_they_name(struct client *c)
{
	int old[2], new[2], third[2];
	attach(c);
	CHECK(pipe2(old, O_CLOEXEC) == 0 && pipe2(new, O_CLOEXEC) == 0 && pipe2(third, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "e", text(""), false, &old[0], 1), 0);
	struct order order = armed_order("w", "exit");
	CHECK_EQUAL(arm_order(c, &order, "e", NULL), 0);
	CHECK_EQUAL(hold(c, "e", text(""), true, &new[0], 1), 0);
	write_byte(old[1]); /* our own reading end keeps that file open: a registration left behind would fire */
	expect_quiet(c);
	CHECK_EQUAL(release(c, "e"), 0);
	write_byte(new[1]);
	expect_quiet(c);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 1); /* its entry has gone, and it stays */
	CHECK_EQUAL(hold(c, "e", text(""), false, &third[0], 1), 0);
	expect_quiet(c);
	write_byte(third[1]);
	expect_fired(c, "w");

	CHECK_EQUAL(arm_order(c, &order, "e", NULL), 0);
	expect_fired(c, "w"); /* still readable */
	CHECK_EQUAL(release(c, "e"), 0);
	CHECK_EQUAL(hold(c, "e", text(""), false, &old[1], 1), 0); /* a writing end is never readable */
	CHECK_EQUAL(arm_order(c, &order, "e", NULL), 0);
	CHECK_EQUAL(release(c, "e"), 0);
	CHECK_EQUAL(call_key(c, REQUEST_DISARM, "w"), 0);
	end_scenario(c);
}

static void what_is_disarmed_does_not_start(struct client *c)
{
	int ends[2], kept[2];
	struct frame frame;
	struct record r;
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0 && pipe2(kept, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "e", text(""), false, &ends[0], 1), 0);
	struct order order = armed_order("w", "exit");
	order.fd_count = 2;
	order.fds[0] = kept[1];
	order.fds[1] = kept[0];
	order.map_count = 1;
	order.map[0].target = 1;
	order.keep_count = 1;
	order.keep[0] = 1;
	CHECK_EQUAL(arm_order(c, &order, "e", NULL), 0);
	CHECK_EQUAL(arm_order(c, &order, "e", NULL), EEXIST);
	CHECK_EQUAL(spawn_order(c, &order), EEXIST);
	CHECK_EQUAL(fetch(c, TABLE_ARMS, "w", &frame, &r), 0);
	CHECK_EQUAL(frame.fd_count, 1);
	CHECK_EQUAL(r.fd_count, 1);
	frame_free(&frame);
	close(kept[1]);
	struct pollfd end = {.fd = kept[0], .events = POLLIN};
	CHECK_EQUAL(poll(&end, 1, 0), 0); /* the arm has its writing end */
	CHECK_EQUAL(call_key(c, REQUEST_DISARM, "w"), 0);
	CHECK_EQUAL(call_key(c, REQUEST_DISARM, "w"), ENOENT);
	CHECK_EQUAL(poll(&end, 1, 0), 1);
	write_byte(ends[1]);
	expect_quiet(c);
	CHECK_EQUAL(release(c, "e"), 0);
	end_scenario(c);
}

static void what_cannot_be_watched_is_refused(struct client *c)
{
	int ends[2];
	char path[] = "/tmp/holdfast-keeper-test.XXXXXX";
	attach(c);
	int file = mkostemp(path, O_CLOEXEC);
	CHECK(file >= 0 && unlink(path) == 0 && pipe2(ends, O_CLOEXEC) == 0);
	struct order order = armed_order("w", "exit");
	CHECK_EQUAL(arm_order(c, &order, "nothing", NULL), ENOENT);
	CHECK_EQUAL(hold(c, "file", text(""), false, (int[]){ends[0], file}, 2), 0);
	CHECK_EQUAL(hold(c, "pipe", text(""), false, &ends[0], 1), 0);
	CHECK_EQUAL(arm_order(c, &order, "pipe", "file"), EPERM);
	CHECK_EQUAL(arm_order(c, &order, "pipe", "nothing"), ENOENT);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 0);
	write_byte(ends[1]);
	expect_quiet(c);
	char byte;
	CHECK_EQUAL(read(ends[0], &byte, 1), 1);
	CHECK_EQUAL(arm_order(c, &order, "pipe", NULL), 0);
	CHECK_EQUAL(hold(c, "pipe", text(""), true, &file, 1), EPERM);
	write_byte(ends[1]); /* the refused replacement has changed nothing */
	expect_fired(c, "w");
	CHECK_EQUAL(release(c, "pipe"), 0);
	CHECK_EQUAL(release(c, "file"), 0);
	end_scenario(c);
}

static void a_mapped_entry_may_be_gone_by_then(struct client *c)
{
	int ends[2];
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "trigger", text(""), false, &ends[0], 1), 0);
	CHECK_EQUAL(hold(c, "mapped", text(""), false, &ends[0], 1), 0);
	struct order order = armed_order("w", "exit");
	order.map_count = 1;
	order.map[0].held = "mapped";
	CHECK_EQUAL(arm_order(c, &order, "trigger", NULL), 0);
	CHECK_EQUAL(release(c, "mapped"), 0);
	write_byte(ends[1]);
	struct record r = wait_child(c, "w", 4);
	CHECK_EQUAL(r.stage, 8);
	CHECK_EQUAL(r.error, ENOENT);
	CHECK_EQUAL(r.pid, 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	CHECK_EQUAL(release(c, "trigger"), 0);
	end_scenario(c);
}

static void arms_are_bounded(struct client *c)
{
	int ends[2], error = 0, armed = 0;
	char key[16];
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "e", text(""), false, &ends[0], 1), 0);
	for (; error == 0; armed++) {
		snprintf(key, sizeof key, "%d", armed);
		struct order order = armed_order(key, "exit");
		error = arm_order(c, &order, "e", NULL);
	}
	CHECK_EQUAL(error, ENOMEM);
	CHECK_EQUAL(armed - 1, 1024);
	for (int i = 0; i < 1024; i++) {
		snprintf(key, sizeof key, "%d", i);
		CHECK_EQUAL(call_key(c, REQUEST_DISARM, key), 0);
	}
	CHECK_EQUAL(release(c, "e"), 0);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "a connection starts its server", .run = a_connection_starts_its_server},
	{.name = "every kind of descriptor triggers", .run = every_kind_of_descriptor_triggers},
	{.name = "an arm that is ready already fires after its reply", .run = an_arm_that_is_ready_already_fires_after_its_reply},
	{.name = "an arm fires without a supervisor", .run = an_arm_fires_without_a_supervisor},
	{.name = "all arms on an entry fire", .run = all_arms_on_an_entry_fire},
	{.name = "arms follow the entry that they name", .run = arms_follow_the_entry_that_they_name},
	{.name = "what is disarmed does not start", .run = what_is_disarmed_does_not_start},
	{.name = "what cannot be watched is refused", .run = what_cannot_be_watched_is_refused},
	{.name = "a mapped entry may be gone by then", .run = a_mapped_entry_may_be_gone_by_then},
	{.name = "arms are bounded", .run = arms_are_bounded},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
