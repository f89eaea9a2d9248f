/*
 * Preloaded (LD_PRELOAD): the wall clock of a process is off by as many seconds as the file in JUMPING_CLOCK says, 8 bytes of this machine, which
 * may change at any time. Everything that counts from boot stays as it is.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *off;

__attribute__((constructor)) static void begin(void) {
	const char *path = getenv("JUMPING_CLOCK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return;
	void *page = mmap(NULL, sizeof *off, PROT_READ, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED) off = page;
	close(fd);
}

int clock_gettime(clockid_t id, struct timespec *now) {
	int result = (int)syscall(SYS_clock_gettime, id, now);
	if (result == 0 && off != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += *off;
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
	(void)zone;
	struct timespec exact;
	if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
	*now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *to) {
	struct timespec exact;
	if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return -1;
	if (to != NULL) *to = exact.tv_sec;
	return exact.tv_sec;
}
