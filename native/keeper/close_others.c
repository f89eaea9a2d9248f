#define _GNU_SOURCE
#include "close_others.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "bare_calls.h"

/* There are few, and the C library's qsort(3) may take memory for many. */
static void sort(int *numbers, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		int number = numbers[i];
		size_t at = i;
		for (; at > 0 && numbers[at - 1] > number; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = number;
	}
}

static void close_one_by_one(int first, int last)
{
	struct rlimit limit;
	int end = last;
	if (bare_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, bare_address(&limit), 0) == 0 && limit.rlim_cur <= (rlim_t)last)
		end = (int)limit.rlim_cur - 1;
	for (int fd = first; fd <= end; fd++)
		bare_close(fd);
}

/* -1 if it is no number. */
static int number_of(const char *name)
{
	int number = 0;
	if (*name == '\0')
		return -1;
	for (; *name != '\0'; name++) {
		if (*name < '0' || *name > '9' || number > INT_MAX / 10 - 1)
			return -1;
		number = number * 10 + (*name - '0');
	}
	return number;
}

/* Of the entries in `bytes`: whether one was closed. */
static bool close_entries(const uint8_t *bytes, size_t length, int first, int last, int directory)
{
	enum { LENGTH = 16, NAME = 19 }; /* getdents64(2): u64 inode, i64 offset, u16 length, u8 type, the name */
	bool closed = false;
	for (size_t at = 0; at + NAME < length;) {
		uint16_t size;
		memcpy(&size, bytes + at + LENGTH, sizeof size);
		int fd = number_of((const char *)bytes + at + NAME);
		if (fd >= first && fd <= last && fd != directory)
			closed = bare_close(fd) == 0 || closed;
		at += size;
	}
	return closed;
}

/* For kernels or sandboxes without close_range(2): what /proc lists, again until nothing is left to close. */
static void close_listed(int first, int last)
{
	uint8_t bytes[4096];
	bool again = true;
	while (again) {
		again = false;
		int directory = bare_open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (directory < 0) {
			close_one_by_one(first, last);
			return;
		}
		long length;
		while ((length = bare_call(SYS_getdents64, directory, bare_address(bytes), sizeof bytes, 0, 0)) > 0)
			again = close_entries(bytes, (size_t)length, first, last, directory) || again;
		bare_close(directory);
	}
}

static void close_between(int first, int last)
{
	if (first > last)
		return;
	if (bare_close_range((unsigned)first, (unsigned)last) != 0)
		close_listed(first, last);
}

void close_others(int *keep, size_t count)
{
	sort(keep, count);
	int next = 0;
	for (size_t i = 0; i < count; i++) {
		close_between(next, keep[i] - 1);
		next = keep[i] + 1;
	}
	close_between(next, INT_MAX);
}
