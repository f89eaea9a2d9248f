/*
 * A test program that is three programs, by its first argument:
 *
 *   (none) or KEEPER     the runner: starts a keeper for each scenario, with itself as the supervisor's program
 *   --supervise NAME     the supervisor: runs the scenario against the keeper that started it
 *   --worker MODE ARGS   what the scenarios spawn
 *
 * A scenario ends with end_scenario(), which checks that the keeper has nothing left and shuts it down with code 0. A failed
 * CHECK kills the keeper. The runner is a subreaper, so a process that outlives its keeper is found and counts as a failure.
 */
#ifndef HOLDFAST_KEEPER_HARNESS_H
#define HOLDFAST_KEEPER_HARNESS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../system_calls.h"
#include "client.h"

enum { SCENARIO_TIMEOUT_MS = 60000, UNPRIVILEGED_ID = 65534 };

struct scenario {
	const char *name;
	void (*run)(struct client *client);
	bool needs_root;
	bool not_in_valgrind;      /* it looks at what is another thing there: memory, limits of descriptors, signal 64, pidfd_open(2) */
	bool unprivileged;         /* the keeper runs as nobody; needs root to become so */
	bool pid_1;                /* in a pid namespace of its own */
	struct rlimit nofile;      /* 0 = as it is */
	const char *grace;
	const char *attach;
	const char *program;       /* instead of ourselves */
	int exit_code;             /* of the keeper, 0 to 255 */
	const char *says;          /* part of what is on stderr at the end */
};

static char self_path[4096];

/* The children of a process, without those that `except` names. */
static inline size_t count_children(pid_t pid, pid_t except)
{
	char path[64];
	size_t count = 0;
	int child;
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *file = fopen(path, "re");
	while (file != NULL && fscanf(file, "%d", &child) == 1)
		count += child != except;
	if (file != NULL)
		fclose(file);
	return count;
}

/* Under valgrind(1) the keeper's process has some of valgrind's own, at the very end of its table. */
static inline size_t count_fds(pid_t pid)
{
	char path[64];
	size_t count = 0;
	struct rlimit limit = {0, RLIM_INFINITY};
	if (getenv("HOLDFAST_UNDER_VALGRIND") != NULL)
		CHECK(prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0);
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *directory = opendir(path);
	CHECK(directory != NULL);
	for (struct dirent *item = readdir(directory); item != NULL; item = readdir(directory))
		count += item->d_name[0] != '.' && strtoul(item->d_name, NULL, 10) + 16 < limit.rlim_max;
	closedir(directory);
	return count;
}

/* What a keeper has open that holds nothing: stdio, epoll, signalfd, the channel. The exec pipe may not be gone yet. */
static inline void check_keeper_is_empty(struct client *c)
{
	for (uint8_t table = 0; table < 3; table++)
		CHECK_EQUAL(list_all(c, table, NULL), 0);
	CHECK_EQUAL(count_fds(getppid()), 6);
	CHECK_EQUAL(count_children(getppid(), getpid()), 0);
}

static inline _Noreturn void end_scenario(struct client *c)
{
	check_keeper_is_empty(c);
	CHECK_EQUAL(shut_down(c, 0), 0);
	_exit(0);
}

static inline _Noreturn void die(void)
{
	raise(SIGKILL);
	_exit(99);
}

/* Workers. */

