/* The decoder, fed what is right, what is cut, what is changed, and noise. frame_test [SEED] replays. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <errno.h>
#include <limits.h>

#include "client.h"

enum { ROUNDS = 60000, SAMPLE_FDS = 3 };

static struct start start; /* far too large for a stack */
static uint64_t random_state;

static uint32_t random_number(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 33);
}

/* Decodes a copy that is exactly as long as it says, so that a sanitizer sees every byte too many. */
static int decode(uint16_t type, const uint8_t *bytes, size_t length, struct request *request)
{
	uint32_t place = 0;
	uint8_t *copy = malloc(length == 0 ? 1 : length);
	CHECK(copy != NULL);
	if (length != 0)
		memcpy(copy, bytes, length);
	int error = request_decode(type, (struct bytes){copy, length}, SAMPLE_FDS, request, &start, &place);
	CHECK(place <= length);
	CHECK(error == 0 || error == EBADMSG || error == EPROTO);
	if (error == 0) { /* whatever it accepted must be within, and within its bounds */
		CHECK(request->key.length <= KEY_MAX && request->tag.length <= TAG_MAX);
		CHECK(request->key.length == 0 || memchr(request->key.at, 0, request->key.length) == NULL);
		CHECK(request->key.length == 0 || request->key.at[request->key.length] == 0);
		struct reader r = reader_over(request->registrations);
		for (size_t i = 0; i < request->registration_count; i++)
			CHECK(registration_decode(&r, SAMPLE_FDS).process < SAMPLE_FDS);
		CHECK(reader_done(&r));
		r = reader_over(request->connections);
		for (size_t i = 0; i < request->connection_count; i++)
			CHECK(connection_decode(&r, SAMPLE_FDS).process < SAMPLE_FDS);
		CHECK(reader_done(&r));
		if (type == REQUEST_SPAWN || type == REQUEST_ARM) {
			CHECK(start.argument_count >= 1 && start.arguments[start.argument_count] == NULL);
			CHECK(start.environment[start.environment_count] == NULL);
			for (size_t i = 0; i < start.argument_count; i++)
				CHECK(start.arguments[i] + strlen(start.arguments[i]) < (char *)copy + length);
			for (size_t i = 0; i < start.placement_count; i++)
				CHECK(start.placements[i].from_held || start.placements[i].index < SAMPLE_FDS);
			for (size_t i = 0; i < start.keep_count; i++)
				CHECK(start.keep[i].index < SAMPLE_FDS);
		}
	}
	free(copy);
	return error;
}

enum { LAST_TYPE = REQUEST_MOVE };

