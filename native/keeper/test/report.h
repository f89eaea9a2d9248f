/* What a process that the keeper has started says of itself, and starts that fail. */
#ifndef HOLDFAST_REPORT_H
#define HOLDFAST_REPORT_H

#include "harness.h"

/* Runs `report` with stdout as descriptor 1 of the frame's first, and returns all that it printed. */
static inline const char *report_of(struct client *c, struct order *order)
{
	static char said[65536];
	int ends[2];
	size_t length = 0;
	ssize_t count;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	order->key = "report";
	order->path = self_path;
	order->argv[0] = self_path;
	order->argv[1] = "--worker";
	order->argv[2] = "report";
	order->argv[3] = NULL;
	order->map[order->map_count].target = 1;
	order->map[order->map_count].held = NULL;
	order->map[order->map_count++].index = (uint16_t)order->fd_count;
	order->fds[order->fd_count++] = ends[1];
	CHECK_EQUAL(spawn_order(c, order), 0);
	close(ends[1]);
	while ((count = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
		length += (size_t)count;
	CHECK_EQUAL(count, 0);
	said[length] = '\0';
	close(ends[0]);
	struct record end = wait_child(c, "report", 3);
	CHECK_EQUAL(end.status, 0);
	CHECK_EQUAL(acknowledge(c, "report"), 0);
	return said;
}

static inline bool says(const char *report, const char *line)
{
	char wanted[4200];
	snprintf(wanted, sizeof wanted, "\n%s\n", line);
	return strstr(report, wanted) != NULL || strncmp(report, wanted + 1, strlen(wanted + 1)) == 0;
}

static inline size_t count_lines(const char *report, const char *prefix)
{
	size_t count = 0;
	for (const char *line = report; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL)
		count += strncmp(line, prefix, strlen(prefix)) == 0;
	return count;
}

/* A start that fails in that stage. */
static inline void check_failure(struct client *c, struct order order, uint8_t stage, int error)
{
	order.key = "fails";
	if (order.path == NULL)
		order.path = self_path;
	order.argv[0] = "fails";
	CHECK_EQUAL(spawn_order(c, &order), 0);
	struct record r = wait_child(c, "fails", 4);
	CHECK_EQUAL(r.stage, stage);
	CHECK_EQUAL(r.error, error);
	CHECK_EQUAL(r.status, 0);
	CHECK(r.ended != 0);
	CHECK_EQUAL(acknowledge(c, "fails"), 0);
}

#endif
