#define _GNU_SOURCE
#include "shared.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "bare_calls.h"
#include "keeper.h"

/* A sanitizer has memory of its own for each thread, and memcheck does not know such a process. */
#if defined BARE_CALLS && !defined __SANITIZE_ADDRESS__ && !defined LAUNCH_FORKS
#define CAN_SHARE true
#else
#define CAN_SHARE false
#endif
#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#undef CAN_SHARE
#define CAN_SHARE false
#endif
#endif

static bool may_share(const struct start *start)
{
	const uint32_t other = START_OOM_SCORE_ADJ | START_GROUPS | START_CAPABILITIES | START_BOUNDING;
	return CAN_SHARE && (start->flags & other) == 0 && start->uid == START_KEEP_ID && start->gid == START_KEEP_ID;
}

/* At the end of what is used so far. NULL once it does not fit. */
static const char *copy_bytes(struct shared *s, size_t *used, const void *bytes, size_t length)
{
	char *copy = s->strings + *used;
	if (length > sizeof s->strings - *used)
		return NULL;
	memcpy(copy, bytes, length);
	*used += length;
	return copy;
}

static bool copy_strings(struct shared *s, size_t *used, const char **to, const char *const *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if ((to[i] = copy_bytes(s, used, from[i], strlen(from[i]) + 1)) == NULL)
			return false;
	to[count] = NULL;
	return true;
}

/* The arrays are large, so only what is used of them. Keys of held entries are not: `sources` has their descriptors. */
static bool copy_start(struct shared *s, const struct start *from)
{
	struct start *to = &s->start;
	size_t used = 0;
	memcpy(to, from, offsetof(struct start, arguments));
	memcpy(to->placements, from->placements, from->placement_count * sizeof from->placements[0]);
	if (from->processors.length != 0)
		to->processors.at = (const uint8_t *)copy_bytes(s, &used, from->processors.at, from->processors.length);
	to->directory = copy_bytes(s, &used, from->directory, strlen(from->directory) + 1);
	to->path = copy_bytes(s, &used, from->path, strlen(from->path) + 1);
	return (from->processors.length == 0 || to->processors.at != NULL) && to->directory != NULL && to->path != NULL &&
	       copy_strings(s, &used, to->arguments, from->arguments, from->argument_count) &&
	       copy_strings(s, &used, to->environment, from->environment, from->environment_count);
}

struct shared *shared_take(struct keeper *k, const struct launch *launch)
{
	struct shared *s = k->shared;
	if (!may_share(launch->start))
		return NULL;
	while (s != k->shared + SHARED_PLACES && s->taken)
		s++;
	if (s == k->shared + SHARED_PLACES || !copy_start(s, launch->start))
		return NULL;
	memcpy(s->sources, launch->sources, launch->start->placement_count * sizeof s->sources[0]);
	s->launch = *launch;
	s->launch.start = &s->start;
	s->launch.sources = s->sources;
	s->taken = true;
	return s;
}

static int run(void *argument)
{
	launch(argument);
}

/* Our signals are blocked in it, and we handle none, until its last step makes them its own. */
pid_t shared_start(struct shared *s, int *pidfd)
{
	return clone(run, s->stack + sizeof s->stack, CLONE_VM | CLONE_PIDFD | SIGCHLD, &s->launch, pidfd);
}

void shared_free(struct shared *s)
{
	if (s != NULL)
		s->taken = false;
}