static struct writer sample(uint16_t type)
{
	static const struct order order = {
		.key = "web/1", .tag = {(const uint8_t *)"\0opaque\0", 8}, .flags = START_FLAGS, .group_count = 2, .groups = {1, 2},
		.limit_count = 1, .limits = {{7, 10, UINT64_MAX}}, .directory = "/", .path = "/bin/true", .argv = {"true", "", "x"},
		.env = {"A=b", "C="}, .map_count = 3, .map = {{0, NULL, 2}, {7, "socket", 65535}, {3, NULL, 0}}, .keep_count = 2,
		.keep = {1, 2}, .keep_flags = {0, 1},
	};
	struct writer w = payload();
	switch (type) {
	case REQUEST_ATTACH:
		writer_u16(&w, 1);
		writer_u16(&w, 9);
		writer_u32(&w, 5);
		writer_u8(&w, 1);
		break;
	case REQUEST_HOLD:
		writer_key(&w, text("k"));
		writer_tag(&w, text("tag"));
		writer_u8(&w, 1);
		break;
	case REQUEST_LIST:
	case REQUEST_FETCH:
		writer_u8(&w, 2);
		writer_key(&w, text(type == REQUEST_LIST ? "" : "key"));
		break;
	case REQUEST_TAG:
		writer_u8(&w, 0);
		writer_key(&w, text("key"));
		writer_tag(&w, text(""));
		break;
	case REQUEST_SPAWN:
	case REQUEST_ARM:
		write_start(&w, &order);
		if (type == REQUEST_SPAWN)
			break;
		writer_u8(&w, 1);
		writer_u16(&w, 2);
		writer_key(&w, text("one"));
		writer_key(&w, text("two"));
		break;
	case REQUEST_SIGNAL:
		writer_key(&w, text("key"));
		writer_i32(&w, -5);
		break;
	case REQUEST_HEARTBEAT:
		writer_u32(&w, 1000);
		break;
	case REQUEST_SHUT_DOWN:
		writer_u8(&w, 3);
		break;
	case REQUEST_QUIESCE:
	case REQUEST_RESUME:
		writer_u16(&w, 2);
		write_registration(&w, &(struct registration){SAMPLE_FDS - 1, 5, 7, text("socket/web/a"), 0, 0x19, UINT64_MAX});
		write_registration(&w, &(struct registration){0, 9, 9, text("k"), 65535, 0x90000019, 3});
		break;
	case REQUEST_SHUT:
		writer_u16(&w, 2);
		write_connection(&w, &(struct connection){SAMPLE_FDS - 1, 7, UINT64_MAX, 5});
		write_connection(&w, &(struct connection){0, 0, 1, UINT64_MAX});
		break;
	case REQUEST_TAKE:
	case REQUEST_SETTLE:
		writer_key(&w, text("web/0/1"));
		writer_u16(&w, 1);
		break;
	case REQUEST_REEXEC:
		write_string(&w, "/usr/lib/holdfast-keeper");
		break;
	case REQUEST_ADOPT:
		write_child(&w, &(struct record){.key = "web/0/1", .state = 2, .by = 3, .pid = 7, .started = 1, .signals = 1, .tag = text("t")});
		writer_u16(&w, 1);
		writer_u16(&w, 1);
		writer_u8(&w, 1);
		break;
	case REQUEST_MOVE:
		writer_key(&w, text("web/0/1"));
		writer_i32(&w, 7);
		break;
	case REQUEST_UPGRADE:
		writer_u32(&w, 30000);
		writer_u16(&w, 1);
		write_string(&w, "/usr/bin/node");
		break;
	case REQUEST_REPORT:
		writer_u8(&w, 1);
		write_string(&w, "it would replace web/1");
		break;
	case REQUEST_CEDE:
		writer_u8(&w, 1);
		break;
	case REQUEST_HANDED_OVER:
		writer_u32(&w, 3);
		writer_u64(&w, 1024);
		break;
	default:
		writer_key(&w, text("key"));
	}
	CHECK(!w.failed);
	return w;
}

static void right_frames_are_decoded(void)
{
	struct request request;
	for (uint16_t type = REQUEST_ATTACH; type <= LAST_TYPE; type++) {
		struct writer w = sample(type);
		CHECK_EQUAL(decode(type, w.bytes, w.at, &request), 0);
		CHECK_EQUAL(request.type, type);
	}
	struct writer w = sample(REQUEST_ARM);
	uint32_t place;
	CHECK_EQUAL(request_decode(REQUEST_ARM, (struct bytes){w.bytes, w.at}, SAMPLE_FDS, &request, &start, &place), 0);
	CHECK_EQUAL(bytes_compare(request.key, text("web/1")), 0);
	CHECK_EQUAL(request.tag.length, 8);
	CHECK_EQUAL(start.limits[0].value.rlim_max, RLIM_INFINITY);
	CHECK_EQUAL(strcmp(start.arguments[2], "x"), 0);
	CHECK_EQUAL(strcmp(start.environment[1], "C="), 0);
	CHECK_EQUAL(start.placements[1].target, 7);
	CHECK_EQUAL(start.placements[1].index, 65535);
	CHECK_EQUAL(bytes_compare(start.placements[1].held_key, text("socket")), 0);
	CHECK_EQUAL(request.watched.length, 12);
	/* What an arm keeps of it decodes to the same again. */
	struct reader r = reader_over(request.start);
	start_decode(&r, SAMPLE_FDS, &start);
	CHECK(reader_done(&r));
	CHECK_EQUAL(strcmp(start.path, "/bin/true"), 0);
}

