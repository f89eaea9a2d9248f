/* A process that shares our memory until it executes: who may, what it has of its own, and when its place is free again. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../bare_calls.h"
#include "../child.h"
#include "../keeper.h"
#include "../spawn.h"

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

enum { AS_ASKED = 42, NOT_AS_ASKED = 43 };

static struct keeper k;
static struct start start;
static char argument[64], variable[64];

static void fail(const char *what, int line)
{
	fprintf(stderr, "shared_test.c:%d: %s (errno %d)\n", line, what, errno);
	exit(1);
}

/* What is started. */
static int started(char **argv)
{
	const char *value = getenv("VALUE"), *pid = getenv("LISTEN_PID");
	bool same = strcmp(argv[1], "argument") == 0 && value != NULL && strcmp(value, "of it") == 0;
	return same && pid != NULL && atoi(pid) == getpid() ? AS_ASKED : NOT_AS_ASKED;
}

static void ask(const char *path)
{
	memset(&start, 0, offsetof(struct start, arguments));
	start.flags = START_SETSID | START_LISTEN_PID | START_NO_NEW_PRIVS | START_UMASK;
	start.umask = 022;
	start.uid = start.gid = START_KEEP_ID;
	start.directory = "";
	start.path = path;
	strcpy(argument, "argument");
	strcpy(variable, "VALUE=of it");
	start.arguments[0] = path;
	start.arguments[1] = argument;
	start.arguments[2] = NULL;
	start.argument_count = 2;
	start.environment[0] = variable;
	start.environment[1] = NULL;
	start.environment_count = 1;
}

static struct shared *take(void)
{
	const struct launch launch = {.start = &start, .sources = NULL, .status_fd = STDERR_FILENO, .nofile_before = k.nofile_before};
	return shared_take(&k, &launch);
}

static bool may_share(uint32_t flag)
{
	start.flags |= flag;
	struct shared *shared = take();
	start.flags &= ~flag;
	shared_free(shared);
	return shared != NULL;
}

/* Another user, other rights, or what the kernel would do to us as well. */
static void only_some_may(const char *path)
{
	static char long_one[SHARED_STRINGS];
	ask(path);
	CHECK(may_share(START_NICE) && may_share(START_IGNORE_SIGPIPE));
	CHECK(!may_share(START_OOM_SCORE_ADJ));
	CHECK(!may_share(START_GROUPS) && !may_share(START_CAPABILITIES) && !may_share(START_BOUNDING));
	start.uid = 0;
	CHECK(!may_share(0));
	start.uid = START_KEEP_ID;
	start.gid = 0;
	CHECK(!may_share(0));
	start.gid = START_KEEP_ID;
	memset(long_one, 'x', sizeof long_one - 1);
	start.arguments[1] = long_one;
	CHECK(!may_share(0));
	ask(path);
	for (int i = 0; i < SHARED_PLACES; i++)
		CHECK(take() == &k.shared[i]);
	CHECK(take() == NULL);
	shared_free(&k.shared[3]);
	CHECK(take() == &k.shared[3]);
	for (int i = 0; i < SHARED_PLACES; i++)
		shared_free(&k.shared[i]);
}

/* Its start is its own, its memory is ours, and its errors are not. */
static void what_it_writes_is_seen(const char *path)
{
	int pidfd = -1, wait_status;
	char expected[LAUNCH_VARIABLE_MAX];
	ask(path);
	struct shared *shared = take();
	ask("/nothing/is/here");
	memset(argument, 'a', sizeof argument);
	memset(variable, 'v', sizeof variable);
	pid_t pid = shared_start(shared, &pidfd);
	CHECK(pid > 0 && pidfd >= 0 && waitpid(pid, &wait_status, 0) == pid);
	CHECK(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == AS_ASKED);
	snprintf(expected, sizeof expected, "LISTEN_PID=%d", (int)pid);
	CHECK(strcmp(shared->launch.listen_pid, expected) == 0);
	close(pidfd);
	shared_free(shared);

	int ends[2];
	struct launch_failure failure;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	ask("/nothing/is/here");
	shared = take();
	shared->launch.status_fd = ends[1];
	errno = 4711;
	pid = shared_start(shared, &pidfd);
	while (waitpid(pid, &wait_status, 0) != pid)
		continue;
	CHECK(errno == 4711);
	CHECK(WEXITSTATUS(wait_status) == 127 && read(ends[0], &failure, sizeof failure) == sizeof failure);
	CHECK(failure.stage == STAGE_EXEC && failure.error == ENOENT);
	close(ends[0]);
	close(ends[1]);
	close(pidfd);
	shared_free(shared);
}

static struct child *spawn_one(const char *key, const char *path)
{
	struct child *child = child_make(&k, (struct bytes){(const uint8_t *)key, strlen(key)}, (struct bytes){NULL, 0}, 0);
	CHECK(child != NULL);
	ask(path);
	spawn(&k, child, &start, NULL);
	CHECK(child->shared == &k.shared[0] && k.shared[0].taken);
	return child;
}

static void its_place_is_free_again(const char *path)
{
	int wait_status;
	struct rusage usage = {0};
	struct child *child = spawn_one("executes", path);
	while (child->state == CHILD_STARTING)
		loop_wait(&k.loop, &k, 0);
	CHECK(child->state == CHILD_RUNNING && child->shared == NULL && !k.shared[0].taken);
	CHECK(waitpid(child->pid, &wait_status, 0) == child->pid);
	child_reaped(&k, child, wait_status, &usage);

	/* It has spoken, and uses its stack still. */
	child = spawn_one("fails", "/nothing/is/here");
	while (child->stage == 0)
		loop_wait(&k.loop, &k, 0);
	CHECK(k.shared[0].taken);
	CHECK(waitpid(child->pid, &wait_status, 0) == child->pid);
	child_reaped(&k, child, wait_status, &usage);
	CHECK(child->state == CHILD_FAILED && child->shared == NULL && !k.shared[0].taken);
}

int main(int argc, char **argv)
{
	static char path[4096];
	if (argc > 1)
		return started(argv);
	CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &k.nofile_before) == 0);
	CHECK(loop_open(&k.loop) == 0);
	k.reserved_from = 64;
	k.channel.fd = -1;
	ask(path);
	if (!may_share(0)) {
		printf("SKIPPED this build forks\n");
		return 0;
	}
	only_some_may(path);
	what_it_writes_is_seen(path);
	its_place_is_free_again(path);
	return 0;
}
