/* The keeper becomes another program, or itself once more, and nobody notices; or it refuses to. */
#define _GNU_SOURCE
#include "harness.h"

#include "reexec_request.h"

enum { TIMES = 10, RING = 64 * 1024, LOUD = 300 * 1024, MANY = 100 };

/* The answer, and an empty reply to another request: either may come first. */
static struct answer wait_both(struct client *c, uint32_t id, uint32_t other)
{
	struct answer answer = {0};
	for (int left = 2; left > 0;) {
		struct frame frame = receive(c);
		if (frame.header.type >= 192) {
			CHECK(c->event_count < EVENTS_MAX);
			c->events[c->event_count++] = frame;
			continue;
		}
		left--;
		if (frame.header.id == id) {
			answer = read_answer(&frame);
			continue;
		}
		CHECK_EQUAL(frame.header.id, other);
		CHECK_EQUAL(frame_error(&frame), 0);
		frame_free(&frame);
	}
	return answer;
}

static const char *keeper_path(void)
{
	static char path[4096];
	char link[64];
	snprintf(link, sizeof link, "/proc/%d/exe", (int)getppid());
	ssize_t length = readlink(link, path, sizeof path - 1);
	CHECK(length > 0);
	path[length] = '\0';
	return path;
}

static void check_same(struct bytes tag, const char *wanted)
{
	CHECK(tag.length == strlen(wanted) && memcmp(tag.at, wanted, tag.length) == 0);
}

static void spawn_pausing(struct client *c, const char *key, int kept)
{
	struct order order = {.key = key, .tag = text("its tag"), .path = self_path, .argv = {self_path, "--worker", "pause"}};
	order.fd_count = order.keep_count = 1;
	order.fds[0] = kept;
	CHECK_EQUAL(spawn_order(c, &order), 0);
}

static void spawn_ending(struct client *c, const char *key, const char *path)
{
	struct order order = {.key = key, .path = path, .argv = {self_path, "--worker", "exit", "7"}};
	CHECK_EQUAL(spawn_order(c, &order), 0);
}

static void check_worker(struct client *c, const struct record *before, ino_t kept)
{
	struct frame frame;
	struct record r;
	struct stat file;
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, before->key, &frame, &r), 0);
	CHECK_EQUAL(r.state, 2);
	CHECK(r.pid == before->pid && r.started == before->started && r.signals == (UINT64_C(1) << (SIGWINCH - 1)));
	check_same(r.tag, "its tag");
	CHECK_EQUAL(frame.fd_count, 2);
	CHECK(sys_pidfd_send_signal(frame.fds[0], 0) == 0);
	CHECK(fstat(frame.fds[1], &file) == 0 && file.st_ino == kept);
	frame_free(&frame);
}

static void check_ended(struct client *c)
{
	struct frame frame;
	struct record r;
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "ended", &frame, &r), 0);
	CHECK(r.state == 3 && WEXITSTATUS(r.status) == 7 && r.ended > r.started && r.max_rss > 0);
	frame_free(&frame);
	CHECK_EQUAL(fetch(c, TABLE_CHILDREN, "failed", &frame, &r), 0);
	CHECK(r.state == 4 && r.stage == 17 && r.error == ENOENT);
	frame_free(&frame);
}

static void check_held(struct client *c, ino_t socket)
{
	struct frame frame;
	struct record r;
	struct stat file;
	CHECK_EQUAL(fetch(c, TABLE_HELD, "socket", &frame, &r), 0);
	CHECK(frame.fd_count == 1 && fstat(frame.fds[0], &file) == 0 && file.st_ino == socket);
	frame_free(&frame);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "note", &frame, &r), 0);
	CHECK_EQUAL(frame.fd_count, 0);
	check_same(r.tag, "what it says");
	frame_free(&frame);
}

static void arm_on(struct client *c, const char *key, int go)
{
	struct order order = {.key = key, .path = self_path, .argv = {self_path, "--worker", "log", "3"}};
	order.fd_count = 1;
	order.fds[0] = go;
	order.map_count = 1;
	order.keep_count = 1;
	CHECK_EQUAL(arm_order(c, &order, "socket", "note"), 0);
}

