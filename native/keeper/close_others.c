#define _GNU_SOURCE
#include "close_others.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "system_calls.h"

static int compare(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;
	return (left > right) - (left < right);
}

static void close_one_by_one(int first, int last)
{
	struct rlimit limit;
	int end = last;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= (rlim_t)last)
		end = (int)limit.rlim_cur - 1;
	for (int fd = first; fd <= end; fd++)
		close(fd);
}

/* For kernels or sandboxes without close_range(2): what /proc lists, again until nothing is left to close. */
static void close_listed(int first, int last)
{
	bool again = true;
	while (again) {
		again = false;
		DIR *directory = opendir("/proc/self/fd");
		if (directory == NULL) {
			close_one_by_one(first, last);
			return;
		}
		for (struct dirent *item = readdir(directory); item != NULL; item = readdir(directory)) {
			char *end;
			long fd = strtol(item->d_name, &end, 10);
			if (end == item->d_name || fd < first || fd > last || fd == dirfd(directory))
				continue;
			again = close((int)fd) == 0 || again;
		}
		closedir(directory);
	}
}

static void close_between(int first, int last)
{
	if (first > last)
		return;
	if (sys_close_range((unsigned)first, (unsigned)last) != 0)
		close_listed(first, last);
}

void close_others(int *keep, size_t count)
{
	if (count > 1)
		qsort(keep, count, sizeof *keep, compare);
	int next = 0;
	for (size_t i = 0; i < count; i++) {
		close_between(next, keep[i] - 1);
		next = keep[i] + 1;
	}
	close_between(next, INT_MAX);
}
