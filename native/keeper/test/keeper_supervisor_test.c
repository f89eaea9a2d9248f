/* The supervisor's life as the keeper sees it, signals, and the keeper's own end. */
#define _GNU_SOURCE
#include "harness.h"

static uint64_t bit(int number)
{
	return UINT64_C(1) << (number - 1);
}

static void spawn_worker(struct client *c, const char *key, const char *mode, const char *argument)
{
	struct order order = {.key = key, .path = self_path, .argv = {self_path, "--worker", mode, argument}};
	CHECK_EQUAL(spawn_order(c, &order), 0);
	wait_child(c, key, 2);
}

/* What the keeper tells about itself is checked by the next supervisor; each ends in another way. */
static void the_end_of_a_supervisor_is_told_to_the_next(struct client *c)
{
	struct hello hello = attach(c);
	switch (hello.starts) {
	case 1:
		CHECK_EQUAL(hello.why, 0);
		die();
	case 2:
		CHECK(hello.why == 2 && hello.detail == SIGKILL && hello.when > hello.started);
		_exit(42);
	case 3:
		CHECK(hello.why == 1 && hello.detail == 42);
		CHECK_EQUAL(heartbeat(c, 50), 0);
		for (;;)
			pause();
	case 4:
		CHECK(hello.why == 3 && hello.detail == 0);
		CHECK_EQUAL(heartbeat(c, 50), 0);
		CHECK_EQUAL(heartbeat(c, 0), 0); /* stops the watching: nothing but the channel's end ends this one */
		close(c->fd);
		for (;;)
			pause();
	default:
		CHECK(hello.why == 4 && hello.detail == 0);
		end_scenario(c);
	}
}

static void a_supervisor_gets_what_it_is_promised(struct client *c)
{
	struct stat input, null;
	struct rlimit limit;
	sigset_t mask;
	for (int fd = 0; fd < 1000; fd++)
		CHECK_EQUAL(fcntl(fd, F_GETFD) >= 0, fd <= 3);
	CHECK_EQUAL(c->fd, 3);
	CHECK(fstat(0, &input) == 0 && stat("/dev/null", &null) == 0 && input.st_rdev == null.st_rdev);
	CHECK_EQUAL(getsid(0), getpid());
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK_EQUAL(limit.rlim_cur, 1000);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;
		CHECK_EQUAL(sigismember(&mask, number) == 1, false);
		CHECK(sigaction(number, NULL, &action) != 0 || action.sa_handler != SIG_IGN);
	}
	attach(c);
	end_scenario(c);
}

static uint64_t next_signals(struct client *c)
{
	struct frame event = next_event(c);
	CHECK_EQUAL(event.header.type, 193);
	struct reader r = frame_reader(&event);
	uint64_t bits = reader_u64(&r);
	CHECK(reader_done(&r));
	frame_free(&event);
	return bits;
}

static void signals_are_forwarded_and_a_stop_stays_asked_for(struct client *c)
{
	struct hello hello;
	uint64_t told = 0;
	pid_t keeper = getppid();
	hello = attach(c);
	if (hello.starts == 1) {
		kill(keeper, SIGUSR1);
		CHECK_EQUAL(next_signals(c), bit(SIGUSR1));
		kill(keeper, SIGUSR2);
		kill(keeper, SIGHUP);
		kill(keeper, SIGTERM);
		while (told != (bit(SIGUSR2) | bit(SIGHUP) | bit(SIGTERM)))
			told |= next_signals(c);
		kill(keeper, SIGUSR2);
		CHECK_EQUAL(next_signals(c), bit(SIGUSR2));
		die();
	}
	CHECK_EQUAL(next_signals(c), bit(SIGTERM));
	CHECK_EQUAL(heartbeat(c, 0), 0);
	CHECK_EQUAL(c->event_count, 0);
	end_scenario(c);
}

