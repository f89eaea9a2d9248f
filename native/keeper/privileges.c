#define _GNU_SOURCE
#include "privileges.h"

#include <errno.h>
#include <sys/prctl.h>

#include "bare_calls.h"

enum { CAPABILITIES_MAX = 64 };

int privileges_keep(const struct start *start)
{
	if ((start->flags & (START_CAPABILITIES | START_BOUNDING)) == 0)
		return 0;
	return -bare_prctl(PR_SET_KEEPCAPS, 1, 0); /* execve(2) clears it */
}

static bool contains(uint64_t set, int capability)
{
	return (set >> capability & 1) != 0;
}

/* The kernel says EINVAL behind the last one that it knows. */
static int cut_bounding_set(uint64_t set)
{
	for (int i = 0; i < CAPABILITIES_MAX; i++) {
		int result = bare_prctl(PR_CAPBSET_READ, (unsigned long)i, 0);
		if (result == 1 && !contains(set, i))
			result = bare_prctl(PR_CAPBSET_DROP, (unsigned long)i, 0);
		if (result < 0)
			return result == -EINVAL ? 0 : -result;
	}
	return 0;
}

static int make_ambient(uint64_t set)
{
	int result = bare_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);
	for (int i = 0; result == 0 && i < CAPABILITIES_MAX; i++)
		if (contains(set, i))
			result = bare_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)i);
	return -result;
}

int privileges_set(const struct start *start)
{
	struct bare_capabilities now;
	int error;
	if ((start->flags & (START_CAPABILITIES | START_BOUNDING)) == 0)
		return 0;
	if ((error = -bare_capget(&now)) != 0)
		return error;
	/* A new user has kept what is permitted, and lost what is in effect. */
	now.effective = now.permitted;
	if ((error = -bare_capset(&now)) != 0)
		return error;
	if ((start->flags & START_BOUNDING) != 0 && (error = cut_bounding_set(start->bounding)) != 0)
		return error;
	if ((start->flags & START_CAPABILITIES) != 0) {
		now = (struct bare_capabilities){start->capabilities, start->capabilities, start->capabilities};
	} else if (start->uid != START_KEEP_ID && start->uid != 0) {
		now = (struct bare_capabilities){0, 0, 0}; /* as setresuid(2) would have left it */
	}
	if ((error = -bare_capset(&now)) != 0)
		return error;
	return (start->flags & START_CAPABILITIES) != 0 ? make_ambient(start->capabilities) : 0;
}
