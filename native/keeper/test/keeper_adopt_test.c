/*
 * A keeper that takes the place of one that was killed. The scenario is the supervisor of the one before, which is alive here all the same and
 * only counts what is left; it starts the second keeper, whose own supervisor is the same scenario again, under `SUCCESSOR`.
 */
#define _GNU_SOURCE
#include "harness.h"

#include "../bare_calls.h"
#include "reexec_request.h"

enum { STARTS_BEFORE = 41, NOFILE_BEFORE = 77 };

static pid_t fork_worker(const char *mode, const char *argument)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl(self_path, self_path, "--worker", mode, argument, (char *)NULL);
		_exit(90);
	}
	CHECK(pid > 0);
	return pid;
}

/* A worker whose parent never reaps it. */
static pid_t fork_neglected(pid_t *parent)
{
	int ends[2];
	pid_t pid;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	*parent = fork();
	if (*parent == 0) {
		pid = fork_worker("pause", NULL);
		if (write(ends[1], &pid, sizeof pid) != sizeof pid)
			_exit(91);
		bare_close_range(3, ~0u); /* the channel of the second keeper too */
		for (;;)
			pause();
	}
	CHECK(read(ends[0], &pid, sizeof pid) == sizeof pid);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

/* The second keeper, and the channel to it in `next`. `scenario` is what its supervisor runs. */
static pid_t start_successor(struct client *next, const char *scenario)
{
	int ends[2];
	char keeper[4096], number[16], link[64];
	const int on = 1;
	snprintf(link, sizeof link, "/proc/%d/exe", (int)getppid());
	ssize_t length = readlink(link, keeper, sizeof keeper - 1);
	CHECK(length > 0);
	keeper[length] = '\0';
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	CHECK(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		int channel = dup(ends[1]); /* not close-on-exec */
		snprintf(number, sizeof number, "%d", channel);
		setenv("SUCCESSOR", "1", 1);
		execl(keeper, "holdfast-keeper", "--supervised-by", number, "--", self_path, "--supervise", scenario, (char *)NULL);
		_exit(94);
	}
	close(ends[1]);
	memset(next, 0, sizeof *next);
	next->fd = ends[0];
	next->keeper = pid;
	next->next_id = 1;
	return pid;
}

/* Reaps whatever ends, as an init would, until the second keeper has. */
static int wait_for_successor(pid_t keeper)
{
	for (;;) {
		int wait_status;
		pid_t pid = waitpid(-1, &wait_status, 0);
		CHECK(pid > 0);
		if (pid == keeper)
			return wait_status;
	}
}

static struct record running(const char *key, pid_t pid)
{
	struct record record = {.state = 2, .pid = pid, .started = 5, .signals = 1u << (SIGHUP - 1), .tag = text("a tag")};
	snprintf(record.key, sizeof record.key, "%s", key);
	return record;
}

static void adopt_running(struct client *c, const char *key, pid_t pid)
{
	struct record record = running(key, pid);
	int pidfd = sys_pidfd_open(pid);
	CHECK(pidfd >= 0);
	CHECK_EQUAL(adopt(c, &record, &pidfd, 1, 0), 0);
	close(pidfd);
}

static bool kernel_tells_exits(void)
{
	struct sys_pidfd_info info = {.mask = SYS_PIDFD_INFO_EXIT};
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	int pidfd = sys_pidfd_open(pid);
	waitpid(pid, NULL, 0);
	bool tells = sys_pidfd_get_info(pidfd, &info) == 0 && (info.mask & SYS_PIDFD_INFO_EXIT) != 0;
	close(pidfd);
	return tells;
}

static void expect_end(struct record record, int wait_status)
{
	bool tells = kernel_tells_exits();
	CHECK_EQUAL(record.state, tells ? 3 : 5);
	CHECK_EQUAL(record.status, tells ? wait_status : 0);
	CHECK_EQUAL(record.by, 2);
	CHECK(record.ended > record.started && record.started == 5);
}

/* The supervisor that the second keeper starts once it has everything. */
static _Noreturn void succeed(struct client *c)
{
	struct frame frame;
	struct record record;
	struct hello hello = attach(c);
	char byte;
	CHECK_EQUAL(hello.starts, STARTS_BEFORE + 1);
	CHECK_EQUAL(hello.nofile, NOFILE_BEFORE);
	CHECK_EQUAL(list_all(c, TABLE_HELD, NULL), 1);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "pipe", &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, 1);
	CHECK_EQUAL(read(frame.fds[0], &byte, 1), 1);
	CHECK_EQUAL(byte, 'p');
	frame_free(&frame);
	CHECK_EQUAL(release(c, "pipe"), 0);

	record = wait_child(c, "runs", 2);
	CHECK_EQUAL(record.signals, 1u << (SIGHUP - 1));
	CHECK_EQUAL(acknowledge(c, "runs"), EBUSY);
	CHECK_EQUAL(send_signal(c, "runs", SIGTERM), 0);
	record = wait_child(c, "runs", kernel_tells_exits() ? 3 : 5);
	expect_end(record, SIGTERM);
	CHECK_EQUAL(record.signals, (1u << (SIGHUP - 1)) | (1u << (SIGTERM - 1)));
	CHECK_EQUAL(send_signal(c, "runs", SIGTERM), ESRCH);
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "runs", &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, 0);
	frame_free(&frame);
	CHECK_EQUAL(acknowledge(c, "runs"), 0);

	expect_end(wait_child(c, "exits", kernel_tells_exits() ? 3 : 5), 3 << 8);
	CHECK_EQUAL(acknowledge(c, "exits"), 0);
	record = wait_child(c, "had-exited", 3);
	CHECK(record.status == 7 << 8 && record.utime == 12 && record.max_rss == 99 && record.ended == 9);
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "had-exited", &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, 1);
	frame_free(&frame);
	CHECK_EQUAL(acknowledge(c, "had-exited"), 0);

	wait_child(c, "neglected", 2);
	CHECK_EQUAL(send_signal(c, "neglected", SIGKILL), 0);
	record = wait_child(c, "neglected", 3);
	CHECK_EQUAL(record.status, SIGKILL);
	CHECK_EQUAL(acknowledge(c, "neglected"), 0);

	/* Those that it starts itself are its children. */
	struct order order = {.key = "own", .path = self_path, .argv = {self_path, "--worker", "exit", "5"}};
	CHECK_EQUAL(spawn_order(c, &order), 0);
	record = wait_child(c, "own", 3);
	CHECK(record.by == 0 && record.status == 5 << 8);
	CHECK_EQUAL(acknowledge(c, "own"), 0);
	end_scenario(c);
}

