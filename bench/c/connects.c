/*
 * Clients of a service with a process for each connection: each connects, sends a line, reads it back, waits for the end, and begins again.
 *
 *   connects PORT CLIENTS SECONDS      prints "answered N failed N ms N"
 *
 * In one process with poll(2), so that they take as little as possible of the processor that the server needs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 256 };

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static int begin(int port) {
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* On loopback a connect is complete at once, whoever accepts it and when. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || write(fd, "hello\n", 6) != 6) {
		perror("connect");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv) {
	struct pollfd clients[MOST];
	int got[MOST] = {0};
	if (argc != 4) return 100;
	int port = atoi(argv[1]), count = atoi(argv[2]);
	if (count < 1 || count > MOST) return 100;
	long answered = 0, failed = 0;
	double start = now(), end = start + atof(argv[3]) * 1000;
	for (int i = 0; i < count; i++)
		clients[i] = (struct pollfd){.fd = begin(port), .events = POLLIN};
	while (now() < end) {
		if (poll(clients, (nfds_t)count, 1000) < 0 && errno != EINTR) return 1;
		for (int i = 0; i < count; i++) {
			char bytes[64];
			if (clients[i].revents == 0) continue;
			ssize_t length = read(clients[i].fd, bytes, sizeof bytes);
			if (length > 0) {
				got[i] += (int)length;
				continue;
			}
			if (length == 0 && got[i] == 6) answered++;
			else failed++;
			close(clients[i].fd);
			got[i] = 0;
			clients[i].fd = begin(port);
		}
	}
	printf("answered %ld failed %ld ms %.0f\n", answered, failed, now() - start);
	return 0;
}
