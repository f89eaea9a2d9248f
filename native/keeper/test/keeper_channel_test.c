/* The channel: versions, malformed and foreign frames, a full socket, a full descriptor table. */
#define _GNU_SOURCE
#include "harness.h"

static void nothing_is_served_before_attach(struct client *c)
{
	struct hello hello;
	struct writer w = payload();
	CHECK_EQUAL(hold(c, "a", text(""), false, NULL, 0), ENOTCONN);
	CHECK_EQUAL(shut_down(c, 3), ENOTCONN);
	CHECK_EQUAL(call_error(c, 999, w, NULL, 0), ENOTCONN);
	CHECK_EQUAL(try_attach(c, 2, 9, 0, &hello), EPROTONOSUPPORT);
	CHECK_EQUAL(try_attach(c, 0, 0, 0, &hello), EPROTONOSUPPORT);
	CHECK_EQUAL(try_attach(c, 1, 1, 1, &hello), EPERM);
	CHECK_EQUAL(try_attach(c, 1, 1, 7, &hello), EBADMSG);
	CHECK_EQUAL(hold(c, "a", text(""), false, NULL, 0), ENOTCONN);
	CHECK_EQUAL(try_attach(c, 0, 65535, 0, &hello), 0);
	CHECK_EQUAL(hello.starts, 1);
	CHECK_EQUAL(hello.why, 0);
	CHECK_EQUAL(hello.when, 0);
	CHECK(hello.started != 0);
	CHECK_EQUAL(hold(c, "a", text(""), false, NULL, 0), 0);
	CHECK_EQUAL(release(c, "a"), 0);
	end_scenario(c);
}

/* Sends `length` bytes of a frame whose header says what it is told, and returns the error and, in place, the id. */
static int send_raw(struct client *c, const struct header *h, size_t length, uint32_t wanted_id)
{
	static uint8_t frame[FRAME_MAX + 16];
	memset(frame, 0, sizeof frame);
	header_encode(frame, h->type, h->id, h->length);
	frame[0] = h->version;
	frame[1] = h->flags;
	CHECK(send_bytes(c, frame, length, NULL, 0, 0));
	struct frame reply = receive_reply(c, wanted_id);
	int error = frame_error(&reply);
	frame_free(&reply);
	return error;
}

static void malformed_frames_are_refused(struct client *c)
{
	attach(c);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_SHUT_DOWN, 70, 0}, 12, 70), EBADMSG);
	CHECK_EQUAL(send_raw(c, &(struct header){2, 0, REQUEST_SHUT_DOWN, 71, 1}, 13, 71), EPROTO);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 1, REQUEST_SHUT_DOWN, 72, 1}, 13, 72), EPROTO);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, 127, 73, 0}, 12, 73), EPROTO);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, 128, 74, 0}, 12, 74), EPROTO);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_SHUT_DOWN, 75, 2}, 14, 75), EBADMSG);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_SHUT_DOWN, 76, 1}, 14, 76), EBADMSG);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_SHUT_DOWN, 77, UINT32_MAX}, 13, 77), EBADMSG);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_SHUT_DOWN, 78, 1}, 11, 0), EBADMSG);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_SHUT_DOWN, 79, 1}, 0, 0), EBADMSG);
	CHECK_EQUAL(send_raw(c, &(struct header){1, 0, REQUEST_HOLD, 80, FRAME_MAX - 11}, FRAME_MAX + 1, 80), EMSGSIZE);
	end_scenario(c);
}