static void cut_and_longer_frames_are_refused(void)
{
	struct request request;
	for (uint16_t type = REQUEST_ATTACH; type <= LAST_TYPE; type++) {
		struct writer w = sample(type);
		for (size_t length = 0; length < w.at; length++)
			CHECK_EQUAL(decode(type, w.bytes, length, &request), EBADMSG);
		writer_u8(&w, 0);
		CHECK_EQUAL(decode(type, w.bytes, w.at, &request), EBADMSG);
	}
	CHECK_EQUAL(decode(0, NULL, 0, &request), EPROTO);
	CHECK_EQUAL(decode(LAST_TYPE + 1, NULL, 0, &request), EPROTO);
	CHECK_EQUAL(decode(65535, (const uint8_t *)"x", 1, &request), EPROTO);
}

static int decode_path(const char *path)
{
	struct request request;
	struct writer w = payload();
	write_string(&w, path);
	return decode(REQUEST_REEXEC, w.bytes, w.at, &request);
}

static void a_path_is_absolute_or_empty(void)
{
	char longest[PATH_MAX + 1];
	memset(longest, '/', sizeof longest);
	longest[PATH_MAX - 1] = '\0';
	CHECK_EQUAL(decode_path(""), 0);
	CHECK_EQUAL(decode_path(longest), 0);
	longest[PATH_MAX - 1] = '/';
	longest[PATH_MAX] = '\0';
	CHECK_EQUAL(decode_path(longest), EBADMSG);
	CHECK_EQUAL(decode_path("keeper"), EBADMSG);
}

static int decode_order(const struct order *order)
{
	struct request request;
	struct writer w = payload();
	write_start(&w, order);
	return decode(REQUEST_SPAWN, w.bytes, w.at, &request);
}

static void bounds_are_kept(void)
{
	const struct order good = {.key = "k", .path = "p", .argv = {"a"}};
	CHECK_EQUAL(decode_order(&good), 0);
	struct order bad = good;
	bad.argv[0] = NULL;
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	bad.flags = START_FLAGS + 1;
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	bad.map_count = 2; /* the same target twice */
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	bad.map_count = 1;
	bad.map[0].index = SAMPLE_FDS;
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	bad.keep_count = 2; /* the same descriptor twice */
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	bad.keep_count = 1;
	bad.keep_flags[0] = 2;
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	bad.key = "";
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	bad = good;
	char long_key[KEY_MAX + 2];
	memset(long_key, 'k', sizeof long_key);
	long_key[KEY_MAX + 1] = '\0';
	bad.key = long_key;
	CHECK_EQUAL(decode_order(&bad), EBADMSG);
	long_key[KEY_MAX] = '\0';
	CHECK_EQUAL(decode_order(&bad), 0);
}

static int decode_registrations(size_t count, size_t written, const struct registration *registration)
{
	struct request request;
	struct writer w = payload();
	writer_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < written; i++)
		write_registration(&w, registration);
	int error = decode(REQUEST_QUIESCE, w.bytes, w.at, &request);
	CHECK(error != 0 || (request.registration_count == count && request.registrations.length == w.at - 2));
	return error;
}

static void registrations_are_bounded(void)
{
	struct registration r = {0, 5, 7, text("k"), 0, 0x19, 1};
	CHECK_EQUAL(decode_registrations(1, 1, &r), 0);
	CHECK_EQUAL(decode_registrations(256, 256, &r), 0);
	CHECK_EQUAL(decode_registrations(257, 257, &r), EBADMSG);
	CHECK_EQUAL(decode_registrations(0, 0, &r), EBADMSG);
	CHECK_EQUAL(decode_registrations(2, 1, &r), EBADMSG);
	r.process = SAMPLE_FDS; /* the frame has no such descriptor */
	CHECK_EQUAL(decode_registrations(1, 1, &r), EBADMSG);
	r.process = 0;
	r.number = -1;
	CHECK_EQUAL(decode_registrations(1, 1, &r), EBADMSG);
	r.number = 7;
	r.epoll = -1;
	CHECK_EQUAL(decode_registrations(1, 1, &r), EBADMSG);
	r.epoll = 5;
	r.held_key = text("");
	CHECK_EQUAL(decode_registrations(1, 1, &r), EBADMSG);
}

