/*
 * The supervisor's process: started, watched, started again.
 *
 *   after an end       at once if it had been attached for 10 s, else after 100 ms, doubling to 5 s
 *   killed             1 s after it closed its channel; when its heartbeat, or before that its attach, is overdue; 5 s after `shut down`
 *   given up           once five in a row have ended and none has ever attached
 */
#ifndef HOLDFAST_SUPERVISOR_H
#define HOLDFAST_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"
#include "loop.h"
#include "request.h"

enum supervisor_end { END_NONE = 0, END_EXITED = 1, END_SIGNAL = 2, END_HUNG = 3, END_PROTOCOL = 4 };

struct supervisor {
	char *const *arguments;      /* of the keeper's own argv; [0] is the program */
	pid_t pid;                   /* 0 = there is none */
	struct watcher status;
	int status_fd;               /* -1 once exec was confirmed or has failed */
	int exec_error;              /* of the one that runs or ended last; 0 = none */
	int complained_of;           /* the exec error that was printed last */
	uint32_t starts;
	bool attached;               /* the one that runs or ended last has, once */
	bool ever_attached;
	bool handing_over;           /* the one of the keeper before, which is not our child (hand_over.h) */
	unsigned ends_in_a_row;      /* while none has ever attached */
	uint64_t attached_for;       /* ns, of the one that ended last */
	uint64_t backoff;            /* ns, the delay before the last restart */
	uint64_t attach_within;      /* ns, from its start; 0 = however long it takes */
	uint64_t restart_at, kill_at, heartbeat_at;
	enum supervisor_end kill_as, killed_as;
	enum supervisor_end last_end; /* these three are for `hello` */
	uint32_t last_detail;
	uint64_t last_end_at;
};

void supervisor_start(struct keeper *keeper);
void supervisor_reaped(struct keeper *keeper, int wait_status);

/* The end of its channel, while it may still live. */
void supervisor_hung_up(struct keeper *keeper);

void supervisor_signal(struct keeper *keeper, int number);
void supervisor_kill_at(struct keeper *keeper, uint64_t deadline);

/* What has become due. */
void supervisor_tick(struct keeper *keeper, uint64_t now);
uint64_t supervisor_deadline(const struct supervisor *supervisor);

/* It has not done in time what it had to. */
void supervisor_is_hung(struct keeper *keeper);

/* Another process has its place; returns the pid of the one before, which is nobody's any more. Its channel is for the caller to replace. */
pid_t supervisor_replaced(struct keeper *keeper, pid_t pid);

void supervisor_hello(struct keeper *keeper, const struct request *request, struct writer *hello);

/* The requests. attach: 0 or errno, and `hello`. */
int supervisor_attach(struct keeper *keeper, const struct request *request, struct writer *hello);
void supervisor_heartbeat(struct keeper *keeper, uint32_t next_ms);

#endif
