/*
 * Another program in the place of the supervisor's, tried while that one goes on: docs/adr/0015-supervisor-upgrade.md.
 *
 *   none
 *   trying    it was started and looks without touching; it has not said yet whether it would go on as the one in charge does
 *   willing   it would, and waits for the lease
 *   leading   the one in charge has ceded it the lease and waits until this one has all that it has: it is the donor of the next keeper
 *   settling  it has all. The program of before is started again should this one end before it has said that it serves
 */
#ifndef HOLDFAST_SUCCESSOR_H
#define HOLDFAST_SUCCESSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "channel.h"
#include "request.h"

enum successor_phase { SUCCESSOR_NONE = 0, SUCCESSOR_TRYING, SUCCESSOR_WILLING, SUCCESSOR_LEADING, SUCCESSOR_SETTLING };

/* What the reply to `upgrade` says, and what its detail is. All but the first: it has ended, and nothing has changed. */
enum upgrade_result {
	UPGRADE_WILLING = 0,        /* - */
	UPGRADE_NOT_EXECUTED = 1,   /* errno */
	UPGRADE_EXITED = 2,         /* exit code, before it had said anything */
	UPGRADE_KILLED = 3,         /* signal */
	UPGRADE_TIMED_OUT = 4,      /* milliseconds */
	UPGRADE_UNWILLING = 5,      /* -; why is in its words */
	UPGRADE_OTHER_PROTOCOL = 6, /* the highest version that it speaks */
	UPGRADE_CANNOT_LOOK = 7,    /* -; it has asked for the lease at once */
};

struct successor {
	enum successor_phase phase;
	char **arguments;        /* owned: the keeper's own up to the program, then the new program with its own */
	size_t own_count;        /* of the keeper's own */
	pid_t pid;               /* 0 = there is none, or it is the supervisor by now */
	int status_fd;           /* what tells of an exec that failed; -1 = none */
	struct channel channel;  /* while it only looks */
	uint64_t within, deadline;
	bool timed_out, wanted_lease;
	uint16_t other_protocol; /* 0 = ours */
	bool told_lease;
	bool answering;          /* the reply to `upgrade` waits until there is room */
	uint32_t id;             /* of that request, or of `cede` */
	enum upgrade_result result;
	int32_t detail;
	char words[REPORT_WORDS_MAX + 1];
	pid_t before;            /* who has ceded, until it is reaped; 0 = nobody */
	int before_fd;           /* its channel, while it waits to hear that it may end; -1 = none */
	uint64_t before_until;   /* then it is killed; 0 = it may wait */
};

void successor_init(struct successor *successor);
bool successor_is_under_way(const struct successor *successor);

/* Requests of the one in charge; 0 or errno. The replies to the first, and to the second with cede, come later. */
int successor_request(struct keeper *keeper, const struct request *request, uint32_t id);
int successor_cede(struct keeper *keeper, const struct request *request, uint32_t id);
int successor_report_lease(struct keeper *keeper, const struct request *request);

/* Requests of the one that only looks. */
int successor_attach(struct keeper *keeper, const struct request *request, struct writer *hello);
int successor_report(struct keeper *keeper, const struct request *request);

/* The end of its channel, while it may still live. */
void successor_hung_up(struct keeper *keeper);

/* True if it was a process of ours. */
bool successor_reaped(struct keeper *keeper, pid_t pid, int wait_status);

/*
 * The supervisor has ended: nobody is left who could cede, or it is the one that had the lease for a moment. True in that case: the program of before is to
 * be started, of which nothing bad is known.
 */
bool successor_lost_supervisor(struct keeper *keeper);

/* Whoever has ceded, was told that it may end, and has not: it has nothing to do any more but its last words. Not while it still waits to be told. */
void successor_forget_before(struct successor *successor);

/* Everything ends. */
void successor_kill(struct keeper *keeper);

void successor_tick(struct keeper *keeper, uint64_t now);
uint64_t successor_deadline(const struct successor *successor);

#endif
