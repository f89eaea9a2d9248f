/*
 * The keeper's decoder: header, request and start, as one function over bytes.
 *
 * Input: a byte with the number of descriptors that the frame brings, then the frame.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../native/keeper/child.h"
#include "../../native/keeper/registration.h"
#include "../../native/keeper/shut.h"
#include "../../native/keeper/request.h"

static struct start start, again; /* far too large for a stack */

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_within(const void *at, size_t length, struct bytes payload)
{
	if (length == 0)
		return;
	check((const uint8_t *)at >= payload.at && (const uint8_t *)at + length <= payload.at + payload.length);
}

/* A key is text: NUL after it and none in it. */
static void check_key(struct bytes key, struct bytes payload)
{
	check(key.length <= KEY_MAX);
	if (key.length == 0)
		return;
	check_within(key.at, key.length + 1, payload);
	check(strlen((const char *)key.at) == key.length);
}

static void check_strings(const char *const *strings, size_t count, size_t most, struct bytes payload)
{
	check(count <= most && strings[count] == NULL);
	for (size_t i = 0; i < count; i++)
		check_within(strings[i], strlen(strings[i]) + 1, payload);
}

static void check_start(const struct start *s, size_t frame_fds, struct bytes payload)
{
	check((s->flags & ~(uint32_t)START_FLAGS) == 0);
	check(s->group_count <= START_GROUPS_MAX && s->limit_count <= START_LIMITS_MAX);
	check(s->processors.length <= START_PROCESSORS_MAX);
	check_within(s->processors.at, s->processors.length, payload);
	check_within(s->directory, strlen(s->directory) + 1, payload);
	check_within(s->path, strlen(s->path) + 1, payload);
	check(s->argument_count >= 1);
	check_strings(s->arguments, s->argument_count, START_ARGUMENTS_MAX, payload);
	check_strings(s->environment, s->environment_count, START_ENVIRONMENT_MAX, payload);
	check(s->placement_count <= START_PLACEMENTS_MAX && s->keep_count <= START_KEEP_MAX);
	for (size_t i = 0; i < s->placement_count; i++) {
		const struct placement *p = &s->placements[i];
		check(p->target >= 0 && (p->from_held || p->index < frame_fds || (s->takes_connection && p->index == frame_fds)));
		if (p->from_held)
			check_key(p->held_key, payload);
		for (size_t j = 0; j < i; j++)
			check(s->placements[j].target != p->target);
	}
	for (size_t i = 0; i < s->keep_count; i++) {
		check(s->keep[i].index < frame_fds);
		for (size_t j = 0; j < i; j++)
			check(s->keep[j].index != s->keep[i].index);
	}
}

/* What an arm keeps is decoded again when it fires: it must be the same then. */
static void check_kept_start(struct bytes kept, size_t frame_fds)
{
	struct reader r = reader_over(kept);
	start_decode(&r, frame_fds, &again);
	check(reader_done(&r));
	check(again.argument_count == start.argument_count && again.environment_count == start.environment_count);
	check(again.placement_count == start.placement_count && again.keep_count == start.keep_count);
	check(again.path == start.path && again.directory == start.directory);
}

/* They are decoded again, one by one, when they are performed. */
static void check_registrations(const struct request *request, size_t frame_fds, struct bytes payload)
{
	check_within(request->registrations.at, request->registrations.length, payload);
	check(request->registration_count >= 1 && request->registration_count <= REGISTRATIONS_MAX);
	struct reader r = reader_over(request->registrations);
	for (size_t i = 0; i < request->registration_count; i++) {
		struct registration registration = registration_decode(&r, frame_fds);
		check(registration.process < frame_fds && registration.epoll >= 0 && registration.number >= 0);
		check_key(registration.held_key, payload);
	}
	check(reader_done(&r));
}

static void check_connections(const struct request *request, size_t frame_fds, struct bytes payload)
{
	check_within(request->connections.at, request->connections.length, payload);
	check(request->connection_count >= 1 && request->connection_count <= CONNECTIONS_MAX);
	struct reader r = reader_over(request->connections);
	for (size_t i = 0; i < request->connection_count; i++) {
		struct connection connection = connection_decode(&r, frame_fds);
		check(connection.process < frame_fds && connection.number >= 0);
	}
	check(reader_done(&r));
}

static void check_adopted(const struct request *request, size_t frame_fds)
{
	bool runs = request->adopted.state == CHILD_RUNNING;
	check(request->adopted.state >= CHILD_RUNNING && request->adopted.state <= CHILD_LOST);
	check(request->adopted.pid >= 0 && (request->adopted.by & ~CHILD_ORIGINS) == 0);
	check(!runs || (frame_fds >= 1 && request->adopted.pid > 0));
	check(start.placement_count == 0 && start.keep_count <= START_KEEP_MAX);
	for (size_t i = 0; i < start.keep_count; i++) {
		check(start.keep[i].index < frame_fds && (!runs || start.keep[i].index > 0));
		for (size_t j = 0; j < i; j++)
			check(start.keep[j].index != start.keep[i].index);
	}
}

