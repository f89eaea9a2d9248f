#define _GNU_SOURCE
#include "serve.h"

#include <errno.h>

#include "adopt.h"
#include "arm.h"
#include "drain.h"
#include "hand_over.h"
#include "held.h"
#include "page.h"
#include "shut.h"
#include "spawn.h"
#include "successor.h"
#include "valve.h"

size_t reply_error_encode(uint8_t *frame, uint32_t id, int error, uint32_t place)
{
	struct writer w = {.bytes = frame + FRAME_HEADER, .capacity = FRAME_MAX - FRAME_HEADER};
	writer_i32(&w, error);
	writer_u32(&w, place);
	header_encode(frame, REPLY_ERROR, id, w.at);
	return w.at;
}

/* Whoever looks touches nothing. */
static int perform_for_shadow(struct keeper *k, const struct request *request, struct reply *reply)
{
	switch (request->type) {
	case REQUEST_ATTACH:
		return successor_attach(k, request, &reply->body);
	case REQUEST_LIST:
		return page_list(k, request, reply);
	case REQUEST_FETCH:
		return page_fetch(k, request, reply);
	case REQUEST_REPORT:
		return successor_report(k, request);
	default:
		return EPERM;
	}
}

static int perform(struct keeper *k, const struct request *request, struct reply *reply)
{
	struct descriptors *descriptors = &k->message.descriptors;
	switch (request->type) {
	case REQUEST_ATTACH:
		return supervisor_attach(k, request, &reply->body);
	case REQUEST_HOLD:
		return held_hold(k, request, descriptors);
	case REQUEST_RELEASE:
		return held_release(k, request->key);
	case REQUEST_LIST:
		return page_list(k, request, reply);
	case REQUEST_FETCH:
		return page_fetch(k, request, reply);
	case REQUEST_TAG:
		return page_tag(k, request);
	case REQUEST_SPAWN:
		return spawn_request(k, request, &k->start, descriptors);
	case REQUEST_ARM:
		return arm_request(k, request, &k->start, descriptors);
	case REQUEST_DISARM:
		return arm_disarm(k, request->key);
	case REQUEST_SIGNAL:
		return child_signal(k, request->key, request->signal);
	case REQUEST_ACKNOWLEDGE:
		return child_acknowledge(k, request->key);
	case REQUEST_HEARTBEAT:
		supervisor_heartbeat(k, request->heartbeat_ms);
		return 0;
	case REQUEST_SHUT_DOWN:
		ending_shut_down(k, request->exit_code);
		return 0;
	case REQUEST_QUIESCE:
	case REQUEST_RESUME:
		return valve_request(k, request, descriptors, &reply->body);
	case REQUEST_SHUT:
		return shut_request(k, request, descriptors, &reply->body);
	case REQUEST_TAKE:
		return drain_take(k, request->key, request->index, &reply->body);
	case REQUEST_SETTLE:
		return drain_settle(k, request->key, request->index);
	case REQUEST_REEXEC:
		reply->later = true;
		return reexec_request(k, request, reply->id);
	case REQUEST_ADOPT:
		return adopt_request(k, request, &k->start, descriptors);
	case REQUEST_MOVE:
		return adopt_move(k, request, descriptors);
	case REQUEST_HANDED_OVER:
		return hand_over_complete(k, request);
	case REQUEST_UPGRADE:
		reply->later = true;
		return successor_request(k, request, reply->id);
	case REQUEST_REPORT:
		return successor_report_lease(k, request);
	case REQUEST_CEDE:
		reply->later = request->cede;
		return successor_cede(k, request, reply->id);
	}
	return EPROTO;
}

/* 0 or errno, and the id to reply to. */
static int answer(struct keeper *k, struct channel *c, struct message *message, struct reply *reply)
{
	struct request request;
	if (message->length < FRAME_HEADER)
		return EBADMSG;
	struct header header = header_decode(message->bytes);
	reply->id = header.id;
	if (message->data_cut)
		return EMSGSIZE;
	if (message->fds_cut || descriptors_reach(&message->descriptors, k->reserved_from))
		return EMFILE;
	/* Whoever speaks another version is told so by `attach`, which is the same in all of them. */
	if ((header.version != PROTOCOL_VERSION && header.type != REQUEST_ATTACH) || header.flags != 0)
		return EPROTO;
	if (header.length != message->length - FRAME_HEADER)
		return EBADMSG;
	if (!channel_is_attached(c) && header.type != REQUEST_ATTACH)
		return ENOTCONN;
	struct bytes payload = {message->bytes + FRAME_HEADER, header.length};
	int error = request_decode(header.type, payload, message->descriptors.count, &request, &k->start, &reply->place);
	if (error != 0)
		return error;
	return c == &k->channel ? perform(k, &request, reply) : perform_for_shadow(k, &request, reply);
}

void serve(struct keeper *k, struct channel *c, struct message *message)
{
	struct reply reply = {.body = {.bytes = c->out + FRAME_HEADER, .capacity = FRAME_MAX - FRAME_HEADER}};
	int error = answer(k, c, message, &reply);
	if (error == 0 && reply.later)
		return;
	if (error == 0)
		channel_send_reply(c, REPLY_OK, reply.id, reply.body.at, reply.fds, reply.fd_count);
	else
		channel_send_reply(c, REPLY_ERROR, reply.id, reply_error_encode(c->out, reply.id, error, reply.place), NULL, 0);
}
