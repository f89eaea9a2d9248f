/* Log pipes while no supervisor reads them. Each scenario runs once for every supervisor; a worker begins to log when the first one ends. */
#define _GNU_SOURCE
#include "harness.h"

enum { LOUD = 300 * 1024, QUIET = 20 * 64, RING = 64 * 1024, TOTAL = 8 * 1024 * 1024, MANY = 200, MANY_LOUD = 120 * 1024 };

struct drained {
	uint64_t dropped;
	size_t length;
	uint8_t bytes[RING];
};

static struct drained drained;

static struct order log_order(const char *key, const char *length, int go, int out, int kept)
{
	struct order order = {.key = key, .path = self_path, .argv = {self_path, "--worker", "log", length}};
	order.fd_count = 3;
	order.fds[0] = go;
	order.fds[1] = out;
	order.fds[2] = kept;
	order.map_count = 2;
	order.map[1].target = 1;
	order.map[1].index = 1;
	order.keep_count = 1;
	order.keep[0] = 2;
	order.keep_flags[0] = 1;
	return order;
}

/* `go` is the end of a pipe whose other end is ours alone. */
static void start_logging(struct client *c, const char *key, size_t length, int go)
{
	char number[32];
	int log[2];
	snprintf(number, sizeof number, "%zu", length);
	CHECK(pipe2(log, O_CLOEXEC) == 0);
	struct order order = log_order(key, number, go, log[1], log[0]);
	CHECK_EQUAL(spawn_order(c, &order), 0);
	close(log[0]);
	close(log[1]);
}

static int call_index(struct client *c, uint16_t type, const char *key, uint16_t index, struct frame *reply)
{
	struct writer w = payload();
	writer_key(&w, text(key));
	writer_u16(&w, index);
	*reply = call(c, type, w, NULL, 0);
	return frame_error(reply);
}

static void take(struct client *c, const char *key)
{
	struct frame reply;
	CHECK_EQUAL(call_index(c, REQUEST_TAKE, key, 0, &reply), 0);
	struct reader r = frame_reader(&reply);
	drained.dropped = reader_u64(&r);
	struct bytes bytes = reader_tag(&r);
	CHECK(reader_done(&r) && bytes.length <= sizeof drained.bytes);
	drained.length = bytes.length;
	if (bytes.length != 0)
		memcpy(drained.bytes, bytes.at, bytes.length);
	frame_free(&reply);
}

static int settle(struct client *c, const char *key, uint16_t index)
{
	struct frame reply;
	int error = call_index(c, REQUEST_SETTLE, key, index, &reply);
	frame_free(&reply);
	return error;
}

/* What is left in the pipe of a worker that has ended, behind `offset`. Returns the offset of its end. */
static size_t read_rest(struct client *c, const char *key, size_t offset)
{
	struct frame frame;
	struct record record;
	uint8_t bytes[4096];
	ssize_t count;
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, key, &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, 1);
	while ((count = read(frame.fds[0], bytes, sizeof bytes)) > 0)
		for (ssize_t i = 0; i < count; i++)
			CHECK_EQUAL(bytes[i], logged(offset++));
	CHECK_EQUAL(count, 0);
	frame_free(&frame);
	return offset;
}

/* What was drained and what the pipe still has are the end of all that was written, and the rest is what was counted. */
static void check_whole(struct client *c, const char *key, size_t length)
{
	for (size_t i = 0; i < drained.length; i++)
		CHECK_EQUAL(drained.bytes[i], logged(drained.dropped + i));
	CHECK_EQUAL(read_rest(c, key, drained.dropped + drained.length), length);
}

static void begin(struct client *c, size_t length)
{
	int go[2];
	CHECK(pipe2(go, O_CLOEXEC) == 0);
	start_logging(c, "w", length, go[0]);
	close(go[0]);
	wait_child(c, "w", 2);
	die();
}

