#define _GNU_SOURCE
#include "privileges.h"

#include <errno.h>
#include <sys/prctl.h>

#include "system_calls.h"

enum { CAPABILITIES_MAX = 64 };

int privileges_keep(const struct start *start)
{
	if ((start->flags & (START_CAPABILITIES | START_BOUNDING)) == 0)
		return 0;
	return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 ? 0 : errno; /* execve(2) clears it */
}

static bool contains(uint64_t set, int capability)
{
	return (set >> capability & 1) != 0;
}

/* The kernel says EINVAL behind the last one that it knows. */
static int cut_bounding_set(uint64_t set)
{
	for (int i = 0; i < CAPABILITIES_MAX; i++) {
		int has = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
		if (has < 0)
			return errno == EINVAL ? 0 : errno;
		if (has == 1 && !contains(set, i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
			return errno;
	}
	return 0;
}

static int make_ambient(uint64_t set)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return errno;
	for (int i = 0; i < CAPABILITIES_MAX; i++)
		if (contains(set, i) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
			return errno;
	return 0;
}

int privileges_set(const struct start *start)
{
	struct sys_capabilities now;
	int error = 0;
	if ((start->flags & (START_CAPABILITIES | START_BOUNDING)) == 0)
		return 0;
	if (sys_capget(&now) != 0)
		return errno;
	/* A new user has kept what is permitted, and lost what is in effect. */
	now.effective = now.permitted;
	if (sys_capset(&now) != 0)
		return errno;
	if ((start->flags & START_BOUNDING) != 0 && (error = cut_bounding_set(start->bounding)) != 0)
		return error;
	if ((start->flags & START_CAPABILITIES) != 0) {
		now = (struct sys_capabilities){start->capabilities, start->capabilities, start->capabilities};
	} else if (start->uid != START_KEEP_ID && start->uid != 0) {
		now = (struct sys_capabilities){0, 0, 0}; /* as setresuid(2) would have left it */
	}
	if (sys_capset(&now) != 0)
		return errno;
	return (start->flags & START_CAPABILITIES) != 0 ? make_ambient(start->capabilities) : 0;
}
