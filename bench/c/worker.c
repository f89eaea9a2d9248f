/*
 * The smallest useful worker: answers each connection on descriptor 3 with "ok PID\n" and closes it.
 *
 *   worker [--once]     --once: exits with 0 after the first connection
 *
 * Exits with 100 when no socket was passed to this process (sd_listen_fds(3)).
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 3 };

int main(int argc, char **argv) {
	int once = argc > 1 && strcmp(argv[1], "--once") == 0;
	const char *pid = getenv("LISTEN_PID");
	if (pid == NULL || atol(pid) != (long)getpid()) return 100;
	char answer[32];
	int length = snprintf(answer, sizeof answer, "ok %ld\n", (long)getpid());
	for (;;) {
		int connection = accept4(LISTENER, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0) continue; /* The client has gone again; the next accept blocks. */
		ssize_t sent = send(connection, answer, (size_t)length, MSG_NOSIGNAL);
		close(connection);
		if (once) return sent == length ? 0 : 1;
	}
}
