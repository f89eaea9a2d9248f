/*
 * The keeper replaces its own program: same pid, same children, same descriptors. docs/adr/0012-re-exec.md.
 *
 *   idle
 *   trying      a child executes the new program, which has to read the state and to prove that it could; the keeper goes on
 *   proceeding  it could; as soon as no reply waits, the keeper becomes it
 *   answering   it is over, and whoever asked is told as soon as no reply waits
 */
#ifndef HOLDFAST_REEXEC_H
#define HOLDFAST_REEXEC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "loop.h"
#include "request.h"

enum reexec_phase { REEXEC_IDLE = 0, REEXEC_TRYING, REEXEC_PROCEEDING, REEXEC_ANSWERING };

/* What the reply says, and what its detail is. All but the first: nothing has changed. */
enum reexec_result {
	REEXEC_DONE = 0,         /* - */
	REEXEC_NOT_EXECUTED = 1, /* errno: the new program could not be executed, when it was tried or in earnest */
	REEXEC_EXITED = 2,       /* exit code, without a proof: not 0, or it is no keeper */
	REEXEC_KILLED = 3,       /* the number of the signal that ended the trial */
	REEXEC_TIMED_OUT = 4,    /* milliseconds */
	REEXEC_OTHER_STATE = 5,  /* the version of the state that the new one reads; 0 = it does not say */
	REEXEC_NOT_READ = 6,     /* errno: it cannot take the state */
	REEXEC_NOT_PASSED = 7,   /* errno: the state could not be written or passed on */
	REEXEC_GIVEN_BACK = 8,   /* errno: it could not go on, and the program of before has everything back */
};

struct reexec {
	char *const *arguments;     /* the keeper's own argv, without what says how it takes over */
	uint32_t count;             /* how often this has been done */
	uint64_t last_at;           /* 0 = never */
	enum reexec_phase phase;
	bool asked;                 /* whoever asked is still attached and waits for the reply */
	uint32_t id;                /* of its request */
	int program;                /* the new one, open; -1 unless trying or proceeding. What was tried is what is executed */
	pid_t pid;                  /* of the trial, which is the leader of a process group; 0 = there is none */
	int proof;                  /* what the trial says; -1 unless trying */
	uint64_t deadline;          /* of the trial */
	bool timed_out;
	enum reexec_result result;
	int32_t detail;
};

void reexec_init(struct reexec *reexec, char *const *arguments);

/* The request, answered later. 0 or errno: EBUSY (one is under way), ESHUTDOWN, and what the system refuses. */
int reexec_request(struct keeper *keeper, const struct request *request, uint32_t id);

/* The end of the trial was met. */
void reexec_reaped(struct keeper *keeper, int wait_status);

/* What is due, and the re-exec itself, which does not return if it succeeds. Comes after channel_resume. */
void reexec_tick(struct keeper *keeper, uint64_t now);
uint64_t reexec_deadline(const struct reexec *reexec);

/* Whoever asked is gone. */
void reexec_forget_asker(struct reexec *reexec);

/* This program has taken over: `error` = 0 from another one, else it has everything back from one that could not go on for that reason. */
void reexec_taken_over(struct keeper *keeper, int error);

#endif