static inline void worker_report(void)
{
	struct rlimit nofile;
	gid_t groups[64];
	char line[4096], directory[4096];
	extern char **environ;
	for (int fd = 0; fd < 4096; fd++) {
		struct stat file;
		if (fstat(fd, &file) == 0)
			printf("fd %d %llu\n", fd, (unsigned long long)file.st_ino);
	}
	for (char **e = environ; *e != NULL; e++)
		printf("env %s\n", *e);
	getrlimit(RLIMIT_NOFILE, &nofile);
	printf("nofile %llu %llu\n", (unsigned long long)nofile.rlim_cur, (unsigned long long)nofile.rlim_max);
	printf("pid %d\nsession %d\nuid %d\ngid %d\nnice %d\n", (int)getpid(), getsid(0) == getpid(), (int)getuid(), (int)getgid(),
	       getpriority(PRIO_PROCESS, 0));
	printf("policy %d\nio %ld\n", sched_getscheduler(0), syscall(SYS_ioprio_get, 1, 0));
	int count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		printf("group %d\n", (int)groups[i]);
	if (getcwd(directory, sizeof directory) != NULL)
		printf("cwd %s\n", directory);
	FILE *status = fopen("/proc/self/status", "re");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		if (strncmp(line, "Sig", 3) == 0 || strncmp(line, "Umask", 5) == 0 || strncmp(line, "NoNewPrivs", 10) == 0 ||
		    strncmp(line, "Cap", 3) == 0 || strncmp(line, "Cpus_allowed_list", 17) == 0)
			fputs(line, stdout);
	FILE *score = fopen("/proc/self/oom_score_adj", "re");
	if (score != NULL && fgets(line, sizeof line, score) != NULL)
		printf("oom_score_adj %s", line);
	fflush(stdout);
	_exit(0);
}

/* Accepts on descriptor 3 and greets. */
static inline void worker_accept(void)
{
	int connection = accept(3, NULL, NULL);
	_exit(connection >= 0 && write(connection, "hi", 2) == 2 ? 0 : 1);
}

/*
 * Waits in an epoll set for what it was given as descriptor 3, and answers each connection with its name, a byte:
 * EVENTS (hex) SOCKET-NUMBER EPOLL-NUMBER NAME. Tells on stdout when it waits.
 */
static inline void worker_epoll(char **arguments)
{
	struct epoll_event event = {.events = (uint32_t)strtoul(arguments[0], NULL, 16), .data = {.u64 = UINT64_C(0xfedcba9876543210)}};
	int number = atoi(arguments[1]), set = atoi(arguments[2]), made = epoll_create1(0);
	uint32_t events = event.events;
	if (dup2(3, number) < 0 || dup2(made, set) < 0 || fcntl(number, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(set, EPOLL_CTL_ADD, number, &event) != 0 || write(1, "w", 1) != 1)
		_exit(97);
	while (epoll_wait(set, &event, 1, -1) == 1) {
		if (event.data.u64 != UINT64_C(0xfedcba9876543210))
			_exit(96);
		for (int connection; (connection = accept(number, NULL, NULL)) >= 0; close(connection))
			if (write(connection, arguments[3], 1) != 1)
				_exit(95);
		event.events = events;
		if ((events & EPOLLONESHOT) != 0 && epoll_ctl(set, EPOLL_CTL_MOD, number, &event) != 0)
			_exit(94);
	}
	_exit(93);
}

/* Leaves a grandchild behind that tells its pid on stdout and ends when its stdin does. */
static inline void worker_fork_away(void)
{
	if (fork() == 0) {
		char byte;
		setsid();
		dprintf(1, "%d", (int)getpid());
		close(1);
		_exit(read(0, &byte, 1) == 0 ? 0 : 1);
	}
	_exit(0);
}

/* As above, and waits for its child to reap it. */
static inline _Noreturn void worker_parent(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		dprintf(1, "%d", (int)getpid());
		close(1);
		_exit(read(0, &byte, 1) == 0 ? 0 : 1);
	}
	close(1);
	waitpid(pid, NULL, 0);
	for (;;)
		pause();
}

/* The byte at an offset of what a worker logs: lines of 64 bytes with their number. */
static inline char logged(size_t offset)
{
	size_t line = offset / 64, column = offset % 64;
	if (column == 63)
		return '\n';
	for (size_t digits = 62 - column; digits > 0 && line != 0; digits--)
		line /= 10;
	return (char)('0' + line % 10);
}