/* Ten times: one kind of leak or loss adds up, the other shows at once. */
static void everything_that_it_has_stays(struct client *c)
{
	int trigger[2], kept[2], go[2];
	struct stat held, keep;
	attach(c);
	CHECK(pipe2(trigger, O_CLOEXEC) == 0 && pipe2(kept, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
	CHECK(fstat(trigger[0], &held) == 0 && fstat(kept[0], &keep) == 0);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &trigger[0], 1), 0);
	CHECK_EQUAL(hold(c, "note", text("what it says"), false, NULL, 0), 0);
	spawn_pausing(c, "worker", kept[0]);
	struct record worker = wait_child(c, "worker", 2);
	spawn_ending(c, "ended", self_path);
	spawn_ending(c, "failed", "/nowhere");
	wait_child(c, "ended", 3);
	wait_child(c, "failed", 4);
	arm_on(c, "armed", go[0]);
	close(go[0]);
	CHECK_EQUAL(send_signal(c, "worker", SIGWINCH), 0);
	size_t fds = count_fds(getppid());
	for (uint32_t i = 1; i <= TIMES; i++) {
		reexec_done(c, i % 2 == 0 ? keeper_path() : "", i);
		check_held(c, held.st_ino);
		check_worker(c, &worker, keep.st_ino);
		check_ended(c);
		CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 1);
		CHECK_EQUAL(count_fds(getppid()), fds);
		CHECK_EQUAL(count_children(getppid(), getpid()), 1);
		CHECK_EQUAL(c->event_count, 0); /* what was told is not told again */
	}
	CHECK_EQUAL(write(trigger[1], "x", 1), 1);
	wait_child(c, "armed", 2);
	close(go[1]);
	CHECK_EQUAL(wait_child(c, "armed", 3).by, 1);
	CHECK_EQUAL(send_signal(c, "worker", SIGKILL), 0);
	CHECK_EQUAL(WTERMSIG(wait_child(c, "worker", 3).status), SIGKILL);
	const char *const keys[] = {"armed", "ended", "failed", "worker"};
	for (size_t i = 0; i < 4; i++)
		CHECK_EQUAL(acknowledge(c, keys[i]), 0);
	CHECK_EQUAL(release(c, "socket"), 0);
	CHECK_EQUAL(release(c, "note"), 0);
	end_scenario(c);
}

/* Those of the next `signalled`; what comes before it is let go. */
static uint64_t next_signals(struct client *c)
{
	for (;;) {
		struct frame event = next_event(c);
		struct reader r = frame_reader(&event);
		uint64_t bits = event.header.type == 193 ? reader_u64(&r) : 0;
		frame_free(&event);
		if (bits != 0)
			return bits;
	}
}

/* Frames, ends and signals meet the re-exec at every point of it. */
static void what_comes_meanwhile_is_done_after_it(struct client *c)
{
	char keys[TIMES][16];
	attach(c);
	for (uint32_t i = 0; i < TIMES; i++) {
		snprintf(keys[i], sizeof keys[i], "child %u", (unsigned)i);
		uint32_t id = post_reexec(c, "");
		struct order order = {.key = keys[i], .path = self_path, .argv = {self_path, "--worker", "exit", "7"}};
		if (i % 2 == 0)
			order.argv[2] = "pause";
		struct writer w = payload();
		write_start(&w, &order);
		uint32_t spawned = post(c, REQUEST_SPAWN, w, NULL, 0, 0);
		if (i == TIMES / 2)
			kill(getppid(), SIGUSR1);
		struct answer answer = wait_both(c, id, spawned);
		CHECK(answer.result == REEXEC_DONE && answer.count == i + 1);
	}
	for (uint32_t i = 0; i < TIMES; i++) {
		if (i % 2 == 0) {
			wait_child(c, keys[i], 2);
			CHECK_EQUAL(send_signal(c, keys[i], SIGKILL), 0);
		}
		struct record ended = wait_child(c, keys[i], 3);
		CHECK_EQUAL(WIFSIGNALED(ended.status), i % 2 == 0);
		CHECK_EQUAL(acknowledge(c, keys[i]), 0);
	}
	CHECK(next_signals(c) == (UINT64_C(1) << (SIGUSR1 - 1)));
	end_scenario(c);
}