static void garbage_does_no_harm(struct client *c)
{
	uint8_t noise[600];
	int fds[] = {0, 1, 2};
	attach(c);
	srandom(1);
	for (int i = 0; i < 3000; i++) {
		size_t length = (size_t)random() % sizeof noise;
		for (size_t j = 0; j < length; j++)
			noise[j] = (uint8_t)random();
		/* Half of them get past the header. Never `attach` or `shut down` by chance: those would be right. */
		if (i % 2 == 0 && length >= FRAME_HEADER)
			header_encode(noise, (uint16_t)(2 + random() % 11), (uint32_t)i, length - FRAME_HEADER);
		CHECK(send_bytes(c, noise, length, fds, (size_t)i % 4, 0));
		struct frame reply = receive(c);
		CHECK(reply.header.type == 129 || reply.header.type == 128);
		frame_free(&reply);
	}
	CHECK_EQUAL(heartbeat(c, 0), 0);
	end_scenario(c);
}

static void foreign_frames_are_dropped_and_counted(struct client *c)
{
	struct hello before = attach(c);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t stranger = fork();
	if (stranger == 0) {
		struct writer w = payload();
		writer_key(&w, text("foreign"));
		writer_tag(&w, text(""));
		writer_u8(&w, 0);
		for (int i = 0; i < 5; i++)
			post(c, REQUEST_HOLD, w, &null, 1, 0);
		send_bytes(c, "", 0, NULL, 0, 0);
		_exit(0);
	}
	int wait_status;
	CHECK_EQUAL(waitpid(stranger, &wait_status, 0), stranger);
	CHECK_EQUAL(wait_status, 0);
	struct hello after = attach(c);
	CHECK_EQUAL(after.dropped - before.dropped, 6);
	CHECK_EQUAL(after.starts, 1);
	end_scenario(c);
}