static void finish(struct client *c)
{
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void a_worker_that_logs_without_a_supervisor_is_not_blocked(struct client *c)
{
	if (attach(c).starts == 1)
		begin(c, LOUD);
	wait_child(c, "w", 3); /* nobody has read yet, and what it wrote is more than pipe and ring can hold */
	take(c, "w");
	CHECK(drained.dropped > 0);
	CHECK(drained.length <= RING);
	uint64_t dropped = drained.dropped;
	size_t length = drained.length;
	take(c, "w"); /* again: the reply may have been lost */
	CHECK(drained.dropped == dropped && drained.length == length);
	check_whole(c, "w", LOUD);
	CHECK_EQUAL(settle(c, "w", 0), 0);
	take(c, "w");
	CHECK(drained.dropped == 0 && drained.length == 0);
	finish(c);
}

static void little_is_kept_whole(struct client *c)
{
	if (attach(c).starts == 1)
		begin(c, QUIET);
	wait_child(c, "w", 3);
	take(c, "w");
	CHECK_EQUAL(drained.dropped, 0);
	check_whole(c, "w", QUIET);
	finish(c);
}

static void what_was_handed_over_and_not_settled_is_counted(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1)
		begin(c, LOUD);
	wait_child(c, "w", 3);
	take(c, "w");
	if (hello.starts == 2)
		die();
	CHECK(drained.dropped >= RING); /* at least the ring that the second one was given */
	CHECK(drained.length < RING);
	check_whole(c, "w", LOUD);
	finish(c);
}

static void a_supervisor_that_takes_nothing_leaves_everything(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1)
		begin(c, QUIET);
	wait_child(c, "w", 3);
	if (hello.starts == 2)
		die();
	take(c, "w");
	CHECK_EQUAL(drained.dropped, 0);
	CHECK_EQUAL(settle(c, "w", 0), 0);
	check_whole(c, "w", QUIET);
	finish(c);
}

static void a_supervisor_that_lives_has_the_pipe_for_itself(struct client *c)
{
	int go[2];
	attach(c);
	CHECK(pipe2(go, O_CLOEXEC) == 0);
	start_logging(c, "w", QUIET, go[0]);
	close(go[0]);
	close(go[1]);
	wait_child(c, "w", 3);
	for (int i = 0; i < 100; i++) /* the keeper had its time to do wrong */
		CHECK_EQUAL(heartbeat(c, 0), 0);
	take(c, "w");
	CHECK(drained.dropped == 0 && drained.length == 0);
	check_whole(c, "w", QUIET);
	finish(c);
}

static void only_what_is_flagged_is_drained(struct client *c)
{
	struct frame reply;
	int go[2], log[2];
	if (attach(c).starts == 1) {
		CHECK(pipe2(go, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0);
		struct order order = log_order("w", "1280", go[0], log[1], log[0]);
		order.keep_flags[0] = 0;
		CHECK_EQUAL(spawn_order(c, &order), 0);
		wait_child(c, "w", 2);
		die();
	}
	wait_child(c, "w", 3);
	CHECK_EQUAL(call_index(c, REQUEST_TAKE, "w", 0, &reply), ENOENT);
	frame_free(&reply);
	CHECK_EQUAL(call_index(c, REQUEST_TAKE, "nobody", 0, &reply), ENOENT);
	frame_free(&reply);
	CHECK_EQUAL(settle(c, "w", 7), ENOENT);
	CHECK_EQUAL(read_rest(c, "w", 0), 1280);
	finish(c);
}

/* The arm fires when the first supervisor ends, and with it the last writer of what the arm watches. */
static void what_an_arm_starts_is_drained_too(struct client *c)
{
	int trigger[2], log[2];
	char number[32];
	if (attach(c).starts == 1) {
		CHECK(pipe2(trigger, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0);
		CHECK_EQUAL(hold(c, "trigger", text(""), false, &trigger[0], 1), 0);
		snprintf(number, sizeof number, "%d", LOUD);
		struct order order = log_order("w", number, open("/dev/null", O_RDONLY | O_CLOEXEC), log[1], log[0]);
		CHECK_EQUAL(arm_order(c, &order, "trigger", NULL), 0);
		take(c, "w"); /* of an arm, too */
		CHECK_EQUAL(drained.length, 0);
		die();
	}
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	take(c, "w");
	CHECK(drained.dropped > 0);
	check_whole(c, "w", LOUD);
	CHECK_EQUAL(release(c, "trigger"), 0);
	finish(c);
}

static inline size_t resident_kib(pid_t pid)
{
	char path[64], line[256];
	size_t kib = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	while (fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtoul(line + 8, NULL, 10);
	fclose(file);
	return kib;
}

static void many_loud_workers_stay_within_the_bound(struct client *c)
{
	char key[16];
	size_t kept = 0;
	if (attach(c).starts == 1) {
		int go[2];
		CHECK(pipe2(go, O_CLOEXEC) == 0);
		for (int i = 0; i < MANY; i++) {
			snprintf(key, sizeof key, "w%d", i);
			start_logging(c, key, MANY_LOUD, go[0]);
		}
		for (int i = 0; i < MANY; i++) {
			snprintf(key, sizeof key, "w%d", i);
			wait_child(c, key, 2);
		}
		die();
	}
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "w%d", i);
		CHECK_EQUAL(wait_child(c, key, 3).status, 0);
	}
#ifndef __SANITIZE_ADDRESS__ /* which has memory of its own */
	CHECK(resident_kib(getppid()) < (TOTAL >> 10) + 4096);
#endif
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "w%d", i);
		take(c, key);
		kept += drained.length;
		check_whole(c, key, MANY_LOUD);
		CHECK_EQUAL(settle(c, key, 0), 0);
		CHECK_EQUAL(acknowledge(c, key), 0);
	}
	CHECK(kept <= TOTAL);
	CHECK(kept > TOTAL / 2); /* the bound is used, and everybody had a share */
	end_scenario(c);
}

