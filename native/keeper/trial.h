/*
 * A program that shall become the keeper is tried first, in a child: it gets the state and all arguments that it will have, reads them, and says so.
 *
 * A program that knows nothing of this ends somehow, or does not end. So its exit code is no proof; what it writes is.
 */
#ifndef HOLDFAST_TRIAL_H
#define HOLDFAST_TRIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct keeper;

enum { PROOF_NOT_EXECUTED = 0 };

struct proof {
	uint16_t version; /* of the state that it reads, or PROOF_NOT_EXECUTED */
	int error;        /* 0 = it could; otherwise why it could not, or why it was not executed */
};

/* Starts `program`, which is open, with the state of this moment. 0 or errno. `proof` is the caller's. */
int trial_start(struct keeper *keeper, int program, pid_t *pid, int *proof);

/* SIGKILL to it and whatever it has started. It must not have been reaped: until then its number is no other group's. */
void trial_kill(pid_t pid);

/* The same if it has ended, for what it has left behind. */
void trial_sweep(pid_t pid);

/* False if there is no whole proof to read. */
bool proof_read(int fd, struct proof *proof);

/* The child's side, in the program that is tried: reads the state and says on `proof` whether it could. Its exit code. */
int trial_run(struct keeper *keeper, int state, int proof);

#endif