static void what_another_keeper_had_is_adopted(struct client *c)
{
	struct client next;
	int ends[2];
	pid_t parent;
	if (getenv("SUCCESSOR") != NULL)
		succeed(c);
	attach(c);
	CHECK_EQUAL(handed_over(c, 1, 0), EPERM);
	pid_t keeper = start_successor(&next, getuid() == 0 ? "what another keeper had is adopted"
							    : "what another keeper had is adopted by an unprivileged keeper");
	CHECK_EQUAL(attach(&next).starts, 0);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQUAL(write(ends[1], "p", 1), 1);
	CHECK_EQUAL(hold(&next, "pipe", text(""), false, &ends[0], 1), 0);
	adopt_running(&next, "runs", fork_worker("pause", NULL));
	adopt_running(&next, "exits", fork_worker("exit", "3"));
	adopt_running(&next, "neglected", fork_neglected(&parent));
	struct record had = {.key = "had-exited", .state = 3, .pid = 5, .started = 4, .ended = 9, .status = 7 << 8, .utime = 12, .max_rss = 99};
	CHECK_EQUAL(adopt(&next, &had, &ends[0], 1, 0), 0);
	CHECK_EQUAL(adopt(&next, &had, &ends[0], 1, 0), EEXIST);
	struct record wrong = running("wrong", 1);
	CHECK_EQUAL(adopt(&next, &wrong, NULL, 0, 0), EBADMSG);
	CHECK_EQUAL(adopt(&next, &wrong, ends, 1, 0), EBADF);
	close(ends[0]);
	close(ends[1]);
	CHECK_EQUAL(handed_over(&next, STARTS_BEFORE, NOFILE_BEFORE), 0);
	close(next.fd);
	CHECK_EQUAL(wait_for_successor(keeper), 0);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	end_scenario(c);
}

/* It knows only a part: a supervisor would start again what runs. */
static void half_of_what_another_keeper_had_starts_nothing(struct client *c)
{
	struct client next;
	CHECK(getenv("SUCCESSOR") == NULL);
	attach(c);
	pid_t keeper = start_successor(&next, "half of what another keeper had starts nothing");
	attach(&next);
	pid_t worker = fork_worker("pause", NULL);
	adopt_running(&next, "runs", worker);
	close(next.fd);
	int wait_status = wait_for_successor(keeper);
	CHECK(WIFEXITED(wait_status));
	CHECK_EQUAL(WEXITSTATUS(wait_status), 111);
	CHECK_EQUAL(waitpid(worker, NULL, WNOHANG), 0); /* it lives */
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	end_scenario(c);
}

