#define _GNU_SOURCE
#include "start.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int listen_anywhere(void) {
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 || listen(listener, 4096) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) < 0) {
		perror("listen");
		exit(1);
	}
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

pid_t start_worker(int listener, char **argv) {
	static char listen_pid[32];
	static char *environment[] = {"LISTEN_FDS=1", "LISTEN_FDNAMES=bench", listen_pid, NULL};
	pid_t pid = vfork();
	if (pid < 0) {
		perror("vfork");
		exit(1);
	}
	if (pid == 0) {
		/* The memory is the parent's until exec, which is stopped meanwhile: writing listen_pid here is what it is for. */
		snprintf(listen_pid, sizeof listen_pid, "LISTEN_PID=%ld", (long)getpid());
		if (listener == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(listener, 3) < 0) _exit(127);
		execve(argv[0], argv, environment);
		_exit(127);
	}
	return pid;
}
