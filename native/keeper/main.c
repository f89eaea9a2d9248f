/*
 * holdfast-keeper [--grace MS] [--attach MS] [--supervised-by FD] [--] PROGRAM ARGS...
 *
 * A keeper that becomes another one, or tries it, puts an option of its own in front (takeover.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "adopt.h"
#include "clock.h"
#include "close_others.h"
#include "complain.h"
#include "hand_over.h"
#include "keeper.h"
#include "takeover.h"
#include "tell.h"
#include "trial.h"

enum {
	EXIT_USAGE = 100,  /* you must change something */
	EXIT_SYSTEM = 111, /* the system refused: try again */
	GRACE_MS_DEFAULT = 10000,
	ATTACH_MS_DEFAULT = 60000, /* Node.js on a slow and busy machine takes a while */
	MS_MAX = 24 * 60 * 60 * 1000,
	RESERVED_FDS = 32, /* a supervisor's start needs seven */
};

/* Its tables are large and stay untouched until they are used, so they cost address space only. */
static struct keeper keeper;

static _Noreturn void usage(const char *why)
{
	complain("%s; usage: holdfast-keeper [--grace MS] [--attach MS] [--supervised-by FD] [--] PROGRAM ARGS...", why);
	exit(EXIT_USAGE);
}

static _Noreturn void die(const char *what, int error)
{
	complain("%s: %s", what, strerror(error));
	exit(EXIT_SYSTEM);
}

static long parse_number(const char *text, long highest, const char *why)
{
	char *end;
	errno = 0;
	long number = text == NULL ? -1 : strtol(text, &end, 10);
	if (number < 0 || end == text || *end != '\0' || errno != 0 || number > highest)
		usage(why);
	return number;
}

static uint64_t parse_ms(const char *text)
{
	return NS_PER_MS * (uint64_t)parse_number(
		text, MS_MAX, "--grace and --attach take a number of milliseconds, at most a day");
}

/* The descriptor of the channel to whoever hands over to us; -1 if nobody does. */
static int parse_arguments(struct keeper *k, char **argv)
{
	int channel = -1;
	char **argument = argv[0] == NULL ? argv : argv + 1;
	k->ending.grace = GRACE_MS_DEFAULT * NS_PER_MS;
	k->supervisor.attach_within = ATTACH_MS_DEFAULT * NS_PER_MS;
	while (*argument != NULL && (*argument)[0] == '-') {
		if (strcmp(*argument, "--") == 0) {
			argument++;
			break;
		}
		if (strcmp(*argument, "--grace") == 0)
			k->ending.grace = parse_ms(argument[1]);
		else if (strcmp(*argument, "--attach") == 0)
			k->supervisor.attach_within = parse_ms(argument[1]);
		else if (strcmp(*argument, "--supervised-by") == 0)
			channel = (int)parse_number(argument[1], INT_MAX, "--supervised-by takes a descriptor");
		else
			usage("unknown option");
		argument += 2;
	}
	if (*argument == NULL)
		usage("no program");
	k->supervisor.arguments = argument;
	return channel;
}

/* 0 to 2 are there, so that nothing that is held can be taken for them; what else was inherited is nobody's. */
static void tidy_descriptors(int channel)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	int keep[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, channel};
	close_others(keep, channel < 0 ? 3 : 4);
}

static void raise_descriptor_limit(struct keeper *k)
{
	struct rlimit now;
	if (getrlimit(RLIMIT_NOFILE, &now) != 0)
		die("getrlimit", errno);
	if (k->nofile_before.rlim_max == 0) /* else another keeper has raised it already */
		k->nofile_before = now;
	struct rlimit raised = {.rlim_cur = now.rlim_max, .rlim_max = now.rlim_max};
	if (setrlimit(RLIMIT_NOFILE, &raised) != 0)
		raised = now; /* fewer will do */
	rlim_t limit = raised.rlim_cur > INT_MAX ? INT_MAX : raised.rlim_cur;
	k->reserved_from = limit > 2 * RESERVED_FDS ? (int)limit - RESERVED_FDS : (int)limit / 2;
}

static void open_keeper(struct keeper *k, int channel)
{
	k->started = clock_now();
	tidy_descriptors(channel);
	raise_descriptor_limit(k);
	if (getpid() != 1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		die("prctl(PR_SET_CHILD_SUBREAPER)", errno);
	int error = loop_open(&k->loop);
	if (error != 0)
		die("epoll_create1", error);
	error = signals_open(k);
	if (error != 0)
		die("signalfd", error);
	if (channel < 0) {
		supervisor_start(k);
		return;
	}
	error = hand_over_begin(k, channel);
	if (error != 0)
		die("--supervised-by", error);
}

/* Everything is as the keeper before us had it, whose pid, children and descriptors we have. */
static void take_over(struct keeper *k, const struct takeover *takeover)
{
	(void)prctl(PR_SET_NAME, "holdfast-keeper"); /* what is executed by its descriptor is called after that */
	int error = takeover_resume(k, takeover->state);
	if (error != 0 && takeover->error == 0) {
		complain("cannot take over from the keeper of before: %s; it gets everything back", strerror(error));
		error = takeover_give_back(k, takeover, error);
	}
	if (error != 0)
		die("everything is lost: the keeper's state cannot be taken over", error);
	close(takeover->state);
	close(takeover->other);
	raise_descriptor_limit(k);
	reexec_taken_over(k, takeover->error);
}

static uint64_t next_deadline(const struct keeper *k)
{
	if (k->reaper.wanted)
		return 1; /* long past: look what is ready, and come back */
	return clock_earlier(clock_earlier(clock_earlier(supervisor_deadline(&k->supervisor), k->ending.deadline),
					   clock_earlier(k->acceptors.at, tell_deadline(k))),
			     clock_earlier(clock_earlier(channel_deadline(&k->channel), k->adopted_until),
					   clock_earlier(reexec_deadline(&k->reexec), successor_deadline(&k->successor))));
}

int main(int argc, char **argv)
{
	struct keeper *k = &keeper;
	struct takeover takeover;
	(void)argc;
	argv = takeover_parse(argv, &takeover);
	int channel = parse_arguments(k, argv);
	reexec_init(&k->reexec, argv);
	k->channel.fd = -1;
	successor_init(&k->successor);
	k->supervisor.status_fd = -1;
	if (takeover.mode == MODE_TRIAL)
		return trial_run(k, takeover.state, takeover.other);
	if (takeover.mode == MODE_TAKEOVER)
		take_over(k, &takeover); /* --supervised-by was for the program of before, which was handed everything */
	else
		open_keeper(k, channel);
	k->reaper.wanted = true; /* execve keeps children: some may have ended before we could be told */
	for (;;) {
		if (k->reaper.wanted)
			reaper_run(k);
		uint64_t now = clock_now();
		supervisor_tick(k, now);
		adopt_tick(k, now);
		ending_tick(k, now);
		acceptors_tick(k, now);
		channel_resume(&k->channel, now);
		channel_resume(&k->successor.channel, now);
		reexec_tick(k, now);
		successor_tick(k, now);
		tell(k);
		channel_watch(k, &k->channel);
		channel_watch(k, &k->successor.channel);
		if (ending_is_complete(k))
			return k->ending.code;
		loop_wait(&k->loop, k, next_deadline(k));
	}
}
