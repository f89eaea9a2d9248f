/* The valve: workers that wait in epoll stop being woken, and are woken again, without their help. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "harness.h"

enum { SOCKET_NUMBER = 40, EPOLL_NUMBER = 41, KNOCKS = 60 };
#ifdef SYS_epoll_wait
#define EPOLL_WAIT SYS_epoll_wait
#else
#define EPOLL_WAIT SYS_epoll_pwait
#endif
#define DATA UINT64_C(0xfedcba9876543210)

struct listener {
	int fd;
	struct sockaddr_storage address;
	socklen_t length;
};

struct waiting {
	char key[16];
	pid_t pid;
	int pidfd;
	struct registration registration;
};

static struct listener listener_over(struct sockaddr *address, socklen_t length)
{
	struct listener l = {.fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), .length = sizeof l.address};
	CHECK(l.fd >= 0 && bind(l.fd, address, length) == 0 && listen(l.fd, 256) == 0);
	CHECK(getsockname(l.fd, (struct sockaddr *)&l.address, &l.length) == 0);
	return l;
}

static struct listener tcp(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	return listener_over((struct sockaddr *)&any, sizeof any);
}

/* A name of the kernel's own choice. */
static struct listener unix_stream(void)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	return listener_over((struct sockaddr *)&any, sizeof(sa_family_t));
}

static int knock(const struct listener *l)
{
	int fd = socket(l->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&l->address, l->length) == 0);
	return fd;
}

/* The name of the worker that answers. */
static char answer(int connection)
{
	char name = 0;
	struct pollfd readable = {.fd = connection, .events = POLLIN};
	CHECK_EQUAL(poll(&readable, 1, PATIENCE_MS), 1);
	CHECK_EQUAL(read(connection, &name, 1), 1);
	close(connection);
	return name;
}

/* Spawns a worker that waits for the held entry "socket", and returns once it does. */
static struct waiting wait_in_epoll(struct client *c, const char *name, uint32_t events, int number, int set)
{
	struct waiting w = {.registration = {0, set, number, text("socket"), 0, events, DATA}};
	char hex[16], at[16], in[16], byte;
	int told[2];
	CHECK(pipe2(told, O_CLOEXEC) == 0);
	snprintf(w.key, sizeof w.key, "%s", name);
	snprintf(hex, sizeof hex, "%x", events);
	snprintf(at, sizeof at, "%d", number);
	snprintf(in, sizeof in, "%d", set);
	struct order order = {.key = w.key, .path = self_path, .argv = {"w", "--worker", "epoll", hex, at, in, name}, .fd_count = 1,
			      .map_count = 2, .map = {{1, NULL, 0}, {3, "socket", 0}}};
	order.fds[0] = told[1];
	CHECK_EQUAL(spawn_order(c, &order), 0);
	w.pid = wait_child(c, w.key, 2).pid;
	close(told[1]);
	CHECK_EQUAL(read(told[0], &byte, 1), 1);
	close(told[0]);
	w.pidfd = sys_pidfd_open(w.pid);
	CHECK(w.pidfd >= 0);
	return w;
}

static void end_worker(struct client *c, struct waiting *w)
{
	CHECK_EQUAL(send_signal(c, w->key, SIGTERM), 0);
	CHECK_EQUAL(wait_child(c, w->key, 3).status, SIGTERM);
	CHECK_EQUAL(acknowledge(c, w->key), 0);
	close(w->pidfd);
}

static int turn_one(struct client *c, uint16_t type, const struct waiting *w)
{
	int32_t error = -1;
	CHECK_EQUAL(turn_valve(c, type, w->pidfd, &w->registration, 1, &error), 0);
	return error;
}

/* The events of the registration as the kernel shows them; its data has to be the worker's. */
static uint32_t events_of(const struct waiting *w)
{
	char path[64], line[256];
	uint32_t events = 0;
	size_t found = 0;
	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)w->pid, w->registration.epoll);
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	while (fgets(line, sizeof line, file) != NULL) {
		unsigned long long data;
		int number;
		if (sscanf(line, "tfd: %d events: %x data: %llx", &number, &events, &data) != 3)
			continue;
		CHECK_EQUAL(number, w->registration.number);
		CHECK(data == DATA);
		found++;
	}
	fclose(file);
	CHECK_EQUAL(found, 1);
	return events;
}

