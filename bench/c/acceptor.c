/*
 * The ideal server with a process for each connection: accepts, starts the program with the connection as stdin and stdout, and goes on.
 *
 *   acceptor MOST PROGRAM ARGS…      prints "port N"; at most MOST processes at the same time
 *
 * It is the floor that any inetd is compared with: accept, vfork, exec, and a wait for those that have ended.
 */
#define _GNU_SOURCE
#include "start.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
	static char *environment[] = {NULL};
	if (argc < 3) return 100;
	int listener = listen_anywhere();
	int most = atoi(argv[1]), alive = 0;
	for (;;) {
		while (alive > 0 && waitpid(-1, NULL, alive < most ? WNOHANG : 0) > 0)
			alive--;
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0) continue;
		pid_t pid = vfork();
		if (pid == 0) {
			if (dup2(connection, 0) < 0 || dup2(connection, 1) < 0) _exit(127);
			execve(argv[2], argv + 2, environment);
			_exit(127);
		}
		alive += pid > 0;
		close(connection);
	}
}