static bool took_over(void)
{
	char path[64], line[4096];
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)getppid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, line, sizeof line - 1);
	close(fd);
	line[length < 0 ? 0 : length] = '\0';
	const char *second = line + strlen(line) + 1;
	return second < line + length && strcmp(second, "--take-over") == 0;
}

/* A supervisor that does not read for a while: what its channel did not take is told by the next program, once. */
static void news_that_wait_are_told_after_it(struct client *c)
{
	static uint8_t tag[64 * 1024];
	char keys[MANY][24];
	int trigger[2];
	attach(c);
	CHECK(pipe2(trigger, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "socket", text(""), false, &trigger[0], 1), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(keys[i], sizeof keys[i], "child %d", i);
		struct order order = {.key = keys[i], .path = self_path, .argv = {self_path, "--worker", "exit", "7"}};
		order.tag = (struct bytes){tag, sizeof tag};
		CHECK_EQUAL(arm_order(c, &order, "socket", NULL), 0);
	}
	CHECK_EQUAL(write(trigger[1], "x", 1), 1);
	wait_child(c, keys[0], 3); /* all were forked before this was told */
	while (count_children(getppid(), getpid()) != 0)
		continue; /* and have ended now; the channel is full of what two or three of them did */
	kill(getppid(), SIGUSR1);
	uint32_t id = post_reexec(c, "");
	while (!took_over())
		continue;
	struct answer answer = wait_answer(c, id);
	CHECK(answer.result == REEXEC_DONE && answer.count == 1);
	for (int i = 0; i < MANY; i++) {
		if (i != 0)
			CHECK_EQUAL(WEXITSTATUS(wait_child(c, keys[i], 3).status), 7);
		CHECK_EQUAL(acknowledge(c, keys[i]), 0);
	}
	CHECK(next_signals(c) == (UINT64_C(1) << (SIGUSR1 - 1)));
	CHECK_EQUAL(heartbeat(c, 0), 0);
	CHECK_EQUAL(c->event_count, 0);
	CHECK_EQUAL(release(c, "socket"), 0);
	end_scenario(c);
}

/* The trial is over while a reply waits for the channel: it is sent first. */
static void a_reply_that_waits_is_not_lost(struct client *c)
{
	static uint8_t tag[90 * 1024];
	uint32_t ids[TIMES];
	struct pollfd readable = {.fd = c->fd, .events = POLLIN};
	attach(c);
	CHECK_EQUAL(hold(c, "note", (struct bytes){tag, sizeof tag}, false, NULL, 0), 0);
	uint32_t id = post_reexec(c, "");
	for (int i = 0; i < TIMES; i++) {
		struct writer w = payload();
		writer_u8(&w, TABLE_HELD);
		writer_key(&w, text("note"));
		ids[i] = post(c, REQUEST_FETCH, w, NULL, 0, 0);
	}
	CHECK_EQUAL(poll(&readable, 1, PATIENCE_MS), 1); /* so the trial has begun */
	while (count_children(getppid(), getpid()) != 0)
		continue;
	for (int i = 0; i < TIMES; i++) {
		struct frame reply = receive(c);
		if (reply.header.id == id) {
			CHECK_EQUAL(read_answer(&reply).result, REEXEC_DONE);
			id = 0;
			i--;
			continue;
		}
		CHECK_EQUAL(reply.header.id, ids[i]);
		CHECK(reply.length > sizeof tag);
		frame_free(&reply);
	}
	if (id != 0)
		CHECK_EQUAL(wait_answer(c, id).result, REEXEC_DONE);
	CHECK_EQUAL(release(c, "note"), 0);
	end_scenario(c);
}

static void refused(struct client *c, const char *path, uint8_t result, int32_t detail)
{
	struct answer answer = reexec(c, path);
	CHECK_EQUAL(answer.result, result);
	CHECK_EQUAL(answer.detail, detail);
	CHECK_EQUAL(answer.count, 0);
}

static void write_script(const char *path, const char *script)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	CHECK(fd >= 0 && write(fd, script, strlen(script)) == (ssize_t)strlen(script));
	close(fd);
}

