/* The request `re-exec`, for the tests of several files. */
#ifndef HOLDFAST_TEST_REEXEC_REQUEST_H
#define HOLDFAST_TEST_REEXEC_REQUEST_H

#include "../reexec.h"
#include "client.h"

struct answer {
	uint8_t result;
	int32_t detail;
	uint32_t count;
};

static inline uint32_t post_reexec(struct client *c, const char *path)
{
	struct writer w = payload();
	write_string(&w, path);
	return post(c, REQUEST_REEXEC, w, NULL, 0, 0);
}

static inline struct answer read_answer(struct frame *reply)
{
	struct answer answer;
	CHECK_EQUAL(frame_error(reply), 0);
	struct reader r = frame_reader(reply);
	answer.result = reader_u8(&r);
	answer.detail = reader_i32(&r);
	answer.count = reader_u32(&r);
	CHECK(reader_done(&r));
	frame_free(reply);
	return answer;
}

static inline struct answer wait_answer(struct client *c, uint32_t id)
{
	struct frame reply = receive_reply(c, id);
	return read_answer(&reply);
}

static inline struct answer reexec(struct client *c, const char *path)
{
	return wait_answer(c, post_reexec(c, path));
}

static inline void reexec_done(struct client *c, const char *path, uint32_t count)
{
	struct answer answer = reexec(c, path);
	CHECK_EQUAL(answer.result, REEXEC_DONE);
	CHECK_EQUAL(answer.detail, 0);
	CHECK_EQUAL(answer.count, count);
}

#endif