static void a_stop_reaches_what_was_adopted(struct client *c)
{
	struct client next;
	if (getenv("SUCCESSOR") != NULL)
		die(); /* three of them, and the keeper stops by itself */
	attach(c);
	pid_t keeper = start_successor(&next, "a stop reaches what was adopted");
	attach(&next);
	pid_t worker = fork_worker("pause", NULL);
	adopt_running(&next, "runs", worker);
	kill(keeper, SIGTERM);
	CHECK_EQUAL(handed_over(&next, 1, 0), 0);
	close(next.fd);
	int wait_status = wait_for_successor(keeper);
	CHECK(WIFEXITED(wait_status));
	CHECK_EQUAL(WEXITSTATUS(wait_status), 128 + SIGTERM);
	CHECK(waitpid(worker, NULL, WNOHANG) != 0); /* it has ended, whoever has reaped it */
	end_scenario(c);
}

/* The supervisor of a keeper that has adopted, and becomes another program then. */
static _Noreturn void go_on_after_reexec(struct client *c)
{
	struct frame frame;
	struct record record;
	attach(c);
	wait_child(c, "runs", 2);
	wait_child(c, "neglected", 2);
	wait_child(c, "had-lost", 5);
	/* Whether its end was met before or is met after, it is told. */
	CHECK_EQUAL(send_signal(c, "neglected", SIGKILL), 0);
	reexec_done(c, "", 1);
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "had-lost", &frame, &record), 0);
	CHECK(record.state == 5 && record.by == 2 && frame.fd_count == 1);
	frame_free(&frame);
	CHECK_EQUAL(acknowledge(c, "had-lost"), 0);
	CHECK_EQUAL(wait_child(c, "neglected", 3).status, SIGKILL);
	CHECK_EQUAL(acknowledge(c, "neglected"), 0);

	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "runs", &frame, &record), 0);
	CHECK(record.state == 2 && record.by == 2 && record.started == 5 && frame.fd_count == 1);
	frame_free(&frame);
	reexec_done(c, "", 2);
	CHECK_EQUAL(send_signal(c, "runs", SIGTERM), 0);
	expect_end(wait_child(c, "runs", kernel_tells_exits() ? 3 : 5), SIGTERM);
	CHECK_EQUAL(acknowledge(c, "runs"), 0);
	end_scenario(c);
}

static void what_was_adopted_is_there_after_a_reexec(struct client *c)
{
	struct client next;
	pid_t parent;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (getenv("SUCCESSOR") != NULL)
		go_on_after_reexec(c);
	attach(c);
	pid_t keeper = start_successor(&next, getuid() == 0 ? "what was adopted is there after a re-exec"
							    : "what was adopted is there after a re-exec of an unprivileged keeper");
	attach(&next);
	adopt_running(&next, "runs", fork_worker("pause", NULL));
	adopt_running(&next, "neglected", fork_neglected(&parent));
	struct record had = {.key = "had-lost", .state = 5, .pid = 5, .started = 4, .ended = 9};
	CHECK_EQUAL(adopt(&next, &had, &null, 1, 0), 0);
	close(null);
	/* Whoever takes over would not know that only a part is there. */
	struct frame refusal = receive_reply(&next, post_reexec(&next, ""));
	CHECK_EQUAL(frame_error(&refusal), EBUSY);
	frame_free(&refusal);
	CHECK_EQUAL(handed_over(&next, STARTS_BEFORE, NOFILE_BEFORE), 0);
	close(next.fd);
	CHECK_EQUAL(wait_for_successor(keeper), 0);
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "what another keeper had is adopted", .run = what_another_keeper_had_is_adopted},
	{.name = "what another keeper had is adopted by an unprivileged keeper", .run = what_another_keeper_had_is_adopted,
	 .unprivileged = true},
	{.name = "half of what another keeper had starts nothing", .run = half_of_what_another_keeper_had_starts_nothing,
	 .says = "nothing is started"},
	{.name = "a stop reaches what was adopted", .run = a_stop_reaches_what_was_adopted},
	{.name = "what was adopted is there after a re-exec", .run = what_was_adopted_is_there_after_a_reexec},
	{.name = "what was adopted is there after a re-exec of an unprivileged keeper", .run = what_was_adopted_is_there_after_a_reexec,
	 .unprivileged = true},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