/* Waits for the end of its stdin, then logs so many bytes as fast as it can. */
static inline _Noreturn void worker_log(size_t length)
{
	char bytes[8192];
	ssize_t count;
	while (read(0, bytes, sizeof bytes) > 0)
		continue;
	for (size_t at = 0; at < length; at += (size_t)count) {
		size_t part = length - at < sizeof bytes ? length - at : sizeof bytes;
		for (size_t i = 0; i < part; i++)
			bytes[i] = logged(at + i);
		count = write(1, bytes, part);
		if (count < 0)
			_exit(92);
	}
	_exit(0);
}

static inline _Noreturn void worker(char **arguments)
{
	const char *mode = arguments[0];
	if (strcmp(mode, "exit") == 0)
		_exit(atoi(arguments[1]));
	if (strcmp(mode, "raise") == 0)
		raise(atoi(arguments[1]));
	if (strcmp(mode, "report") == 0)
		worker_report();
	if (strcmp(mode, "accept") == 0)
		worker_accept();
	if (strcmp(mode, "epoll") == 0)
		worker_epoll(arguments + 1);
	if (strcmp(mode, "log") == 0)
		worker_log((size_t)atol(arguments[1]));
	if (strcmp(mode, "fork-away") == 0)
		worker_fork_away();
	if (strcmp(mode, "parent") == 0)
		worker_parent();
	if (strcmp(mode, "ignore-term") == 0)
		signal(SIGTERM, SIG_IGN);
	if (strcmp(mode, "ignore-term") == 0 && arguments[1] != NULL && write(1, "i", 1) != 1)
		_exit(97);
	for (;;)
		pause();
}

/* The supervisor. */

static inline _Noreturn void supervise(const struct scenario *scenarios, const char *name)
{
	struct client client;
	for (const struct scenario *s = scenarios; s->name != NULL; s++) {
		if (strcmp(s->name, name) != 0)
			continue;
		client_open(&client);
		s->run(&client);
		CHECK(!"the scenario returned");
	}
	_exit(98);
}

/* The runner. */

static inline void become_keeper(const struct scenario *s, const char *keeper, int errors)
{
	const char *arguments[16];
	/* SIG_IGN; the handler stands first in the kernel's struct. These two are the C library's own, which neither sets nor resets them. */
	static const uint64_t ignored[8] = {1};
	size_t n = 0;
	dup2(errors, STDERR_FILENO);
	for (int number = 32; number <= 33; number++)
		syscall(SYS_rt_sigaction, number, ignored, NULL, (size_t)8);
	if (s->nofile.rlim_max != 0)
		setrlimit(RLIMIT_NOFILE, &s->nofile);
	if (s->unprivileged && (setresgid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID) != 0 ||
				setresuid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID) != 0 ||
				prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0))
		_exit(96);
	if (s->pid_1) {
		arguments[n++] = "unshare";
		arguments[n++] = "--pid";
		arguments[n++] = "--fork";
		arguments[n++] = "--mount-proc";
	}
	arguments[n++] = keeper;
	if (s->grace != NULL) {
		arguments[n++] = "--grace";
		arguments[n++] = s->grace;
	}
	if (s->attach != NULL) {
		arguments[n++] = "--attach";
		arguments[n++] = s->attach;
	}
	arguments[n++] = "--";
	arguments[n++] = s->program != NULL ? s->program : self_path;
	arguments[n++] = "--supervise";
	arguments[n++] = s->name;
	arguments[n] = NULL;
	execvp(arguments[0], (char **)(uintptr_t)arguments);
	_exit(95);
}

