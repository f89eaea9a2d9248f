/* A record that goes on with another process than the one it was started with: whose end is told then, and how. */
#define _GNU_SOURCE
#include "harness.h"

#include "reexec_request.h"

/* A worker that has a child, which ends with 1 once a byte comes on `control`. */
struct family {
	pid_t parent, child;
	int pidfd, control;
};

static struct family start_family(struct client *c, const char *mode)
{
	int in[2], out[2];
	char said[32] = {0};
	size_t length = 0;
	ssize_t count;
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	struct order order = {.key = "w", .path = self_path, .argv = {self_path, "--worker", mode}};
	order.fd_count = order.map_count = 2;
	order.fds[0] = in[0];
	order.fds[1] = out[1];
	order.map[1].target = 1;
	order.map[1].index = 1;
	CHECK_EQUAL(spawn_order(c, &order), 0);
	close(in[0]);
	close(out[1]);
	while ((count = read(out[0], said + length, sizeof said - 1 - length)) > 0)
		length += (size_t)count;
	close(out[0]);
	struct family f = {.child = atoi(said), .control = in[1]};
	f.pidfd = sys_pidfd_open(f.child);
	CHECK(f.child > 0 && f.pidfd >= 0);
	return f;
}

static void end_child(const struct family *f)
{
	CHECK_EQUAL(write(f->control, "x", 1), 1);
	close(f->control);
	close(f->pidfd);
}

static struct record move_to_child(struct client *c, const struct family *f)
{
	CHECK_EQUAL(move(c, "w", f->child, f->pidfd), 0);
	struct record r;
	do
		r = wait_child(c, "w", 2);
	while (r.pid != f->child);
	CHECK(r.by == 8 && r.ended == 0 && r.status == 0 && r.signals == 0 && r.started > 0);
	return r;
}

/* Nobody is told of the process that it was: it is reaped as any orphan. */
static void end_former(struct client *c, pid_t parent)
{
	CHECK_EQUAL(kill(parent, SIGKILL), 0);
	while (count_children(getppid(), getpid()) > 1 || kill(parent, 0) == 0)
		CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 1);
}

static void check_running(struct client *c, pid_t pid)
{
	struct frame frame;
	struct record r;
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "w", &frame, &r), 0);
	CHECK(r.state == 2 && r.pid == pid && frame.fd_count == 1);
	frame_free(&frame);
	CHECK_EQUAL(acknowledge(c, "w"), EBUSY);
}

static void it_may_have_ended_before(struct client *c)
{
	attach(c);
	struct family f = start_family(c, "fork-away");
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	move_to_child(c, &f);
	check_running(c, f.child);
	reexec_done(c, "", 1);
	check_running(c, f.child);
	end_child(&f);
	struct record r = wait_child(c, "w", 3);
	CHECK(r.pid == f.child && r.status == 1 << 8 && r.max_rss > 0 && r.ended > r.started);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void the_end_of_the_former_one_is_not_told(struct client *c)
{
	attach(c);
	struct family f = start_family(c, "parent");
	f.parent = wait_child(c, "w", 2).pid;
	CHECK_EQUAL(send_signal(c, "w", SIGCONT), 0);
	move_to_child(c, &f);
	end_former(c, f.parent);
	check_running(c, f.child);
	CHECK_EQUAL(send_signal(c, "w", SIGTERM), 0);
	struct record r = wait_child(c, "w", 3);
	CHECK(r.pid == f.child && r.status == SIGTERM && r.max_rss > 0 && r.signals == 1u << (SIGTERM - 1));
	close(f.control);
	close(f.pidfd);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void somebody_else_may_reap_it(struct client *c)
{
	attach(c);
	struct family f = start_family(c, "parent");
	f.parent = wait_child(c, "w", 2).pid;
	move_to_child(c, &f);
	int pidfd = dup(f.pidfd);
	end_child(&f);
	struct sys_pidfd_info info = {.mask = SYS_PIDFD_INFO_EXIT};
	while (sys_pidfd_send_signal(pidfd, 0) == 0) /* until it is reaped */
		CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 1);
	bool tells = sys_pidfd_get_info(pidfd, &info) == 0 && (info.mask & SYS_PIDFD_INFO_EXIT) != 0;
	close(pidfd);
	struct record r = wait_child(c, "w", tells ? 3 : 5);
	CHECK(r.pid == f.child && r.status == (tells ? 1 << 8 : 0));
	CHECK_EQUAL(kill(f.parent, SIGKILL), 0);
	while (kill(f.parent, 0) == 0)
		CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 1);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void it_may_go_back(struct client *c)
{
	attach(c);
	struct family f = start_family(c, "parent");
	f.parent = wait_child(c, "w", 2).pid;
	int pidfd = sys_pidfd_open(f.parent);
	move_to_child(c, &f);
	CHECK_EQUAL(move(c, "w", f.parent, pidfd), 0);
	end_child(&f);
	check_running(c, f.parent);
	close(pidfd);
	CHECK_EQUAL(send_signal(c, "w", SIGTERM), 0);
	struct record r = wait_child(c, "w", 3);
	CHECK(r.pid == f.parent && r.status == SIGTERM);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	while (count_children(getppid(), getpid()) > 0) /* its child, which is an orphan now */
		CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 0);
	end_scenario(c);
}

static void what_is_no_process_is_refused(struct client *c)
{
	attach(c);
	struct family f = start_family(c, "fork-away");
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	CHECK_EQUAL(move(c, "v", f.child, f.pidfd), ENOENT);
	CHECK_EQUAL(move(c, "w", f.child, -1), EBADMSG);
	CHECK_EQUAL(move(c, "w", 0, f.pidfd), EBADMSG);
	CHECK_EQUAL(move(c, "w", f.child, f.control), EBADF);
	int pidfd = dup(f.pidfd);
	end_child(&f);
	while (sys_pidfd_send_signal(pidfd, 0) == 0)
		CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 1);
	CHECK_EQUAL(move(c, "w", f.child, pidfd), ESRCH);
	close(pidfd);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	struct order order = {.key = "x", .path = "/nonexistent", .argv = {"x"}};
	CHECK_EQUAL(spawn_order(c, &order), 0);
	wait_child(c, "x", 4);
	pidfd = sys_pidfd_open(getpid());
	CHECK_EQUAL(move(c, "x", getpid(), pidfd), ESRCH);
	close(pidfd);
	CHECK_EQUAL(acknowledge(c, "x"), 0);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "it may have ended before", .run = it_may_have_ended_before},
	{.name = "the end of the former one is not told", .run = the_end_of_the_former_one_is_not_told},
	{.name = "somebody else may reap it", .run = somebody_else_may_reap_it},
	{.name = "it may go back", .run = it_may_go_back},
	{.name = "what is no process is refused", .run = what_is_no_process_is_refused},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