/* Until it has served all that it was woken for and waits again: what it was woken for it may still accept. */
static void wait_until_it_waits(const struct waiting *w)
{
	const uint32_t armed = w->registration.events | EPOLLERR | EPOLLHUP;
	long call = -1;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/syscall", (int)w->pid);
	while ((call != SYS_epoll_pwait && call != EPOLL_WAIT) || events_of(w) != armed) {
		FILE *file = fopen(path, "re");
		CHECK(file != NULL);
		if (fscanf(file, "%ld", &call) != 1)
			call = -1; /* running */
		fclose(file);
	}
}

/* ERR and HUP are always told. */
static const uint32_t kinds[][2] = {
	/* asked for, and what is left of it while the valve is closed */
	{EPOLLIN, 0},
	{EPOLLIN | EPOLLET, EPOLLET},
	{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, EPOLLET},
	{EPOLLIN | EPOLLONESHOT, EPOLLONESHOT},
	{EPOLLIN | EPOLLEXCLUSIVE, 0},
	{EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, 0},
};

static void turn_for_all_kinds(struct client *c, struct listener l)
{
	const uint32_t always = EPOLLERR | EPOLLHUP;
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
		int queued[8];
		struct waiting a = wait_in_epoll(c, "a", kinds[kind][0], SOCKET_NUMBER, EPOLL_NUMBER);
		struct waiting b = wait_in_epoll(c, "b", kinds[kind][0], SOCKET_NUMBER, EPOLL_NUMBER);
		CHECK_EQUAL(turn_one(c, REQUEST_QUIESCE, &a), 0);
		CHECK_EQUAL(turn_one(c, REQUEST_QUIESCE, &a), 0); /* again: nothing changes */
		CHECK_EQUAL(events_of(&a), kinds[kind][1] | always);
		for (int i = 0; i < KNOCKS; i++)
			CHECK_EQUAL(answer(knock(&l)), 'b');
		/* Nobody is there for these until one is opened again. */
		wait_until_it_waits(&b);
		CHECK_EQUAL(turn_one(c, REQUEST_QUIESCE, &b), 0);
		for (size_t i = 0; i < 8; i++)
			queued[i] = knock(&l);
		CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &a), 0);
		for (size_t i = 0; i < 8; i++)
			CHECK_EQUAL(answer(queued[i]), 'a');
		CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &a), 0);
		for (int i = 0; i < 8; i++)
			CHECK_EQUAL(answer(knock(&l)), 'a');
		wait_until_it_waits(&a); /* with the events and the data that it had */
		CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &b), 0);
		end_worker(c, &a);
		CHECK_EQUAL(answer(knock(&l)), 'b');
		end_worker(c, &b);
	}
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

static void workers_on_tcp(struct client *c)
{
	attach(c);
	turn_for_all_kinds(c, tcp());
}

static void workers_on_unix(struct client *c)
{
	attach(c);
	turn_for_all_kinds(c, unix_stream());
}

/*
 * Many workers in one request, each with another number for the same socket: some of those are what the helper has the socket or
 * the epoll descriptors of the next ones at.
 */