static void what_is_no_keeper_is_refused(struct client *c)
{
	char directory[] = "/tmp/holdfast-reexec-XXXXXX", script[64];
	int ends[2];
	attach(c);
	CHECK(mkdtemp(directory) != NULL && pipe2(ends, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "e", text(""), false, &ends[0], 1), 0);
	size_t fds = count_fds(getppid());
	snprintf(script, sizeof script, "%s/script", directory);
	refused(c, "/nowhere", REEXEC_NOT_EXECUTED, ENOENT);
	refused(c, directory, REEXEC_NOT_EXECUTED, EACCES);
	refused(c, "/etc/passwd", REEXEC_NOT_EXECUTED, EACCES);
	refused(c, "/bin/true", REEXEC_EXITED, 0);
	refused(c, "/bin/false", REEXEC_EXITED, 1);
	write_script(script, "#!/bin/sh\nkill -SEGV $$\n");
	refused(c, script, REEXEC_KILLED, SIGSEGV);
	write_script(script, "#!/bin/sh\necho holdfast >&4\n");
	refused(c, script, REEXEC_EXITED, 0);
	write_script(script, "#!/bin/sh\nsleep 1000 &\nexit 3\n");
	refused(c, script, REEXEC_EXITED, 3);
	while (count_children(getppid(), getpid()) != 0)
		continue;
	write_script(script, "#!/bin/sh\nsleep 1000\n");
	uint32_t id = post_reexec(c, script);
	CHECK_EQUAL(heartbeat(c, 0), 0); /* the keeper goes on meanwhile */
	struct writer w = payload();
	write_string(&w, "");
	CHECK_EQUAL(call_error(c, REQUEST_REEXEC, w, NULL, 0), EBUSY);
	struct answer answer = wait_answer(c, id);
	CHECK(answer.result == REEXEC_TIMED_OUT && answer.detail == 5000);
	while (count_children(getppid(), getpid()) != 0)
		continue; /* what a script has started is killed with it, or after it, and is reaped in its time */
	w = payload();
	write_string(&w, "relative");
	CHECK_EQUAL(call_error(c, REQUEST_REEXEC, w, NULL, 0), EBADMSG);
	CHECK_EQUAL(count_fds(getppid()), fds);
	unlink(script);
	rmdir(directory);
	reexec_done(c, "", 1);
	CHECK_EQUAL(release(c, "e"), 0);
	end_scenario(c);
}

/* The first one leaves a worker that logs; the second one re-executes before it takes; what is left of the first ring is what counts. */
static void what_was_drained_goes_on(struct client *c)
{
	int go[2], log[2];
	if (attach(c).starts == 1) {
		CHECK(pipe2(go, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0);
		char number[16];
		snprintf(number, sizeof number, "%d", LOUD);
		struct order order = {.key = "w", .path = self_path, .argv = {self_path, "--worker", "log", number}};
		order.fd_count = 3;
		order.fds[0] = go[0];
		order.fds[1] = log[1];
		order.fds[2] = log[0];
		order.map_count = 2;
		order.map[1].target = order.map[1].index = 1;
		order.keep_count = 1;
		order.keep[0] = 2;
		order.keep_flags[0] = 1;
		CHECK_EQUAL(spawn_order(c, &order), 0);
		wait_child(c, "w", 2);
		close(go[0]);
		post_reexec(c, ""); /* in its last words: it is done all the same, and nobody waits for the answer */
		die();
	}
	wait_child(c, "w", 3);
	reexec_done(c, "", 2);
	struct writer w = payload();
	writer_key(&w, text("w"));
	writer_u16(&w, 0);
	struct frame reply = call(c, REQUEST_TAKE, w, NULL, 0);
	CHECK_EQUAL(frame_error(&reply), 0);
	struct reader r = frame_reader(&reply);
	uint64_t dropped = reader_u64(&r);
	struct bytes bytes = reader_tag(&r);
	CHECK(reader_done(&r) && dropped > 0 && bytes.length > RING / 2 && bytes.length <= RING);
	for (size_t i = 0; i < bytes.length; i++)
		CHECK_EQUAL(bytes.at[i], logged(dropped + i));
	frame_free(&reply);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static void the_heartbeat_goes_on(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		CHECK_EQUAL(heartbeat(c, 300), 0);
		reexec_done(c, "", 1);
		for (;;)
			pause();
	}
	CHECK_EQUAL(hello.why, 3);
	end_scenario(c);
}

/* A hello for those who know what the second half of it means. */
static void it_is_told_how_often(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		reexec_done(c, "", 1);
		reexec_done(c, "", 2);
		die();
	}
	CHECK(hello.why == 2 && hello.detail == SIGKILL);
	struct writer w = payload();
	writer_u16(&w, 1);
	writer_u16(&w, 1);
	writer_u32(&w, UINT32_MAX);
	writer_u8(&w, 0);
	struct frame reply = call(c, REQUEST_ATTACH, w, NULL, 0);
	CHECK_EQUAL(frame_error(&reply), 0);
	struct reader r = frame_reader(&reply);
	CHECK_EQUAL(reader_u16(&r), 1);
	CHECK_EQUAL(reader_u32(&r), FEATURES);
	r.at += 4;
	CHECK_EQUAL(reader_u64(&r), hello.started);
	CHECK_EQUAL(reader_u32(&r), 2);
	r.at += 1 + 4 + 8 + 8;
	CHECK_EQUAL(reader_u32(&r), 2);
	CHECK(reader_u64(&r) > hello.started);
	CHECK_EQUAL(reader_u64(&r), hello.nofile);
	CHECK(reader_done(&r));
	frame_free(&reply);
	end_scenario(c);
}