static void shut_down_kills_what_is_left(struct client *c)
{
	int ends[2];
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "e", text(""), false, &ends[0], 1), 0);
	struct order armed = {.key = "armed", .path = "/bin/true", .argv = {"true"}};
	CHECK_EQUAL(arm_order(c, &armed, "e", NULL), 0);
	spawn_worker(c, "one", "pause", NULL);
	spawn_worker(c, "two", "ignore-term", NULL);
	CHECK_EQUAL(shut_down(c, 17), 0);
	CHECK_EQUAL(write(ends[1], "x", 1), 1);
	struct order late = {.key = "late", .path = "/bin/true", .argv = {"true"}};
	CHECK_EQUAL(spawn_order(c, &late), ESHUTDOWN);
	CHECK_EQUAL(arm_order(c, &late, "e", NULL), ESHUTDOWN);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 0);
	CHECK_EQUAL(WTERMSIG(wait_child(c, "one", 3).status), SIGKILL);
	CHECK_EQUAL(WTERMSIG(wait_child(c, "two", 3).status), SIGKILL);
	_exit(3);
}

static void a_supervisor_that_stays_after_shut_down_is_killed(struct client *c)
{
	attach(c);
	CHECK_EQUAL(shut_down(c, 18), 0);
	for (;;)
		pause();
}

static void shut_down_in_the_last_words_counts(struct client *c)
{
	struct writer w = payload();
	attach(c);
	writer_u8(&w, 19);
	post(c, REQUEST_SHUT_DOWN, w, NULL, 0, 0);
	die();
}

static void leave_an_orphan(struct client *c)
{
	int in[2], out[2];
	char number[16] = "";
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	struct order order = {.key = "w", .path = self_path, .argv = {self_path, "--worker", "fork-away", "x"}};
	order.fd_count = order.map_count = 2;
	order.fds[0] = in[0];
	order.fds[1] = out[1];
	order.map[1].target = 1;
	order.map[1].index = 1;
	CHECK_EQUAL(spawn_order(c, &order), 0);
	close(in[0]);
	close(out[1]);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	for (size_t length = 0; read(out[0], number + length, 1) == 1;)
		length++;
	pid_t orphan = atoi(number);
	CHECK(orphan > 0 && kill(orphan, 0) == 0);
	CHECK_EQUAL(count_children(getppid(), getpid()), 1); /* it is the keeper's now */
	int pidfd = sys_pidfd_open(orphan);
	close(in[1]);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	CHECK_EQUAL(poll(&end, 1, PATIENCE_MS), 1);
	for (int i = 0; i < 1000 && kill(orphan, 0) == 0; i++) /* a zombie until the keeper gets to it */
		CHECK_EQUAL(heartbeat(c, 0), 0);
	CHECK_EQUAL(kill(orphan, 0), -1);
	CHECK_EQUAL(c->event_count, 0);
	close(pidfd);
	close(out[0]);
}

static void orphans_are_reaped_in_silence(struct client *c)
{
	attach(c);
	leave_an_orphan(c);
	end_scenario(c);
}

/* The orphan waits for the end of a pipe whose other end it has itself. The runner finds whoever outlives the keeper. */
static void orphans_do_not_outlive_the_keeper(struct client *c)
{
	int in[2], out[2];
	char letter;
	attach(c);
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	struct order order = {.key = "w", .path = self_path, .argv = {self_path, "--worker", "fork-away", "x"}};
	order.fd_count = order.map_count = 3;
	order.fds[0] = in[0];
	order.fds[1] = out[1];
	order.fds[2] = in[1];
	order.map[1].target = order.map[1].index = 1;
	order.map[2].target = 3;
	order.map[2].index = 2;
	CHECK_EQUAL(spawn_order(c, &order), 0);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	CHECK_EQUAL(read(out[0], &letter, 1), 1);
	CHECK_EQUAL(count_children(getppid(), getpid()), 1);
	CHECK_EQUAL(shut_down(c, 20), 0);
	_exit(0);
}

static void without_a_supervisor_the_keeper_stops_by_itself(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		spawn_worker(c, "polite", "pause", NULL);
		spawn_worker(c, "stubborn", "ignore-term", NULL);
		kill(getppid(), SIGINT);
		die();
	}
	/* The second attaches, hangs up, and takes a second to be killed: the grace is over before. */
	close(c->fd);
	for (;;)
		pause();
}