/* They are decoded again when they are copied. */
static void check_program(const struct request *request, struct bytes payload)
{
	check_within(request->arguments.at, request->arguments.length, payload);
	check(request->within_ms > 0 && request->argument_count >= 1 && request->argument_count <= START_ARGUMENTS_MAX);
	struct reader r = reader_over(request->arguments);
	for (size_t i = 0; i < request->argument_count; i++) {
		const char *argument = reader_string(&r);
		check_within(argument, strlen(argument) + 1, payload);
		check(i > 0 || argument[0] == '/');
	}
	check(reader_done(&r));
}

static void check_request(const struct request *request, size_t frame_fds, struct bytes payload)
{
	check_key(request->key, payload);
	check(request->key.length > 0 || request->type == REQUEST_LIST || request->type == REQUEST_ATTACH ||
	      request->type == REQUEST_HEARTBEAT || request->type == REQUEST_SHUT_DOWN || request->type == REQUEST_QUIESCE ||
	      request->type == REQUEST_RESUME || request->type == REQUEST_SHUT || request->type == REQUEST_REEXEC ||
	      request->type == REQUEST_HANDED_OVER || request->type == REQUEST_UPGRADE || request->type == REQUEST_REPORT ||
	      request->type == REQUEST_CEDE);
	if (request->type == REQUEST_REEXEC) {
		check_within(request->path, strlen(request->path) + 1, payload);
		check(request->path[0] == '/' || request->path[0] == '\0');
	}
	if (request->type == REQUEST_UPGRADE)
		check_program(request, payload);
	if (request->type == REQUEST_REPORT) {
		check_within(request->words, strlen(request->words) + 1, payload);
		check(request->report <= REPORT_SERVES && strlen(request->words) <= REPORT_WORDS_MAX);
	}
	check(request->tag.length <= TAG_MAX && request->table < TABLE_COUNT && request->mode <= ATTACH_SHADOW);
	check_within(request->tag.at, request->tag.length, payload);
	check_within(request->start.at, request->start.length, payload);
	check_within(request->watched.at, request->watched.length, payload);
	if (request->type == REQUEST_SPAWN || request->type == REQUEST_ARM) {
		bool accepts = request->type == REQUEST_ARM && request->trigger == TRIGGER_CONNECTION;
		check(start.takes_connection == accepts);
		check(!accepts || (request->acceptor.most >= 1 && request->acceptor.prefix4 <= 32 && request->acceptor.prefix6 <= 128));
		check_start(&start, frame_fds, payload);
		check_kept_start(request->start, frame_fds);
	}
	if (request->type == REQUEST_QUIESCE || request->type == REQUEST_RESUME)
		check_registrations(request, frame_fds, payload);
	if (request->type == REQUEST_MOVE)
		check(request->pid > 0 && frame_fds >= 1);
	if (request->type == REQUEST_ADOPT)
		check_adopted(request, frame_fds);
	if (request->type == REQUEST_SHUT)
		check_connections(request, frame_fds, payload);
	if (request->type == REQUEST_ARM) {
		struct reader r = reader_over(request->watched);
		check(reader_has_more(&r));
		while (reader_has_more(&r))
			check_key(reader_key(&r), payload);
		check(reader_done(&r));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct request request;
	uint32_t place = 0;
	if (size < 1 + FRAME_HEADER)
		return 0;
	size_t frame_fds = input[0] < FRAME_FDS_MAX ? input[0] : FRAME_FDS_MAX;
	struct header header = header_decode(input + 1);
	uint8_t encoded[FRAME_HEADER];
	header_encode(encoded, header.type, header.id, header.length);
	check(memcmp(encoded + 2, input + 3, FRAME_HEADER - 2) == 0);

	/* In memory of exactly this size, so that the sanitizer sees each byte too many. */
	size_t length = size - 1 - FRAME_HEADER;
	uint8_t *copy = malloc(length == 0 ? 1 : length);
	check(copy != NULL);
	memcpy(copy, input + 1 + FRAME_HEADER, length);
	struct bytes payload = {copy, length};
	int error = request_decode(header.type, payload, frame_fds, &request, &start, &place);
	check(error == 0 || error == EBADMSG || error == EPROTO);
	check(place <= length);
	if (error == 0)
		check_request(&request, frame_fds, payload);
	free(copy);
	return 0;
}