/* So many silent workers that their rings would be all there may be. Somebody else logs under the second supervisor's successor. */
static void a_pipe_that_ended_without_a_byte_takes_nothing_from_others(struct client *c)
{
	enum { SILENT = TOTAL / RING };
	struct hello hello = attach(c);
	char key[32];
	if (hello.starts == 1) {
		int go[2];
		CHECK(pipe2(go, O_CLOEXEC) == 0);
		for (int i = 0; i < SILENT; i++) {
			snprintf(key, sizeof key, "silent%d", i);
			start_logging(c, key, 0, go[0]);
		}
		for (int i = 0; i < SILENT; i++) {
			snprintf(key, sizeof key, "silent%d", i);
			wait_child(c, key, 2);
		}
		die();
	}
	for (int i = 0; i < SILENT; i++) {
		snprintf(key, sizeof key, "silent%d", i);
		CHECK_EQUAL(wait_child(c, key, 3).status, 0);
	}
	if (hello.starts == 2)
		begin(c, QUIET);
	wait_child(c, "w", 3);
	for (int i = 0; i < SILENT; i++) {
		snprintf(key, sizeof key, "silent%d", i);
		CHECK_EQUAL(acknowledge(c, key), 0);
	}
	take(c, "w");
	CHECK_EQUAL(drained.dropped, 0);
	check_whole(c, "w", QUIET);
	finish(c);
}

static const struct scenario scenarios[] = {
	{.name = "a worker that logs without a supervisor is not blocked", .run = a_worker_that_logs_without_a_supervisor_is_not_blocked},
	{.name = "little is kept whole", .run = little_is_kept_whole},
	{.name = "what was handed over and not settled is counted", .run = what_was_handed_over_and_not_settled_is_counted},
	{.name = "a supervisor that takes nothing leaves everything", .run = a_supervisor_that_takes_nothing_leaves_everything},
	{.name = "a supervisor that lives has the pipe for itself", .run = a_supervisor_that_lives_has_the_pipe_for_itself},
	{.name = "only what is flagged is drained", .run = only_what_is_flagged_is_drained},
	{.name = "what an arm starts is drained too", .run = what_an_arm_starts_is_drained_too},
	{.name = "many loud workers stay within the bound", .run = many_loud_workers_stay_within_the_bound, .not_in_valgrind = true},
	{.name = "a pipe that ended without a byte takes nothing from others", .run = a_pipe_that_ended_without_a_byte_takes_nothing_from_others},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
