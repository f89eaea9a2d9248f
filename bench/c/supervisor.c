/*
 * The ideal supervisor: holds the socket, starts the worker, and starts it again the moment it has ended. No backoff, no limit.
 *
 *   supervisor WORKER ARGS…     prints "port N"
 */
#define _GNU_SOURCE
#include "start.h"

#include <sys/wait.h>

int main(int argc, char **argv) {
	if (argc < 2) return 100;
	int listener = listen_anywhere();
	for (;;) {
		pid_t pid = start_worker(listener, argv + 1);
		if (waitpid(pid, NULL, 0) != pid) return 1;
	}
}
