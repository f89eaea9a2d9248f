/* Starts: what the process gets, in which stage it fails, how it ends, and who is told. */
#define _GNU_SOURCE
#include "report.h"

#include <sys/vfs.h>

static struct order worker_order(const char *key, const char *mode, const char *argument)
{
	return (struct order){.key = key, .path = self_path, .argv = {self_path, "--worker", mode, argument}};
}

static void spawn_worker(struct client *c, const char *key, const char *mode, const char *argument)
{
	struct order order = worker_order(key, mode, argument);
	CHECK_EQUAL(spawn_order(c, &order), 0);
}

static void an_exit_is_told_with_its_status(struct client *c)
{
	attach(c);
	spawn_worker(c, "seven", "exit", "7");
	struct record r = wait_child(c, "seven", 3);
	CHECK(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 7);
	CHECK(r.pid > 0 && r.started != 0 && r.ended > r.started && r.max_rss > 0);
	CHECK_EQUAL(r.by, 0);
	CHECK_EQUAL(r.stage, 0);
	spawn_worker(c, "killed", "raise", "9");
	r = wait_child(c, "killed", 3);
	CHECK(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGKILL);
	CHECK_EQUAL(r.signals, 0);
	CHECK_EQUAL(acknowledge(c, "seven"), 0);
	CHECK_EQUAL(acknowledge(c, "killed"), 0);
	CHECK_EQUAL(acknowledge(c, "killed"), ENOENT);
	end_scenario(c);
}

static void a_running_child_comes_with_its_pidfd(struct client *c)
{
	struct frame frame;
	struct record r;
	siginfo_t info;
	attach(c);
	struct order order = worker_order("w", "pause", NULL);
	order.tag = text("the tag");
	CHECK_EQUAL(spawn_order(c, &order), 0);
	CHECK_EQUAL(spawn_order(c, &order), EEXIST);
	struct frame event = next_event(c);
	CHECK_EQUAL(event.header.type, 192);
	CHECK_EQUAL(event.fd_count, 1);
	struct reader reader = frame_reader(&event);
	r = read_child(&reader);
	CHECK_EQUAL(r.state, 2);
	CHECK_EQUAL(bytes_compare(r.tag, text("the tag")), 0);
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "w", &frame, &r), 0);
	CHECK_EQUAL(frame.fd_count, 1);
	CHECK_EQUAL(r.state, 2);
	CHECK_EQUAL(acknowledge(c, "w"), EBUSY);
	CHECK_EQUAL(send_signal(c, "w", 0), 0);
	CHECK_EQUAL(send_signal(c, "w", 999), EINVAL);
	CHECK_EQUAL(send_signal(c, "v", SIGTERM), ENOENT);
	CHECK_EQUAL(set_tag(c, TABLE_CHILDREN, "w", text("another")), 0);
	CHECK_EQUAL(syscall(SYS_pidfd_send_signal, event.fds[0], SIGTERM, NULL, 0), 0);
	struct pollfd end = {.fd = frame.fds[0], .events = POLLIN};
	CHECK_EQUAL(poll(&end, 1, PATIENCE_MS), 1);
	CHECK_EQUAL(waitid(P_PIDFD, (id_t)frame.fds[0], &info, WEXITED | WNOHANG), -1); /* it is not ours to reap */
	CHECK_EQUAL(errno, ECHILD);
	frame_free(&frame);
	frame_free(&event);
	r = wait_child(c, "w", 3);
	CHECK_EQUAL(WTERMSIG(r.status), SIGTERM);
	CHECK_EQUAL(send_signal(c, "w", SIGTERM), ESRCH);
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "w", &frame, &r), 0);
	CHECK_EQUAL(frame.fd_count, 0);
	CHECK_EQUAL(bytes_compare(r.tag, text("another")), 0);
	frame_free(&frame);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void signals_are_remembered(struct client *c)
{
	struct frame frame;
	struct record r;
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		int ends[2];
		char byte;
		CHECK(pipe2(ends, O_CLOEXEC) == 0);
		struct order order = worker_order("w", "ignore-term", "tell");
		order.map_count = order.fd_count = 1;
		order.map[0].target = 1;
		order.fds[0] = ends[1];
		CHECK_EQUAL(spawn_order(c, &order), 0);
		CHECK_EQUAL(read(ends[0], &byte, 1), 1);
		CHECK_EQUAL(send_signal(c, "w", SIGTERM), 0);
		CHECK_EQUAL(send_signal(c, "w", SIGRTMAX), 0);
		die();
	}
	r = wait_child(c, "w", 3);
	CHECK_EQUAL(WTERMSIG(r.status), SIGRTMAX);
	CHECK_EQUAL(r.signals, UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGRTMAX - 1));
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "w", &frame, &r), 0);
	CHECK_EQUAL(r.signals, UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGRTMAX - 1));
	frame_free(&frame);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void a_failed_start_names_its_stage(struct client *c)
{
	attach(c);
	check_failure(c, (struct order){.limit_count = 1, .limits = {{99, 1, 1}}}, 4, EINVAL);
	check_failure(c, (struct order){.limit_count = 1, .limits = {{RLIMIT_NOFILE, 2, 1}}}, 4, EINVAL);
	check_failure(c, (struct order){.flags = START_OOM_SCORE_ADJ, .oom_score_adj = 5000}, 5, EINVAL);
	check_failure(c, (struct order){.map_count = 1, .map = {{1 << 30, NULL, 0}}, .fd_count = 1}, 8, EMFILE);
	check_failure(c, (struct order){.directory = "/nowhere"}, 10, ENOENT);
	check_failure(c, (struct order){.directory = "/dev/null"}, 10, ENOTDIR);
	check_failure(c, (struct order){.path = "/nowhere"}, 17, ENOENT);
	check_failure(c, (struct order){.path = "/"}, 17, EACCES);
	check_failure(c, (struct order){.path = "/dev/null"}, 17, EACCES);
	check_failure(c, (struct order){.path = ""}, 17, ENOENT);
	end_scenario(c);
}

