/*
 * Writes numbered lines of 100 bytes to stdout as fast as they are taken, then exits with 0.
 *
 *   flood LINES BYTES_A_WRITE      BYTES_A_WRITE: a multiple of 100, at most 65600; 100 = line by line
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 100, LARGEST = 656 * LINE };

static int write_all(const char *from, size_t left) {
	while (left > 0) {
		ssize_t written = write(STDOUT_FILENO, from, left);
		if (written < 0) return -1;
		from += written;
		left -= (size_t)written;
	}
	return 0;
}

int main(int argc, char **argv) {
	static char block[LARGEST];
	if (argc != 3) return 100;
	unsigned lines = (unsigned)strtoul(argv[1], NULL, 10);
	size_t bytes = (size_t)atol(argv[2]);
	if (lines < 1 || bytes < LINE || bytes > LARGEST || bytes % LINE != 0) return 100;
	memset(block, '.', sizeof block);
	size_t filled = 0;
	for (unsigned line = 0; line < lines; line++) {
		char number[16];
		snprintf(number, sizeof number, "%010u ", line);
		memcpy(block + filled, number, 11);
		block[filled + LINE - 1] = '\n';
		filled += LINE;
		if (filled == bytes || line == lines - 1) {
			if (write_all(block, filled) < 0) return 1;
			filled = 0;
		}
	}
	return 0;
}