static void many_workers_are_turned_at_once(struct client *c)
{
	enum { WORKERS = 24, ROUNDS = 4 };
	static struct waiting w[WORKERS];
	struct registration r[WORKERS * ROUNDS];
	int32_t errors[WORKERS * ROUNDS];
	int pidfds[WORKERS];
	char name[4];
	struct listener l = tcp();
	attach(c);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	for (int i = 0; i < WORKERS; i++) {
		snprintf(name, sizeof name, "%c", 'a' + i);
		w[i] = wait_in_epoll(c, name, EPOLLIN | (i % 3 == 0 ? EPOLLEXCLUSIVE : 0), 4 + (i * 7) % WORKERS, 60);
		pidfds[i] = w[i].pidfd;
	}
	for (size_t i = 0; i < WORKERS * ROUNDS; i++) {
		r[i] = w[i % WORKERS].registration;
		r[i].process = (uint16_t)(i % WORKERS);
	}
	r[WORKERS].epoll = 61; /* one of them is not there */
	CHECK_EQUAL(turn_valves(c, REQUEST_QUIESCE, pidfds, WORKERS, r, WORKERS * ROUNDS, errors), 0);
	for (int i = 0; i < WORKERS * ROUNDS; i++)
		CHECK_EQUAL(errors[i], i == WORKERS ? EBADF : 0);
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQUAL(events_of(&w[i]), EPOLLERR | EPOLLHUP);
	CHECK_EQUAL(turn_valves(c, REQUEST_RESUME, pidfds, WORKERS, r, WORKERS, errors), 0);
	for (int i = 0; i < WORKERS; i++)
		CHECK_EQUAL(events_of(&w[i]), w[i].registration.events | EPOLLERR | EPOLLHUP);
	for (int i = 0; i < WORKERS; i++)
		end_worker(c, &w[i]);
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

/* Whatever the keeper has at the numbers that the worker uses: the socket, the epoll descriptor, its own channel. */
static void numbers_of_the_worker_do_not_meet_the_keepers(struct client *c)
{
	struct listener l = tcp();
	attach(c);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	for (int number = 4; number < 24; number++) {
		struct waiting w = wait_in_epoll(c, "w", EPOLLIN | (number % 2 == 0 ? EPOLLEXCLUSIVE : 0), number, number + 1);
		int32_t errors[3] = {-1, -1, -1};
		struct registration same[3] = {w.registration, w.registration, w.registration};
		CHECK_EQUAL(turn_valve(c, REQUEST_QUIESCE, w.pidfd, same, 3, errors), 0);
		CHECK(errors[0] == 0 && errors[1] == 0 && errors[2] == 0);
		CHECK_EQUAL(events_of(&w), EPOLLERR | EPOLLHUP);
		CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &w), 0);
		CHECK_EQUAL(answer(knock(&l)), 'w');
		end_worker(c, &w);
	}
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

static void each_registration_has_its_own_answer(struct client *c)
{
	struct listener l = tcp();
	struct record record;
	struct frame frame;
	attach(c);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	struct listener other = tcp();
	CHECK_EQUAL(hold(c, "other", text(""), false, &other.fd, 1), 0);
	struct waiting w = wait_in_epoll(c, "w", EPOLLIN, SOCKET_NUMBER, EPOLL_NUMBER);
	struct registration r[6] = {w.registration, w.registration, w.registration, w.registration, w.registration, w.registration};
	int32_t errors[6];
	r[0].epoll = 77;                 /* nothing is there */
	r[1].epoll = SOCKET_NUMBER;      /* no epoll set */
	r[2].number = 3;                 /* the same socket, not registered under this number */
	r[3].held_key = text("other");   /* the number, of another socket */
	r[4].events |= EPOLLEXCLUSIVE;   /* not what it is, but it can be done: replaced */
	CHECK_EQUAL(turn_valve(c, REQUEST_QUIESCE, w.pidfd, r, 6, errors), 0);
	CHECK_EQUAL(errors[0], EBADF);
	CHECK_EQUAL(errors[1], EINVAL);
	CHECK_EQUAL(errors[2], ENOENT);
	CHECK_EQUAL(errors[3], ENOENT);
	CHECK_EQUAL(errors[4], 0);
	CHECK_EQUAL(errors[5], 0);
	CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &w), 0);
	CHECK_EQUAL(answer(knock(&l)), 'w');

	/* A held descriptor that is not there is an error of the whole, and nothing is done. */
	r[1] = r[0] = w.registration;
	r[1].held_key = text("gone");
	CHECK_EQUAL(turn_valve(c, REQUEST_QUIESCE, w.pidfd, r, 2, errors), ENOENT);
	r[1].held_key = text("socket");
	r[1].held_index = 1;
	CHECK_EQUAL(turn_valve(c, REQUEST_QUIESCE, w.pidfd, r, 2, errors), ENOENT);
	CHECK_EQUAL(events_of(&w), EPOLLIN | EPOLLERR | EPOLLHUP);

	CHECK_EQUAL(turn_valve(c, REQUEST_QUIESCE, l.fd, &w.registration, 1, errors), 0);
	CHECK_EQUAL(errors[0], EBADF); /* no pidfd */
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "w", &frame, &record), 0);
	frame_free(&frame);
	int pidfd = w.pidfd;
	w.pidfd = -1;
	end_worker(c, &w);
	w.pidfd = pidfd;
	CHECK_EQUAL(turn_one(c, REQUEST_QUIESCE, &w), ESRCH);
	close(pidfd);
	close(l.fd);
	close(other.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	CHECK_EQUAL(release(c, "other"), 0);
	end_scenario(c);
}