static void who_may_not_is_told_so(struct client *c)
{
	attach(c);
	check_failure(c, (struct order){.limit_count = 1, .limits = {{RLIMIT_NOFILE, 1 << 20, UINT64_MAX}}}, 4, EPERM);
	check_failure(c, (struct order){.flags = START_OOM_SCORE_ADJ, .oom_score_adj = -900}, 5, EACCES);
	check_failure(c, (struct order){.flags = START_NICE, .nice = -5}, 6, EACCES);
	check_failure(c, (struct order){.flags = START_GROUPS, .group_count = 1, .groups = {0}}, 11, EPERM);
	check_failure(c, (struct order){.identity = true, .uid = UNPRIVILEGED_ID, .gid = 0}, 12, EPERM);
	check_failure(c, (struct order){.identity = true, .uid = 0, .gid = UNPRIVILEGED_ID}, 13, EPERM);
	/* No more processes for this user: the fork itself fails, and no process is named. */
	struct rlimit before, none = {0, 0};
	CHECK(prlimit(getppid(), RLIMIT_NPROC, NULL, &before) == 0);
	none.rlim_max = before.rlim_max;
	CHECK(prlimit(getppid(), RLIMIT_NPROC, &none, NULL) == 0);
	check_failure(c, (struct order){.directory = NULL}, 1, EAGAIN);
	CHECK(prlimit(getppid(), RLIMIT_NPROC, &before, NULL) == 0);
	spawn_worker(c, "w", "exit", "0");
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void identity_and_limits_are_as_asked(struct client *c)
{
	attach(c);
	const char *report = report_of(c, &(struct order){
		.flags = START_SETSID | START_NO_NEW_PRIVS | START_UMASK | START_NICE | START_OOM_SCORE_ADJ | START_GROUPS |
			 START_IGNORE_SIGPIPE,
		.identity = true, .uid = 12345, .gid = 12346, .group_count = 2, .groups = {4001, 4002}, .umask = 0027, .nice = 3,
		.oom_score_adj = 77, .directory = "/tmp", .limit_count = 1, .limits = {{RLIMIT_NOFILE, 99, 100}},
	});
	CHECK(says(report, "uid 12345") && says(report, "gid 12346"));
	CHECK(says(report, "group 4001") && says(report, "group 4002") && count_lines(report, "group ") == 2);
	CHECK(says(report, "Umask:\t0027") && says(report, "nice 3") && says(report, "oom_score_adj 77"));
	CHECK(says(report, "session 1") && says(report, "cwd /tmp") && says(report, "NoNewPrivs:\t1"));
	CHECK(says(report, "nofile 99 100"));
	CHECK(says(report, "SigIgn:\t0000000000001000") && says(report, "SigBlk:\t0000000000000000"));
	end_scenario(c);
}

/* The keeper was started with soft 200 and hard 1000: it raises its own, and gives children what it had. */
static void nothing_asked_is_nothing_changed(struct client *c)
{
	struct rlimit own;
	attach(c);
	const char *report = report_of(c, &(struct order){.env = {"ONLY=this"}});
	CHECK(says(report, "nofile 200 1000"));
	CHECK(says(report, "session 0") && says(report, "NoNewPrivs:\t0"));
	CHECK(says(report, "SigIgn:\t0000000000000000") && says(report, "SigBlk:\t0000000000000000"));
	CHECK(says(report, "env ONLY=this"));
	CHECK_EQUAL(count_lines(report, "env "), 1);
	CHECK_EQUAL(count_lines(report, "fd "), 1);
	CHECK(getrlimit(RLIMIT_NOFILE, &own) == 0);
	CHECK_EQUAL(own.rlim_cur, 1000);
	end_scenario(c);
}

static void listen_and_watchdog_pid_are_the_childs_own(struct client *c)
{
	char line[64];
	int pid = 0;
	struct statfs filesystem;
	attach(c);
	const char *report = report_of(c, &(struct order){.flags = START_LISTEN_PID | START_WATCHDOG_PID, .env = {"LISTEN_FDS=0"}});
	const char *found = strstr(report, "\npid ");
	CHECK(found != NULL && sscanf(found, " pid %d", &pid) == 1);
	snprintf(line, sizeof line, "env LISTEN_PID=%d", pid);
	CHECK(says(report, line));
	snprintf(line, sizeof line, "env WATCHDOG_PID=%d", pid);
	CHECK(says(report, line));
	CHECK(says(report, "env LISTEN_FDS=0"));
	int pidfd = sys_pidfd_open(getpid());
	CHECK(fstatfs(pidfd, &filesystem) == 0);
	close(pidfd);
	bool pidfs = filesystem.f_type == 0x50494446;
	CHECK_EQUAL(count_lines(report, "env LISTEN_PIDFDID="), pidfs);
	CHECK_EQUAL(count_lines(report, "env "), pidfs ? 4 : 3);

	/* And it names the very process: compare with the pidfd that the event brings. */
	struct order order = worker_order("w", "pause", NULL);
	order.flags = START_LISTEN_PID;
	CHECK_EQUAL(spawn_order(c, &order), 0);
	struct frame event = next_event(c);
	struct reader r = frame_reader(&event);
	struct record running = read_child(&r);
	struct stat file;
	CHECK(fstat(event.fds[0], &file) == 0);
	char path[64], environment[4096] = "", wanted[64];
	snprintf(path, sizeof path, "/proc/%d/environ", running.pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, environment, sizeof environment - 1);
	CHECK(length > 0);
	close(fd);
	for (ssize_t i = 0; i < length; i++)
		if (environment[i] == '\0')
			environment[i] = '\n';
	snprintf(wanted, sizeof wanted, "LISTEN_PIDFDID=%llu", (unsigned long long)file.st_ino);
	CHECK(!pidfs || says(environment, wanted));
	frame_free(&event);
	CHECK_EQUAL(send_signal(c, "w", SIGKILL), 0);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

/*
 * Forty descriptors go to targets that are, in the keeper, numbers of other descriptors among them, in reverse; some come
 * twice, some from a held entry. The child has exactly those.
 */
static void the_child_has_exactly_the_mapped_descriptors(struct client *c)
{
	enum { COUNT = 40 };
	struct order order = {.flags = 0};
	struct stat files[COUNT], held_file;
	char line[64];
	attach(c);
	int held = memfd_create("held", MFD_CLOEXEC);
	CHECK(fstat(held, &held_file) == 0);
	CHECK_EQUAL(hold(c, "h", text(""), false, (int[]){held, held}, 2), 0);
	for (size_t i = 0; i < COUNT; i++) {
		order.fds[i] = memfd_create("test", MFD_CLOEXEC);
		CHECK(fstat(order.fds[i], &files[i]) == 0);
		order.map[i].target = (uint32_t)(2 + COUNT - 1 - i);
		order.map[i].index = (uint16_t)i;
	}
	order.fd_count = order.map_count = COUNT;
	order.map[COUNT].target = 90; /* the first one again, far up */
	order.map[COUNT].index = 0;
	order.map[COUNT + 1].target = 0;
	order.map[COUNT + 1].held = "h";
	order.map[COUNT + 1].index = 1;
	order.map_count = COUNT + 2;
	const char *report = report_of(c, &order);
	CHECK_EQUAL(count_lines(report, "fd "), COUNT + 3);
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(line, sizeof line, "fd %d %llu", (int)(2 + COUNT - 1 - i), (unsigned long long)files[i].st_ino);
		CHECK(says(report, line));
		close(order.fds[i]);
	}
	snprintf(line, sizeof line, "fd 90 %llu", (unsigned long long)files[0].st_ino);
	CHECK(says(report, line));
	snprintf(line, sizeof line, "fd 0 %llu", (unsigned long long)held_file.st_ino);
	CHECK(says(report, line));
	close(held);
	CHECK_EQUAL(release(c, "h"), 0);
	end_scenario(c);
}

static void a_low_descriptor_limit_does_not_hinder_placing(struct client *c)
{
	attach(c);
	struct order order = {.limit_count = 1, .limits = {{RLIMIT_NOFILE, 8, 8}}, .map_count = 1, .map = {{50, NULL, 0}}, .fd_count = 1};
	order.fds[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	const char *report = report_of(c, &order);
	CHECK(says(report, "nofile 8 8"));
	CHECK_EQUAL(count_lines(report, "fd "), 2);
	CHECK(strstr(report, "fd 50 ") != NULL);
	end_scenario(c);
}

static void an_exit_is_told_until_it_is_acknowledged(struct client *c)
{
	struct frame frame;
	struct record r;
	char byte[4];
	struct hello hello = attach(c);
	CHECK_EQUAL(hello.why, hello.starts == 1 ? 0 : 2);
	if (hello.starts == 1) {
		int ends[2];
		CHECK(pipe2(ends, O_CLOEXEC) == 0);
		struct order order = {.key = "w", .tag = text("opaque"), .path = "/bin/sh", .argv = {"sh", "-c", "echo out; exit 3"}};
		order.fd_count = 2;
		order.fds[0] = ends[0];
		order.fds[1] = ends[1];
		order.map_count = 1;
		order.map[0].target = 1;
		order.map[0].index = 1;
		order.keep_count = 1;
		order.keep[0] = 0;
		CHECK_EQUAL(spawn_order(c, &order), 0);
		die();
	}
	r = wait_child(c, "w", 3);
	CHECK_EQUAL(WEXITSTATUS(r.status), 3);
	if (hello.starts < 4)
		die();
	/* Its output is still there: the kept end of its pipe. */
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "w", &frame, &r), 0);
	CHECK_EQUAL(frame.fd_count, 1);
	CHECK_EQUAL(r.fd_count, 1);
	CHECK_EQUAL(bytes_compare(r.tag, text("opaque")), 0);
	CHECK_EQUAL(read(frame.fds[0], byte, sizeof byte), 4);
	CHECK_EQUAL(read(frame.fds[0], byte, sizeof byte), 0);
	frame_free(&frame);
	struct order again = {.key = "w", .path = "/bin/true", .argv = {"true"}};
	CHECK_EQUAL(spawn_order(c, &again), EEXIST);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	CHECK_EQUAL(spawn_order(c, &again), 0);
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

/* Three hundred at once, without reading what the keeper tells meanwhile. */
static void a_crowd_is_told_completely(struct client *c)
{
	enum { CROWD = 300 };
	char key[16], code[16];
	attach(c);
	for (int i = 0; i < CROWD; i++) {
		snprintf(key, sizeof key, "w%d", i);
		snprintf(code, sizeof code, "exit %d", i % 200);
		struct order order = {.key = key, .path = "/bin/sh", .argv = {"sh", "-c", code}};
		CHECK_EQUAL(spawn_order(c, &order), 0);
	}
	for (int ended = 0; ended < CROWD;) {
		int number;
		struct frame event = next_event(c);
		struct reader reader = frame_reader(&event);
		struct record r = read_child(&reader);
		frame_free(&event);
		CHECK(r.state == 2 || r.state == 3);
		if (r.state != 3)
			continue;
		CHECK(sscanf(r.key, "w%d", &number) == 1);
		CHECK_EQUAL(WEXITSTATUS(r.status), number % 200);
		CHECK_EQUAL(acknowledge(c, r.key), 0);
		ended++;
	}
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "an exit is told with its status", .run = an_exit_is_told_with_its_status},
	{.name = "a running child comes with its pidfd", .run = a_running_child_comes_with_its_pidfd},
	{.name = "signals are remembered", .run = signals_are_remembered, .not_in_valgrind = true},
	{.name = "a failed start names its stage", .run = a_failed_start_names_its_stage},
	{.name = "who may not is told so", .run = who_may_not_is_told_so, .unprivileged = true},
	{.name = "identity and limits are as asked", .run = identity_and_limits_are_as_asked, .needs_root = true, .not_in_valgrind = true},
	{.name = "nothing asked is nothing changed", .run = nothing_asked_is_nothing_changed, .nofile = {200, 1000}, .not_in_valgrind = true},
	{.name = "LISTEN_PID and WATCHDOG_PID are the child's own", .run = listen_and_watchdog_pid_are_the_childs_own, .not_in_valgrind = true},
	{.name = "the child has exactly the mapped descriptors", .run = the_child_has_exactly_the_mapped_descriptors},
	{.name = "a low descriptor limit does not hinder placing", .run = a_low_descriptor_limit_does_not_hinder_placing, .not_in_valgrind = true},
	{.name = "an exit is told until it is acknowledged", .run = an_exit_is_told_until_it_is_acknowledged},
	{.name = "a crowd is told completely", .run = a_crowd_is_told_completely},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
