/*
 * The ideal activator: waits until the socket is readable, starts the worker, waits for its exit, and again.
 *
 *   activator WORKER ARGS…      prints "port N", then "exited" after each worker
 *
 * It is the floor that any activator is compared with: poll, vfork, exec and nothing else.
 */
#define _GNU_SOURCE
#include "start.h"

#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
	if (argc < 2) return 100;
	int listener = listen_anywhere();
	for (;;) {
		struct pollfd wanted = {.fd = listener, .events = POLLIN};
		if (poll(&wanted, 1, -1) < 1) continue;
		pid_t pid = start_worker(listener, argv + 1);
		if (waitpid(pid, NULL, 0) != pid) return 1;
		puts("exited");
		fflush(stdout);
	}
}
