#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "adopted.h"
#include "shut.h"

#include "registration.h"

static void decode_attach(struct reader *r, struct request *request)
{
	request->lowest_version = reader_u16(r);
	request->highest_version = reader_u16(r);
	request->features = reader_u32(r); /* unknown ones are no error */
	uint8_t mode = reader_u8(r);
	if (mode > ATTACH_SHADOW)
		reader_refuse(r);
	request->mode = mode;
}

static void decode_hold(struct reader *r, struct request *request)
{
	request->key = reader_key(r);
	request->tag = reader_tag(r);
	uint8_t flags = reader_u8(r);
	if (flags > 1)
		reader_refuse(r);
	request->replace = flags == 1;
}

static void decode_table(struct reader *r, struct request *request)
{
	uint8_t table = reader_u8(r);
	if (table >= TABLE_COUNT) {
		reader_refuse(r);
		return;
	}
	request->table = table;
}

static void decode_start(struct reader *r, size_t frame_fds, struct request *request, struct start *start)
{
	request->key = reader_key(r);
	request->tag = reader_tag(r);
	size_t from = r->at;
	start_decode(r, frame_fds, start);
	request->start = (struct bytes){r->bytes + from, r->at - from};
}

static void decode_trigger(struct reader *r, const struct start *start, struct request *request)
{
	uint8_t trigger = reader_u8(r);
	size_t count = reader_u16(r);
	if ((trigger != TRIGGER_READABLE && trigger != TRIGGER_CONNECTION) || count == 0 ||
	    start->takes_connection != (trigger == TRIGGER_CONNECTION))
		reader_refuse(r);
	size_t from = r->at;
	for (size_t i = 0; i < count && !r->failed; i++)
		(void)reader_key(r);
	request->trigger = trigger == TRIGGER_CONNECTION ? TRIGGER_CONNECTION : TRIGGER_READABLE;
	request->watched = (struct bytes){r->bytes + from, r->at - from};
	if (request->trigger == TRIGGER_CONNECTION)
		acceptor_limits_decode(r, &request->acceptor);
}

static void decode_registrations(struct reader *r, size_t frame_fds, struct request *request)
{
	size_t count = reader_u16(r);
	if (count == 0 || count > REGISTRATIONS_MAX)
		reader_refuse(r);
	size_t from = r->at;
	for (size_t i = 0; i < count && !r->failed; i++)
		(void)registration_decode(r, frame_fds);
	request->registration_count = count;
	request->registrations = (struct bytes){r->bytes + from, r->at - from};
}

static void decode_connections(struct reader *r, size_t frame_fds, struct request *request)
{
	size_t count = reader_u16(r);
	if (count == 0 || count > CONNECTIONS_MAX)
		reader_refuse(r);
	size_t from = r->at;
	for (size_t i = 0; i < count && !r->failed; i++)
		(void)connection_decode(r, frame_fds);
	request->connection_count = count;
	request->connections = (struct bytes){r->bytes + from, r->at - from};
}

static void decode_path(struct reader *r, struct request *request)
{
	request->path = reader_string(r);
	if ((request->path[0] != '/' && request->path[0] != '\0') || strlen(request->path) >= PATH_MAX)
		reader_refuse(r);
}

static void decode_upgrade(struct reader *r, struct request *request)
{
	request->within_ms = reader_u32(r);
	size_t count = reader_u16(r);
	if (count == 0 || count > START_ARGUMENTS_MAX || request->within_ms == 0)
		reader_refuse(r);
	size_t from = r->at;
	for (size_t i = 0; i < count && !r->failed; i++) {
		const char *argument = reader_string(r);
		if (i == 0 && argument[0] != '/')
			reader_refuse(r);
	}
	request->argument_count = count;
	request->arguments = (struct bytes){r->bytes + from, r->at - from};
}

static void decode_report(struct reader *r, struct request *request)
{
	uint8_t report = reader_u8(r);
	if (report > REPORT_SERVES)
		reader_refuse(r);
	request->report = report;
	request->words = reader_string(r);
	if (strlen(request->words) > REPORT_WORDS_MAX)
		reader_refuse(r);
}

static void decode_cede(struct reader *r, struct request *request)
{
	uint8_t cede = reader_u8(r);
	if (cede > 1)
		reader_refuse(r);
	request->cede = cede == 1;
}

int request_decode(uint16_t type, struct bytes payload, size_t frame_fds, struct request *request, struct start *start,
		   uint32_t *place)
{
	struct reader reader = reader_over(payload);
	struct reader *r = &reader;
	*request = (struct request){.type = type};
	*place = 0;
	switch (type) {
	case REQUEST_ATTACH:
		decode_attach(r, request);
		break;
	case REQUEST_HOLD:
		decode_hold(r, request);
		break;
	case REQUEST_RELEASE:
	case REQUEST_DISARM:
	case REQUEST_ACKNOWLEDGE:
		request->key = reader_key(r);
		break;
	case REQUEST_LIST:
		decode_table(r, request);
		request->key = reader_cursor(r);
		break;
	case REQUEST_FETCH:
		decode_table(r, request);
		request->key = reader_key(r);
		break;
	case REQUEST_TAG:
		decode_table(r, request);
		request->key = reader_key(r);
		request->tag = reader_tag(r);
		break;
	case REQUEST_SPAWN:
		decode_start(r, frame_fds, request, start);
		if (start->takes_connection)
			reader_refuse(r);
		break;
	case REQUEST_ARM:
		decode_start(r, frame_fds, request, start);
		decode_trigger(r, start, request);
		break;
	case REQUEST_SIGNAL:
		request->key = reader_key(r);
		request->signal = reader_i32(r);
		break;
	case REQUEST_HEARTBEAT:
		request->heartbeat_ms = reader_u32(r);
		break;
	case REQUEST_SHUT_DOWN:
		request->exit_code = reader_u8(r);
		break;
	case REQUEST_QUIESCE:
	case REQUEST_RESUME:
		decode_registrations(r, frame_fds, request);
		break;
	case REQUEST_SHUT:
		decode_connections(r, frame_fds, request);
		break;
	case REQUEST_TAKE:
	case REQUEST_SETTLE:
		request->key = reader_key(r);
		request->index = reader_u16(r);
		break;
	case REQUEST_REEXEC:
		decode_path(r, request);
		break;
	case REQUEST_ADOPT:
		adopted_decode(r, frame_fds, request, start);
		break;
	case REQUEST_MOVE:
		request->key = reader_key(r);
		request->pid = reader_i32(r);
		if (request->pid <= 0 || frame_fds == 0)
			reader_refuse(r);
		break;
	case REQUEST_HANDED_OVER:
		request->supervisors = reader_u32(r);
		request->nofile = reader_u64(r);
		break;
	case REQUEST_UPGRADE:
		decode_upgrade(r, request);
		break;
	case REQUEST_REPORT:
		decode_report(r, request);
		break;
	case REQUEST_CEDE:
		decode_cede(r, request);
		break;
	default:
		return EPROTO;
	}
	if (reader_done(r))
		return 0;
	*place = (uint32_t)r->at;
	return EBADMSG;
}