/* Replies carry 60 KB and 40 descriptors each, so the keeper meets a full socket; and requests are not lost meanwhile. */
static void replies_wait_for_a_reader(struct client *c)
{
	static uint8_t tag[60000];
	int fds[40];
	uint32_t first = 0, last = 0;
	attach(c);
	for (size_t i = 0; i < 40; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	memset(tag, 't', sizeof tag);
	CHECK_EQUAL(hold(c, "big", (struct bytes){tag, sizeof tag}, false, fds, 40), 0);
	struct writer w = payload();
	writer_u8(&w, TABLE_HELD);
	writer_key(&w, text("big"));
	for (uint32_t id = 1; id != 0;) {
		id = post(c, REQUEST_FETCH, w, NULL, 0, MSG_DONTWAIT);
		first = first == 0 ? id : first;
		last = id == 0 ? last : id;
	}
	CHECK(last > first + 10);
	for (uint32_t id = first; id <= last; id++) {
		struct frame reply = receive_reply(c, id);
		CHECK_EQUAL(frame_error(&reply), 0);
		CHECK_EQUAL(reply.fd_count, 40);
		CHECK(reply.length > sizeof tag);
		frame_free(&reply);
	}
	CHECK_EQUAL(release(c, "big"), 0);
	end_scenario(c);
}

/* The reply that waits keeps its descriptors, even those of a process that ends meanwhile. */
static void a_waiting_reply_keeps_its_descriptors(struct client *c)
{
	int ends[2], stalled = 0;
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	struct order order = {.key = "w", .path = "/bin/cat", .argv = {"cat"}, .map_count = 2,
			      .map = {{0, NULL, 0}, {1, NULL, 1}}, .fd_count = 2};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	order.fds[0] = ends[0];
	order.fds[1] = null;
	CHECK_EQUAL(spawn_order(c, &order), 0);
	struct record running = wait_child(c, "w", 2);
	int pidfd = sys_pidfd_open(running.pid);
	CHECK(pidfd >= 0);
	struct writer w = payload();
	writer_u8(&w, TABLE_CHILDREN);
	writer_key(&w, text("w"));
	uint32_t first = c->next_id;
	while (post(c, REQUEST_FETCH, w, NULL, 0, MSG_DONTWAIT) != 0)
		continue;
	close(ends[1]);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	CHECK_EQUAL(poll(&end, 1, PATIENCE_MS), 1);
	for (uint32_t id = first; id < c->next_id; id++) {
		struct frame reply = receive_reply(c, id);
		CHECK_EQUAL(frame_error(&reply), 0);
		struct reader r = frame_reader(&reply);
		(void)reader_u16(&r);
		(void)reader_u8(&r);
		struct record record = read_child(&r);
		CHECK_EQUAL(reply.fd_count, record.state == 2);
		stalled += record.state == 2;
		frame_free(&reply);
	}
	CHECK(stalled > 0);
	close(pidfd);
	close(null);
	close(ends[0]);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

/* Under a hard limit of 96 descriptors: holding ends in EMFILE, and what is reserved still starts a supervisor. */
static void a_full_descriptor_table_keeps_a_reserve(struct client *c)
{
	int fds[200];
	char key[16];
	int held = 0, error = 0;
	struct record record;
	struct frame frame;
	struct hello hello = attach(c);
	if (hello.starts == 2) {
		CHECK_EQUAL(hello.why, 2);
		CHECK_EQUAL(fetch(c, TABLE_HELD, "0", &frame, &record), 0);
		CHECK_EQUAL(frame.fd_count, 8);
		frame_free(&frame);
		for (int i = 0; list_all(c, TABLE_HELD, NULL) != 0; i++) {
			snprintf(key, sizeof key, "%d", i);
			error = release(c, key);
			CHECK(error == 0 || error == ENOENT);
		}
		end_scenario(c);
	}
	for (size_t i = 0; i < 80; i++) {
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		CHECK(fds[i] >= 0);
	}
	CHECK_EQUAL(hold(c, "far too many", text(""), false, fds, 80), EMFILE);
	CHECK_EQUAL(hold(c, "more than the table", text(""), false, fds, 70), EMFILE);
	for (; error == 0; held++) {
		snprintf(key, sizeof key, "%d", held);
		error = hold(c, key, text(""), false, fds, 8);
	}
	CHECK_EQUAL(error, EMFILE);
	CHECK(held > 4);
	for (error = 0; error == 0; held++) { /* down to the last one */
		snprintf(key, sizeof key, "%d", held);
		error = hold(c, key, text(""), false, fds, 1);
	}
	CHECK_EQUAL(error, EMFILE);
	struct order order = {.key = "w", .path = "/bin/true", .argv = {"true"}};
	CHECK_EQUAL(spawn_order(c, &order), 0);
	struct record failed = wait_child(c, "w", 4);
	CHECK_EQUAL(failed.stage, 1);
	CHECK_EQUAL(failed.error, EMFILE);
	CHECK_EQUAL(failed.pid, 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	/* Two are enough for its pipe and not for its pidfd: it is not even forked. With a third one it starts. */
	CHECK_EQUAL(release(c, "1"), 0);
	for (int i = 0; i < 6; i++) {
		snprintf(key, sizeof key, "%d", 90 + i);
		CHECK_EQUAL(hold(c, key, text(""), false, fds, 1), 0);
	}
	CHECK_EQUAL(spawn_order(c, &order), 0);
	failed = wait_child(c, "w", 4);
	CHECK_EQUAL(failed.stage, 1);
	CHECK_EQUAL(failed.error, EMFILE);
	CHECK_EQUAL(failed.pid, 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	CHECK_EQUAL(release(c, "90"), 0);
	CHECK_EQUAL(spawn_order(c, &order), 0);
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	die();
}

static const struct scenario scenarios[] = {
	{.name = "nothing is served before attach", .run = nothing_is_served_before_attach},
	{.name = "malformed frames are refused", .run = malformed_frames_are_refused},
	{.name = "garbage does no harm", .run = garbage_does_no_harm},
	{.name = "foreign frames are dropped and counted", .run = foreign_frames_are_dropped_and_counted},
	{.name = "replies wait for a reader", .run = replies_wait_for_a_reader},
	{.name = "a waiting reply keeps its descriptors", .run = a_waiting_reply_keeps_its_descriptors},
	{.name = "a full descriptor table keeps a reserve", .run = a_full_descriptor_table_keeps_a_reserve, .nofile = {96, 96}},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
