#define _GNU_SOURCE
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "launch.h"
#include "state.h"
#include "system_calls.h"
#include "takeover.h"

enum {
	STATE_FD = 3, PROOF_FD = 4, PROGRAM_FD = 5, /* in the trial; a script is read by its interpreter from the last one */
	ABOVE = 10,                                 /* they move up here before they are put where they belong */
	PROOF_SIZE = 14,
};

/* Written whole: it is far below PIPE_BUF, and the pipe is empty. */
static bool proof_write(int fd, struct proof proof)
{
	uint8_t bytes[PROOF_SIZE];
	struct writer w = {.bytes = bytes, .capacity = sizeof bytes};
	writer_u64(&w, STATE_MAGIC);
	writer_u16(&w, proof.version);
	writer_i32(&w, proof.error);
	return write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes;
}

bool proof_read(int fd, struct proof *proof)
{
	uint8_t bytes[PROOF_SIZE];
	ssize_t count;
	do
		count = read(fd, bytes, sizeof bytes);
	while (count < 0 && errno == EINTR);
	if (count != (ssize_t)sizeof bytes)
		return false;
	struct reader r = reader_over((struct bytes){bytes, sizeof bytes});
	bool is_proof = reader_u64(&r) == STATE_MAGIC;
	proof->version = reader_u16(&r);
	proof->error = reader_i32(&r);
	return is_proof;
}

static int put_descriptors(const int from[3])
{
	int moved[3];
	for (int i = 0; i < 3; i++)
		if ((moved[i] = fcntl(from[i], F_DUPFD_CLOEXEC, ABOVE)) < 0)
			return errno;
	for (int i = 0; i < 3; i++)
		if (dup2(moved[i], STATE_FD + i) < 0)
			return errno;
	return 0;
}

/* Everything else that we have is close-on-exec. */
static _Noreturn void become_trial(char **arguments, int program, int state, int proof)
{
	setsid();
	int error = put_descriptors((const int[]){state, proof, program});
	if (error == 0 && (error = launch_reset_signals(0)) == 0) {
		sys_execve_fd(PROGRAM_FD, arguments, environ);
		error = errno;
	}
	(void)proof_write(proof, (struct proof){.version = PROOF_NOT_EXECUTED, .error = error});
	_exit(126);
}

static int start(char **arguments, int program, int state, pid_t *pid, int *proof)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return errno;
	*pid = fork();
	if (*pid == 0)
		become_trial(arguments, program, state, ends[1]);
	int error = errno;
	close(ends[1]);
	if (*pid > 0) {
		*proof = ends[0];
		return 0;
	}
	*pid = 0;
	close(ends[0]);
	return error;
}

int trial_start(struct keeper *k, int program, pid_t *pid, int *proof)
{
	int state;
	char **arguments = takeover_arguments(
		k->reexec.arguments, &(struct takeover){.mode = MODE_TRIAL, .state = STATE_FD, .other = PROOF_FD});
	int error = arguments == NULL ? ENOMEM : state_save(k, &state);
	if (error == 0) {
		error = start(arguments, program, state, pid, proof);
		close(state);
	}
	free(arguments);
	return error;
}

void trial_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(-pid, SIGKILL); /* ESRCH: it is not the leader of its group yet */
	(void)kill(pid, SIGKILL);
}

void trial_sweep(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	if (pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
		trial_kill(pid);
}

int trial_run(struct keeper *k, int state, int proof)
{
	struct bytes bytes;
	int error = state_map(state, &bytes);
	if (error == 0)
		error = state_load(k, bytes);
	return proof_write(proof, (struct proof){.version = STATE_VERSION, .error = error}) && error == 0 ? 0 : 1;
}