/* Ends and counts what outlived the keeper and so became ours. */
static inline int collect_strays(void)
{
	int strays = 0;
	for (;;) {
		char path[64];
		int child = 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
		FILE *file = fopen(path, "re");
		if (file == NULL)
			return strays;
		if (fscanf(file, "%d", &child) != 1)
			child = 0;
		fclose(file);
		if (child == 0)
			return strays;
		strays++;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
}

static inline const char *judge(const struct scenario *s, int wait_status, int strays, const char *errors)
{
	static char words[160];
	if (!WIFEXITED(wait_status))
		snprintf(words, sizeof words, "the keeper was ended by signal %d", WTERMSIG(wait_status));
	else if (WEXITSTATUS(wait_status) != s->exit_code)
		snprintf(words, sizeof words, "exit code %d and not %d", WEXITSTATUS(wait_status), s->exit_code);
	else if (s->says != NULL && strstr(errors, s->says) == NULL)
		snprintf(words, sizeof words, "stderr does not say: %s", s->says);
	else if (strays != 0)
		snprintf(words, sizeof words, "%d processes outlived the keeper", strays);
	else
		return NULL;
	return words;
}

static inline bool run_scenario(const struct scenario *s, const char *keeper)
{
	static char said[65536];
	int errors = memfd_create("stderr", MFD_CLOEXEC), wait_status = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		become_keeper(s, keeper, errors);
	struct pollfd end = {.fd = sys_pidfd_open(pid), .events = POLLIN};
	bool in_time = poll(&end, 1, SCENARIO_TIMEOUT_MS) == 1;
	if (!in_time)
		kill(pid, SIGKILL);
	waitpid(pid, &wait_status, 0);
	close(end.fd);
	int strays = collect_strays();
	ssize_t length = pread(errors, said, sizeof said - 1, 0);
	said[length < 0 ? 0 : length] = '\0';
	close(errors);
	const char *why = in_time ? judge(s, wait_status, strays, said) : "it took too long";
	printf("%s %s%s%s\n", why == NULL ? "ok    " : "FAILED", s->name, why == NULL ? "" : ": ", why == NULL ? "" : why);
	if (why != NULL)
		printf("%s", said);
	return why == NULL;
}

static inline bool pid_namespaces_are_permitted(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, STDERR_FILENO);
		execlp("unshare", "unshare", "--pid", "--fork", "--mount-proc", "true", (char *)NULL);
		_exit(1);
	}
	int wait_status;
	return waitpid(pid, &wait_status, 0) == pid && wait_status == 0;
}

static inline const char *reason_to_skip(const struct scenario *s, const char *keeper)
{
	if (s->not_in_valgrind && getenv("HOLDFAST_UNDER_VALGRIND") != NULL)
		return "valgrind changes what it looks at";
	if ((s->needs_root || s->unprivileged) && getuid() != 0)
		return "needs root";
	if (s->pid_1 && !pid_namespaces_are_permitted())
		return "pid namespaces are not permitted here";
	if (s->unprivileged) {
		int wait_status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(setresuid(UNPRIVILEGED_ID, UNPRIVILEGED_ID, UNPRIVILEGED_ID) != 0 || access(keeper, X_OK) != 0 ||
			      access(self_path, X_OK) != 0);
		if (waitpid(pid, &wait_status, 0) != pid || wait_status != 0)
			return "nobody may not execute the programs where they lie";
	}
	return NULL;
}

/* argv[1] or HOLDFAST_KEEPER, else the keeper that was built beside us; a second argument selects scenarios by their name. */
static inline int test_main(const struct scenario *scenarios, int argc, char **argv)
{
	char beside[sizeof self_path + 32];
	int failures = 0;
	ssize_t length = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
	self_path[length < 0 ? 0 : length] = '\0';
	if (argc > 2 && strcmp(argv[1], "--worker") == 0)
		worker(argv + 2);
	if (argc > 2 && strcmp(argv[1], "--supervise") == 0)
		supervise(scenarios, argv[2]);

	snprintf(beside, sizeof beside, "%s", self_path);
	snprintf(strrchr(beside, '/'), 32, "/holdfast-keeper");
	const char *keeper = argc > 1 ? argv[1] : getenv("HOLDFAST_KEEPER");
	if (keeper == NULL)
		keeper = beside;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	for (const struct scenario *s = scenarios; s->name != NULL; s++) {
		if (argc > 2 && strstr(s->name, argv[2]) == NULL)
			continue;
		const char *reason = reason_to_skip(s, keeper);
		if (reason != NULL)
			printf("SKIPPED %s: %s\n", s->name, reason);
		else
			failures += !run_scenario(s, keeper);
	}
	return failures == 0 ? 0 : 1;
}

#endif