/* Its own limit stays raised, and children still get the one from before. */
static void children_get_the_limit_from_before(struct client *c)
{
	struct rlimit limit;
	attach(c);
	reexec_done(c, "", 1);
	CHECK(prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_cur == 2000);
	spawn_pausing(c, "w", 0);
	pid_t pid = wait_child(c, "w", 2).pid;
	CHECK(prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_cur == 1000);
	CHECK_EQUAL(send_signal(c, "w", SIGKILL), 0);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

/* In its last words: what nobody waits for is told on stderr. */
static void a_refusal_is_printed_for_who_comes_next(struct client *c)
{
	if (attach(c).starts == 1) {
		post_reexec(c, "/bin/false");
		die();
	}
	reexec_done(c, "", 1); /* so the other one is over */
	end_scenario(c);
}

static void not_in_its_end(struct client *c)
{
	attach(c);
	CHECK_EQUAL(shut_down(c, 9), 0);
	struct writer w = payload();
	write_string(&w, "");
	CHECK_EQUAL(call_error(c, REQUEST_REEXEC, w, NULL, 0), ESHUTDOWN);
	_exit(0);
}

static void as_pid_1(struct client *c)
{
	attach(c);
	CHECK_EQUAL(getppid(), 1);
	spawn_pausing(c, "w", 0);
	pid_t pid = wait_child(c, "w", 2).pid;
	reexec_done(c, "", 1);
	CHECK_EQUAL(kill(pid, SIGKILL), 0);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "everything that it has stays", .run = everything_that_it_has_stays},
	{.name = "what comes meanwhile is done after it", .run = what_comes_meanwhile_is_done_after_it},
	{.name = "news that wait are told after it", .run = news_that_wait_are_told_after_it},
	{.name = "a reply that waits is not lost", .run = a_reply_that_waits_is_not_lost},
	{.name = "what is no keeper is refused", .run = what_is_no_keeper_is_refused},
	{.name = "what was drained goes on", .run = what_was_drained_goes_on},
	{.name = "the heartbeat goes on", .run = the_heartbeat_goes_on},
	{.name = "it is told how often", .run = it_is_told_how_often},
	{.name = "children get the limit from before", .run = children_get_the_limit_from_before, .nofile = {1000, 2000}},
	{.name = "a refusal is printed for who comes next",
	 .run = a_refusal_is_printed_for_who_comes_next,
	 .says = "not re-executed, and nothing has changed: the new program ended without a proof that it can take over, with exit code 1"},
	{.name = "not in its end", .run = not_in_its_end, .exit_code = 9},
	{.name = "as PID 1", .run = as_pid_1, .pid_1 = true},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
