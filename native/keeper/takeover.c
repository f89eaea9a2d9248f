#define _GNU_SOURCE
#include "takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt.h"
#include "arm.h"
#include "inheritance.h"
#include "keeper.h"
#include "state.h"
#include "supervisor_process.h"
#include "system_calls.h"

static const char trial_option[] = "--try-state", takeover_option[] = "--take-over";

char **takeover_parse(char **argv, struct takeover *t)
{
	*t = (struct takeover){.mode = MODE_FRESH, .state = -1, .other = -1};
	if (argv[0] == NULL || argv[1] == NULL || argv[2] == NULL)
		return argv;
	bool is_trial = strcmp(argv[1], trial_option) == 0;
	if (!is_trial && strcmp(argv[1], takeover_option) != 0)
		return argv;
	if (sscanf(argv[2], "%d,%d,%d", &t->state, &t->other, &t->error) != 3)
		return argv; /* which will be refused as an unknown option */
	t->mode = is_trial ? MODE_TRIAL : MODE_TAKEOVER;
	argv[2] = argv[0];
	return argv + 2;
}

char **takeover_arguments(char *const *own, const struct takeover *t)
{
	static char value[48];
	size_t count = 0;
	while (own[count] != NULL)
		count++;
	char **arguments = calloc(count + 3, sizeof *arguments);
	if (arguments == NULL)
		return NULL;
	snprintf(value, sizeof value, "%d,%d,%d", t->state, t->other, t->error);
	arguments[0] = own[0];
	arguments[1] = (char *)(uintptr_t)(t->mode == MODE_TRIAL ? trial_option : takeover_option);
	arguments[2] = value;
	for (size_t i = 1; i < count; i++)
		arguments[i + 2] = own[i];
	return arguments;
}

/* Returns errno if it does return. */
static int become(const struct keeper *k, int program, const struct takeover *t)
{
	char **arguments = takeover_arguments(k->reexec.arguments, t);
	if (arguments == NULL)
		return ENOMEM;
	if (fcntl(t->state, F_SETFD, 0) == 0 && fcntl(t->other, F_SETFD, 0) == 0)
		sys_execve_fd(program, arguments, environ);
	int error = errno;
	free(arguments);
	return error;
}

int takeover_begin(struct keeper *k, int program)
{
	struct takeover t = {.mode = MODE_TAKEOVER, .other = open("/proc/self/exe", O_PATH | O_CLOEXEC)};
	if (t.other < 0)
		return errno;
	int error = state_save(k, &t.state);
	if (error == 0) {
		error = inheritance_set(k, true);
		if (error == 0)
			error = become(k, program, &t);
		(void)inheritance_set(k, false); /* it knew them all a moment ago */
		close(t.state);
	}
	close(t.other);
	return error;
}

/* What this process watches; everything that is in the state is there already. */
static int watch_all(struct keeper *k)
{
	int channel = k->channel.fd, error = loop_open(&k->loop);
	if (error == 0)
		error = signals_open(k);
	if (error == 0 && channel >= 0)
		error = channel_open(k, &k->channel, channel, k->channel.peer);
	if (error == 0)
		error = supervisor_process_watch(k);
	acceptors_resume(k);
	if (error == 0)
		error = arms_watch(k);
	for (size_t i = 0; i < k->tables[TABLE_ARMS].count; i++) {
		struct child *arm = (struct child *)k->tables[TABLE_ARMS].entries[i];
		if (arm->armed->trigger == TRIGGER_CONNECTION)
			drains_started(k, arm);
	}
	for (size_t i = 0; error == 0 && i < k->tables[TABLE_CHILDREN].count; i++) {
		struct child *child = (struct child *)k->tables[TABLE_CHILDREN].entries[i];
		error = child_watch(k, child);
		if (error == 0)
			error = adopt_watch(k, child);
		drains_started(k, child);
	}
	return error;
}

int takeover_resume(struct keeper *k, int state)
{
	struct bytes bytes;
	int error = state_map(state, &bytes);
	if (error != 0)
		return error;
	error = state_load(k, bytes);
	state_unmap(bytes);
	if (error == 0)
		error = inheritance_set(k, false);
	return error != 0 ? error : watch_all(k);
}

int takeover_give_back(struct keeper *k, const struct takeover *t, int error)
{
	struct takeover back = *t;
	back.error = error;
	/* What could not be read was not touched either, and may be inherited still. */
	(void)inheritance_set(k, true);
	return become(k, t->other, &back);
}