/* The registration that a program has removed itself is not brought back. */
static void nothing_is_made_that_is_not_there(struct client *c)
{
	struct listener l = tcp();
	attach(c);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	struct waiting w = wait_in_epoll(c, "w", EPOLLIN, SOCKET_NUMBER, EPOLL_NUMBER);
	struct waiting never = w;
	never.registration.number = 3;
	CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &never), ENOENT);
	never.registration.events |= EPOLLEXCLUSIVE;
	CHECK_EQUAL(turn_one(c, REQUEST_RESUME, &never), ENOENT);
	CHECK_EQUAL(events_of(&w), EPOLLIN | EPOLLERR | EPOLLHUP); /* one registration, as it was */
	end_worker(c, &w);
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

/* The helpers are nobody's children to report, and those that are, are reported as ever. */
static void exits_in_between_are_told(struct client *c)
{
	struct listener l = tcp();
	char key[32];
	attach(c);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	struct waiting w = wait_in_epoll(c, "w", EPOLLIN, SOCKET_NUMBER, EPOLL_NUMBER);
	for (int i = 0; i < 50; i++) {
		struct order order = {.path = self_path, .argv = {"w", "--worker", "exit", "7"}};
		snprintf(key, sizeof key, "exits-%d", i);
		order.key = key;
		CHECK_EQUAL(spawn_order(c, &order), 0);
		CHECK_EQUAL(turn_one(c, i % 2 == 0 ? REQUEST_QUIESCE : REQUEST_RESUME, &w), 0);
	}
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof key, "exits-%d", i);
		CHECK_EQUAL(wait_child(c, key, 3).status, 7 << 8);
		CHECK_EQUAL(acknowledge(c, key), 0);
	}
	CHECK_EQUAL(answer(knock(&l)), 'w');
	end_worker(c, &w);
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

/* A worker may have a higher limit of descriptors than its keeper has. */
static void a_number_above_the_limit_is_refused(struct client *c)
{
	struct listener l = tcp();
	attach(c);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	struct waiting w = wait_in_epoll(c, "w", EPOLLIN, 250, 251);
	struct rlimit low = {.rlim_cur = 200, .rlim_max = 200};
	CHECK(prlimit(getppid(), RLIMIT_NOFILE, &low, NULL) == 0);
	CHECK_EQUAL(turn_one(c, REQUEST_QUIESCE, &w), EMFILE);
	CHECK_EQUAL(events_of(&w), EPOLLIN | EPOLLERR | EPOLLHUP);
	CHECK_EQUAL(answer(knock(&l)), 'w');
	end_worker(c, &w);
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

/* The runner is root's. */
static void a_process_of_another_user_is_not_touched(struct client *c)
{
	char path[64], word[64];
	int runner = 0;
	struct listener l = tcp();
	attach(c);
	snprintf(path, sizeof path, "/proc/%d/status", (int)getppid());
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	while (runner == 0 && fscanf(file, "%63s", word) == 1)
		if (strcmp(word, "PPid:") == 0)
			CHECK_EQUAL(fscanf(file, "%d", &runner), 1);
	fclose(file);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &l.fd, 1), 0);
	struct waiting w = {.pid = runner, .pidfd = sys_pidfd_open(runner), .registration = {0, 0, 0, text("socket"), 0, EPOLLIN, 0}};
	CHECK(w.pidfd >= 0);
	CHECK_EQUAL(turn_one(c, REQUEST_QUIESCE, &w), EPERM);
	close(w.pidfd);
	close(l.fd);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "workers on TCP are turned off and on", .run = workers_on_tcp},
	{.name = "workers on a unix socket are turned off and on", .run = workers_on_unix},
	{.name = "workers of an unprivileged keeper are turned off and on", .run = workers_on_tcp, .unprivileged = true},
	{.name = "a keeper that is PID 1 turns them as well", .run = workers_on_unix, .pid_1 = true},
	{.name = "numbers of the worker do not meet the keeper's", .run = numbers_of_the_worker_do_not_meet_the_keepers},
	{.name = "many workers are turned at once", .run = many_workers_are_turned_at_once},
	{.name = "each registration has its own answer", .run = each_registration_has_its_own_answer},
	{.name = "nothing is made that is not there", .run = nothing_is_made_that_is_not_there},
	{.name = "exits in between are told", .run = exits_in_between_are_told},
	{.name = "a number above the limit of descriptors is refused", .run = a_number_above_the_limit_is_refused},
	{.name = "a process of another user is not touched", .run = a_process_of_another_user_is_not_touched, .unprivileged = true},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