static int decode_connections(size_t count, size_t written, const struct connection *connection)
{
	struct request request;
	struct writer w = payload();
	writer_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < written; i++)
		write_connection(&w, connection);
	int error = decode(REQUEST_SHUT, w.bytes, w.at, &request);
	CHECK(error != 0 || (request.connection_count == count && request.connections.length == w.at - 2));
	return error;
}

static void connections_are_bounded(void)
{
	struct connection connection = {0, 7, 4711, UINT64_MAX};
	CHECK_EQUAL(decode_connections(1, 1, &connection), 0);
	CHECK_EQUAL(decode_connections(256, 256, &connection), 0);
	CHECK_EQUAL(decode_connections(257, 257, &connection), EBADMSG);
	CHECK_EQUAL(decode_connections(0, 0, &connection), EBADMSG);
	CHECK_EQUAL(decode_connections(2, 1, &connection), EBADMSG);
	CHECK_EQUAL(decode_connections(1, 2, &connection), EBADMSG);
	connection.process = SAMPLE_FDS; /* the frame has no such descriptor */
	CHECK_EQUAL(decode_connections(1, 1, &connection), EBADMSG);
	connection.process = 0;
	connection.number = -1;
	CHECK_EQUAL(decode_connections(1, 1, &connection), EBADMSG);
}

static void text_ends_at_its_nul_and_nowhere_before(void)
{
	struct request request;
	const uint8_t inside[] = {3, 0, 'a', 0, 'b', 0}, missing[] = {2, 0, 'a', 'b', 'c'};
	CHECK_EQUAL(decode(REQUEST_RELEASE, inside, sizeof inside, &request), EBADMSG);
	CHECK_EQUAL(decode(REQUEST_RELEASE, missing, sizeof missing, &request), EBADMSG);
}

static void changed_frames_do_no_harm(void)
{
	struct request request;
	for (int round = 0; round < ROUNDS; round++) {
		uint16_t type = (uint16_t)(1 + random_number() % LAST_TYPE);
		struct writer w = sample(type);
		for (uint32_t changes = 1 + random_number() % 4; changes != 0; changes--)
			w.bytes[random_number() % w.at] = (uint8_t)random_number();
		decode(type, w.bytes, w.at - random_number() % 2, &request);
		decode((uint16_t)(random_number() % (LAST_TYPE + 3)), w.bytes, w.at, &request);
	}
}

static void noise_does_no_harm(void)
{
	struct request request;
	uint8_t noise[512];
	for (int round = 0; round < ROUNDS; round++) {
		size_t length = random_number() % sizeof noise;
		for (size_t i = 0; i < length; i++)
			noise[i] = random_number() % 3 == 0 ? (uint8_t)random_number() : (uint8_t)(random_number() % 4);
		decode((uint16_t)(random_number() % (LAST_TYPE + 3)), noise, length, &request);
	}
}

static void a_writer_stops_at_its_end(void)
{
	uint8_t bytes[8] = {0};
	struct writer w = {.bytes = bytes, .capacity = 7};
	writer_u32(&w, 0x04030201);
	CHECK(!w.failed && w.at == 4 && bytes[0] == 1 && bytes[3] == 4);
	writer_key(&w, text("abc"));
	CHECK(w.failed && bytes[7] == 0);
	size_t at = w.at;
	writer_u8(&w, 1);
	CHECK(w.at == at);
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)random_state);
	fflush(stdout);
	right_frames_are_decoded();
	cut_and_longer_frames_are_refused();
	a_path_is_absolute_or_empty();
	bounds_are_kept();
	registrations_are_bounded();
	connections_are_bounded();
	text_ends_at_its_nul_and_nowhere_before();
	a_writer_stops_at_its_end();
	changed_frames_do_no_harm();
	noise_does_no_harm();
	printf("ok     frame_test\n");
	return 0;
}