static void a_stop_outlives_supervisors_that_crash_over_it(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		spawn_worker(c, "polite", "pause", NULL);
		kill(getppid(), SIGTERM);
	}
	CHECK(hello.starts <= 3);
	CHECK_EQUAL(next_signals(c), bit(SIGTERM));
	die();
}

static void it_is_pid_1(struct client *c)
{
	struct hello hello = attach(c);
	CHECK_EQUAL(hello.keeper, 1);
	CHECK_EQUAL(getppid(), 1);
	if (hello.starts == 1) {
		spawn_worker(c, "w", "pause", NULL);
		kill(1, SIGTERM);
		CHECK_EQUAL(next_signals(c), bit(SIGTERM));
		die();
	}
	CHECK_EQUAL(next_signals(c), bit(SIGTERM));
	wait_child(c, "w", 2);
	CHECK_EQUAL(send_signal(c, "w", SIGTERM), 0);
	CHECK_EQUAL(WTERMSIG(wait_child(c, "w", 3).status), SIGTERM);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	leave_an_orphan(c);
	end_scenario(c);
}

/* As if what it is read from did not answer. */
static void one_that_hangs_before_it_attaches_is_replaced(struct client *c)
{
	char first[64];
	snprintf(first, sizeof first, "/tmp/holdfast-keeper-test-%d", (int)getppid());
	int fd = open(first, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (fd >= 0)
		pause();
	struct hello hello = attach(c);
	CHECK(unlink(first) == 0);
	CHECK(hello.why == 3 && hello.starts >= 2);
	CHECK_EQUAL(heartbeat(c, 0), 0);
	end_scenario(c);
}

static void exits_unattached(struct client *c)
{
	(void)c;
	_exit(6);
}

static void exits_unattached_with_zero(struct client *c)
{
	(void)c;
	_exit(0);
}

static const struct scenario scenarios[] = {
	{.name = "the end of a supervisor is told to the next", .run = the_end_of_a_supervisor_is_told_to_the_next,
	 .says = "missed its heartbeat"},
	{.name = "one that hangs before it attaches is replaced", .run = one_that_hangs_before_it_attaches_is_replaced,
	 .attach = "500", .says = "did not attach in time and was killed"},
	{.name = "a supervisor gets what it is promised", .run = a_supervisor_gets_what_it_is_promised, .nofile = {300, 1000}, .not_in_valgrind = true},
	{.name = "signals are forwarded and a stop stays asked for", .run = signals_are_forwarded_and_a_stop_stays_asked_for,
	 .says = "was killed by SIGKILL; started again in 100 ms"},
	{.name = "shut down kills what is left", .run = shut_down_kills_what_is_left, .exit_code = 17},
	{.name = "a supervisor that stays after shut down is killed", .run = a_supervisor_that_stays_after_shut_down_is_killed,
	 .exit_code = 18},
	{.name = "shut down in the last words counts", .run = shut_down_in_the_last_words_counts, .exit_code = 19},
	{.name = "orphans are reaped in silence", .run = orphans_are_reaped_in_silence},
	{.name = "orphans are reaped in silence by an unprivileged keeper", .run = orphans_are_reaped_in_silence,
	 .unprivileged = true},
	{.name = "orphans do not outlive the keeper", .run = orphans_do_not_outlive_the_keeper, .exit_code = 20},
	{.name = "without a supervisor the keeper stops by itself", .run = without_a_supervisor_the_keeper_stops_by_itself,
	 .grace = "200", .exit_code = 128 + SIGINT},
	{.name = "a stop outlives supervisors that crash over it", .run = a_stop_outlives_supervisors_that_crash_over_it,
	 .exit_code = 128 + SIGTERM},
	{.name = "it is PID 1", .run = it_is_pid_1, .pid_1 = true},
	{.name = "a program that is not there", .run = exits_unattached, .program = "/nowhere/supervisor", .exit_code = 127,
	 .says = "cannot execute /nowhere/supervisor: No such file or directory"},
	{.name = "a program that never attaches", .run = exits_unattached, .exit_code = 6, .says = "given up"},
	{.name = "a program that never attaches and exits with 0", .run = exits_unattached_with_zero, .exit_code = 70},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
