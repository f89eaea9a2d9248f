/* The supervisor's side of the keeper's protocol, as plainly as tests want it: blocking, and every surprise fails the test. */
#ifndef HOLDFAST_KEEPER_CLIENT_H
#define HOLDFAST_KEEPER_CLIENT_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../frame.h"
#include "../registration.h"
#include "../request.h"
#include "../shut.h"
#include "../system_calls.h"

enum { PATIENCE_MS = 20000, EVENTS_MAX = 1024, KEEP = -1 };

static int check_channel = -1;

static inline _Noreturn void check_failed(const char *file, int line, const char *what)
{
	uint8_t frame[FRAME_HEADER + 1];
	dprintf(STDERR_FILENO, "%s:%d: %s (errno %s)\n", file, line, what, strerror(errno));
	if (check_channel < 0)
		_exit(99);
	/* Only an attached supervisor can stop a keeper that is PID 1; any other is stopped by SIGKILL. */
	header_encode(frame, REQUEST_SHUT_DOWN, 0, 1);
	frame[FRAME_HEADER] = 99;
	(void)send(check_channel, frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL);
	kill(getppid(), SIGKILL);
	_exit(99);
}

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

static inline void check_equal(long long got, long long wanted, const char *file, int line, const char *what)
{
	char words[512];
	if (got == wanted)
		return;
	snprintf(words, sizeof words, "%s is %lld and not %lld", what, got, wanted);
	check_failed(file, line, words);
}

#define CHECK_EQUAL(got, wanted) check_equal((long long)(got), (long long)(wanted), __FILE__, __LINE__, #got)

struct frame {
	struct header header;
	size_t length; /* of the payload */
	size_t fd_count;
	int fds[FRAME_FDS_MAX];
	uint8_t *payload; /* owned */
};

struct client {
	int fd;
	pid_t keeper;
	uint32_t next_id;
	size_t event_count;
	struct frame events[EVENTS_MAX];
};

struct hello {
	uint32_t starts;
	int32_t keeper;
	uint8_t why;
	uint32_t detail;
	uint64_t when, dropped, started, nofile;
};

struct record {
	char key[KEY_MAX + 1];
	uint8_t state, by, stage;
	int32_t pid, status, error;
	uint64_t started, ended, signals, utime, stime, max_rss;
	struct bytes tag; /* valid until the next frame of the same kind */
	uint16_t fd_count;
};

static inline void client_open(struct client *c)
{
	const char *number = getenv("HOLDFAST_KEEPER_FD");
	memset(c, 0, sizeof *c);
	CHECK(number != NULL);
	c->fd = check_channel = atoi(number);
	c->keeper = getppid();
	c->next_id = 1;
	CHECK(fcntl(c->fd, F_SETFD, FD_CLOEXEC) == 0);
}

/* Sends bytes as they are. False when the channel is full and `flags` has MSG_DONTWAIT. */
static inline bool send_bytes(struct client *c, const void *bytes, size_t length, const int *fds, size_t count, int flags)
{
	union {
		struct cmsghdr alignment;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX)];
	} control;
	struct iovec data = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr header;
	memset(&header, 0, sizeof header);
	header.msg_iov = &data;
	header.msg_iovlen = 1;
	if (count != 0) {
		memset(&control, 0, sizeof control);
		header.msg_control = &control;
		header.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * count);
		struct cmsghdr *rights = &control.alignment;
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * count);
		memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
	}
	ssize_t sent = sys_sendmsg(c->fd, &header, flags | MSG_NOSIGNAL);
	if (sent < 0 && errno == EAGAIN && (flags & MSG_DONTWAIT) != 0)
		return false;
	CHECK_EQUAL(sent, length);
	return true;
}

/* Sends one request without waiting for its reply; returns its id, or 0 if the channel is full. */
static inline uint32_t post(struct client *c, uint16_t type, struct writer payload, const int *fds, size_t count, int flags)
{
	static uint8_t frame[FRAME_MAX];
	CHECK(!payload.failed && payload.at <= FRAME_MAX - FRAME_HEADER);
	header_encode(frame, type, c->next_id, payload.at);
	memcpy(frame + FRAME_HEADER, payload.bytes, payload.at);
	return send_bytes(c, frame, FRAME_HEADER + payload.at, fds, count, flags) ? c->next_id++ : 0;
}

static inline struct frame receive(struct client *c)
{
	static uint8_t bytes[FRAME_MAX];
	union {
		struct cmsghdr alignment;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec data = {.iov_base = bytes, .iov_len = sizeof bytes};
	struct msghdr header;
	struct frame frame;
	memset(&header, 0, sizeof header);
	memset(&frame, 0, sizeof frame);
	header.msg_iov = &data;
	header.msg_iovlen = 1;
	header.msg_control = &control;
	header.msg_controllen = sizeof control;
	struct pollfd readable = {.fd = c->fd, .events = POLLIN};
	CHECK_EQUAL(poll(&readable, 1, PATIENCE_MS), 1);
	ssize_t length = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC);
	CHECK(length >= FRAME_HEADER);
	CHECK((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0);
	for (size_t at = 0; at + sizeof(struct cmsghdr) <= header.msg_controllen;) {
		const struct cmsghdr *m = (const struct cmsghdr *)(const void *)(control.bytes + at);
		at += CMSG_SPACE(m->cmsg_len - CMSG_LEN(0));
		if (m->cmsg_type == SCM_RIGHTS) {
			frame.fd_count = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			memcpy(frame.fds, CMSG_DATA(m), frame.fd_count * sizeof(int));
		} else if (m->cmsg_type == SCM_CREDENTIALS) {
			struct ucred sender;
			memcpy(&sender, CMSG_DATA(m), sizeof sender);
			CHECK_EQUAL(sender.pid, c->keeper);
		}
	}
	frame.header = header_decode(bytes);
	frame.length = (size_t)length - FRAME_HEADER;
	CHECK_EQUAL(frame.header.version, 1);
	CHECK_EQUAL(frame.header.flags, 0);
	CHECK_EQUAL(frame.header.length, frame.length);
	frame.payload = malloc(frame.length + 1);
	CHECK(frame.payload != NULL);
	memcpy(frame.payload, bytes + FRAME_HEADER, frame.length);
	return frame;
}

static inline void frame_free(struct frame *frame)
{
	for (size_t i = 0; i < frame->fd_count; i++)
		close(frame->fds[i]);
	free(frame->payload);
	memset(frame, 0, sizeof *frame);
}

/* The next reply; events that come before it are put aside. */
static inline struct frame receive_reply(struct client *c, uint32_t id)
{
	for (;;) {
		struct frame frame = receive(c);
		if (frame.header.type >= 192) {
			CHECK_EQUAL(frame.header.id, 0);
			CHECK(c->event_count < EVENTS_MAX);
			c->events[c->event_count++] = frame;
			continue;
		}
		CHECK_EQUAL(frame.header.id, id);
		return frame;
	}
}

static inline struct frame next_event(struct client *c)
{
	if (c->event_count == 0)
		return receive(c);
	struct frame first = c->events[0];
	memmove(c->events, c->events + 1, --c->event_count * sizeof c->events[0]);
	return first;
}

static inline struct reader frame_reader(const struct frame *frame)
{
	return reader_over((struct bytes){frame->payload, frame->length});
}

/* 0 for an ok, else the errno of the error. */
static inline int frame_error(const struct frame *frame)
{
	struct reader r = frame_reader(frame);
	if (frame->header.type == 128)
		return 0;
	CHECK_EQUAL(frame->header.type, 129);
	int error = reader_i32(&r);
	(void)reader_u32(&r);
	CHECK(reader_done(&r));
	CHECK(error > 0);
	return error;
}

static inline struct frame call(struct client *c, uint16_t type, struct writer payload, const int *fds, size_t count)
{
	return receive_reply(c, post(c, type, payload, fds, count, 0));
}

static inline int call_error(struct client *c, uint16_t type, struct writer payload, const int *fds, size_t count)
{
	struct frame reply = call(c, type, payload, fds, count);
	int error = frame_error(&reply);
	frame_free(&reply);
	return error;
}

static inline struct bytes text(const char *string)
{
	return (struct bytes){(const uint8_t *)string, strlen(string)};
}

static inline void write_string(struct writer *w, const char *string)
{
	struct bytes bytes = text(string);
	writer_tag(w, bytes); /* the same but for the NUL */
	writer_u8(w, 0);
}

/* A writer over one buffer that all requests share. */
static inline struct writer payload(void)
{
	static uint8_t bytes[FRAME_MAX];
	return (struct writer){.bytes = bytes, .capacity = sizeof bytes - FRAME_HEADER};
}

static inline int try_attach(struct client *c, uint16_t lowest, uint16_t highest, uint8_t mode, struct hello *hello)
{
	struct writer w = payload();
	writer_u16(&w, lowest);
	writer_u16(&w, highest);
	writer_u32(&w, FEATURE_HAND_OVER);
	writer_u8(&w, mode);
	struct frame reply = call(c, REQUEST_ATTACH, w, NULL, 0);
	int error = frame_error(&reply);
	if (error == 0) {
		struct reader r = frame_reader(&reply);
		CHECK_EQUAL(reader_u16(&r), 1);
		CHECK_EQUAL(reader_u32(&r), FEATURE_HAND_OVER);
		hello->keeper = reader_i32(&r);
		hello->started = reader_u64(&r);
		hello->starts = reader_u32(&r);
		hello->why = reader_u8(&r);
		hello->detail = reader_u32(&r);
		hello->when = reader_u64(&r);
		hello->dropped = reader_u64(&r);
		hello->nofile = reader_u64(&r);
		CHECK(reader_done(&r));
	}
	frame_free(&reply);
	return error;
}

static inline struct hello attach(struct client *c)
{
	struct hello hello = {0};
	CHECK_EQUAL(try_attach(c, 1, 1, 0, &hello), 0);
	CHECK_EQUAL(hello.keeper, c->keeper);
	return hello;
}

/* The record, then its tag: an event, and the beginning of `adopt`. */
static inline void write_child(struct writer *w, const struct record *record)
{
	writer_key(w, text(record->key));
	writer_u8(w, record->state);
	writer_i32(w, record->pid);
	writer_u8(w, record->by);
	writer_u64(w, record->started);
	writer_u64(w, record->ended);
	writer_i32(w, record->status);
	writer_u8(w, record->stage);
	writer_i32(w, record->error);
	writer_u64(w, record->signals);
	writer_u64(w, record->utime);
	writer_u64(w, record->stime);
	writer_u64(w, record->max_rss);
	writer_tag(w, record->tag);
}

static inline int hold(struct client *c, const char *key, struct bytes tag, bool replace, const int *fds, size_t count)
{
	struct writer w = payload();
	writer_key(&w, text(key));
	writer_tag(&w, tag);
	writer_u8(&w, replace);
	return call_error(c, REQUEST_HOLD, w, fds, count);
}

/* Says of a process what a keeper would; `fds` begin with its pidfd where it runs, and the rest is kept, drained where the flag says so. */
static inline int adopt(struct client *c, const struct record *record, const int *fds, size_t count, uint8_t keep_flags)
{
	struct writer w = payload();
	size_t first = record->state == 2;
	write_child(&w, record);
	writer_u16(&w, (uint16_t)(count < first ? 0 : count - first));
	for (size_t i = first; i < count; i++) {
		writer_u16(&w, (uint16_t)i);
		writer_u8(&w, keep_flags);
	}
	return call_error(c, REQUEST_ADOPT, w, fds, count);
}

static inline int handed_over(struct client *c, uint32_t supervisors, uint64_t nofile)
{
	struct writer w = payload();
	writer_u32(&w, supervisors);
	writer_u64(&w, nofile);
	return call_error(c, REQUEST_HANDED_OVER, w, NULL, 0);
}

/* `pidfd` < 0: none is sent. */
static inline int move(struct client *c, const char *key, pid_t pid, int pidfd)
{
	struct writer w = payload();
	writer_key(&w, text(key));
	writer_i32(&w, pid);
	return call_error(c, REQUEST_MOVE, w, &pidfd, pidfd >= 0);
}

/* release, disarm and acknowledge take a key alone. */
static inline int call_key(struct client *c, uint16_t type, const char *key)
{
	struct writer w = payload();
	writer_key(&w, text(key));
	return call_error(c, type, w, NULL, 0);
}

static inline int release(struct client *c, const char *key)
{
	return call_key(c, REQUEST_RELEASE, key);
}

static inline int acknowledge(struct client *c, const char *key)
{
	return call_key(c, REQUEST_ACKNOWLEDGE, key);
}

static inline int send_signal(struct client *c, const char *key, int number)
{
	struct writer w = payload();
	writer_key(&w, text(key));
	writer_i32(&w, number);
	return call_error(c, REQUEST_SIGNAL, w, NULL, 0);
}

static inline int set_tag(struct client *c, uint8_t table, const char *key, struct bytes tag)
{
	struct writer w = payload();
	writer_u8(&w, table);
	writer_key(&w, text(key));
	writer_tag(&w, tag);
	return call_error(c, REQUEST_TAG, w, NULL, 0);
}

static inline int heartbeat(struct client *c, uint32_t ms)
{
	struct writer w = payload();
	writer_u32(&w, ms);
	return call_error(c, REQUEST_HEARTBEAT, w, NULL, 0);
}

static inline int shut_down(struct client *c, uint8_t code)
{
	struct writer w = payload();
	writer_u8(&w, code);
	return call_error(c, REQUEST_SHUT_DOWN, w, NULL, 0);
}

static inline void read_key(struct reader *r, char *key)
{
	struct bytes bytes = reader_key(r);
	memcpy(key, bytes.at, bytes.length);
	key[bytes.length] = '\0';
}

static inline struct record read_child(struct reader *r)
{
	struct record record = {0};
	read_key(r, record.key);
	record.state = reader_u8(r);
	record.pid = reader_i32(r);
	record.by = reader_u8(r);
	record.started = reader_u64(r);
	record.ended = reader_u64(r);
	record.status = reader_i32(r);
	record.stage = reader_u8(r);
	record.error = reader_i32(r);
	record.signals = reader_u64(r);
	record.utime = reader_u64(r);
	record.stime = reader_u64(r);
	record.max_rss = reader_u64(r);
	record.tag = reader_tag(r);
	CHECK(!r->failed);
	return record;
}

static inline struct record read_record(struct reader *r, uint8_t table)
{
	struct record record = {0};
	if (table == TABLE_CHILDREN) {
		record = read_child(r);
	} else {
		read_key(r, record.key);
		record.tag = reader_tag(r);
	}
	record.fd_count = reader_u16(r);
	if (table == TABLE_ARMS) {
		uint8_t trigger = reader_u8(r);
		CHECK(trigger == TRIGGER_READABLE || trigger == TRIGGER_CONNECTION);
	}
	CHECK(!r->failed);
	return record;
}

/* Goes through all pages, checks their order, and returns the number of records. Tags are not valid in the callback's copy later. */
static inline size_t list_all(struct client *c, uint8_t table, void (*each)(const struct record *record))
{
	char cursor[KEY_MAX + 1] = "";
	size_t total = 0;
	for (bool more = true; more;) {
		struct writer w = payload();
		writer_u8(&w, table);
		writer_key(&w, text(cursor));
		struct frame reply = call(c, REQUEST_LIST, w, NULL, 0);
		CHECK_EQUAL(frame_error(&reply), 0);
		CHECK_EQUAL(reply.fd_count, 0);
		struct reader r = frame_reader(&reply);
		size_t count = reader_u16(&r);
		more = reader_u8(&r) == 1;
		CHECK(!more || count > 0);
		for (size_t i = 0; i < count; i++) {
			struct record record = read_record(&r, table);
			CHECK(strcmp(cursor, record.key) < 0);
			memcpy(cursor, record.key, sizeof cursor);
			if (each != NULL)
				each(&record);
		}
		CHECK(reader_done(&r));
		frame_free(&reply);
		total += count;
	}
	return total;
}

/* The frame stays the caller's: the record's tag and the descriptors are in it. */
static inline int fetch(struct client *c, uint8_t table, const char *key, struct frame *frame, struct record *record)
{
	struct writer w = payload();
	writer_u8(&w, table);
	writer_key(&w, text(key));
	*frame = call(c, REQUEST_FETCH, w, NULL, 0);
	int error = frame_error(frame);
	if (error != 0) {
		frame_free(frame);
		return error;
	}
	struct reader r = frame_reader(frame);
	CHECK_EQUAL(reader_u16(&r), 1);
	CHECK_EQUAL(reader_u8(&r), 0);
	*record = read_record(&r, table);
	CHECK(reader_done(&r));
	return 0;
}

/* What a test wants started; zero is a good value for everything but the key and argv. */
struct order {
	const char *key;
	struct bytes tag;
	uint32_t flags;
	uint32_t uid, gid; /* 0 = keep, unless `identity` */
	bool identity;
	uint32_t umask;
	int32_t nice, oom_score_adj;
	size_t group_count;
	uint32_t groups[8];
	size_t limit_count;
	struct { uint32_t resource; uint64_t soft, hard; } limits[4];
	struct bytes processors;
	uint16_t io_priority;
	int32_t policy, policy_priority;
	uint64_t capabilities, bounding;
	const char *directory, *path;
	const char *argv[8], *env[8];
	size_t map_count;
	struct { uint32_t target; const char *held; uint16_t index; bool connection; } map[64];
	size_t keep_count;
	uint16_t keep[8];
	uint8_t keep_flags[8];
	size_t fd_count;
	int fds[64];
};

static inline void write_strings(struct writer *w, const char *const *strings)
{
	uint16_t count = 0;
	while (strings[count] != NULL)
		count++;
	writer_u16(w, count);
	for (uint16_t i = 0; i < count; i++)
		write_string(w, strings[i]);
}

static inline void write_start(struct writer *w, const struct order *o)
{
	writer_key(w, text(o->key));
	writer_tag(w, o->tag);
	writer_u32(w, o->flags);
	writer_u32(w, o->identity ? o->uid : UINT32_MAX);
	writer_u32(w, o->identity ? o->gid : UINT32_MAX);
	writer_u32(w, o->umask);
	writer_i32(w, o->nice);
	writer_i32(w, o->oom_score_adj);
	writer_u16(w, (uint16_t)o->group_count);
	for (size_t i = 0; i < o->group_count; i++)
		writer_u32(w, o->groups[i]);
	writer_u16(w, (uint16_t)o->limit_count);
	for (size_t i = 0; i < o->limit_count; i++) {
		writer_u32(w, o->limits[i].resource);
		writer_u64(w, o->limits[i].soft);
		writer_u64(w, o->limits[i].hard);
	}
	if ((o->flags & START_PROCESSORS) != 0)
		writer_tag(w, o->processors);
	if ((o->flags & START_IO_PRIORITY) != 0)
		writer_u16(w, o->io_priority);
	if ((o->flags & START_POLICY) != 0) {
		writer_i32(w, o->policy);
		writer_i32(w, o->policy_priority);
	}
	if ((o->flags & START_CAPABILITIES) != 0)
		writer_u64(w, o->capabilities);
	if ((o->flags & START_BOUNDING) != 0)
		writer_u64(w, o->bounding);
	write_string(w, o->directory == NULL ? "" : o->directory);
	write_string(w, o->path);
	write_strings(w, o->argv);
	write_strings(w, o->env);
	writer_u16(w, (uint16_t)o->map_count);
	for (size_t i = 0; i < o->map_count; i++) {
		writer_u32(w, o->map[i].target);
		writer_u8(w, o->map[i].connection ? 2 : o->map[i].held != NULL);
		if (o->map[i].held != NULL)
			writer_key(w, text(o->map[i].held));
		writer_u16(w, o->map[i].index);
	}
	writer_u16(w, (uint16_t)o->keep_count);
	for (size_t i = 0; i < o->keep_count; i++) {
		writer_u16(w, o->keep[i]);
		writer_u8(w, o->keep_flags[i]);
	}
}

static inline void write_registration(struct writer *w, const struct registration *registration)
{
	writer_u16(w, registration->process);
	writer_u32(w, (uint32_t)registration->epoll);
	writer_u32(w, (uint32_t)registration->number);
	writer_key(w, registration->held_key);
	writer_u16(w, registration->held_index);
	writer_u32(w, registration->events);
	writer_u64(w, registration->data);
}

/* Of a reply with one errno for each of `count` things that were asked. 0, or the error of the whole request. Frees the reply. */
static inline int reply_errors(struct frame reply, int32_t *errors, size_t count)
{
	int error = frame_error(&reply);
	if (error == 0) {
		struct reader r = frame_reader(&reply);
		CHECK_EQUAL(reader_u16(&r), count);
		for (size_t i = 0; i < count; i++)
			errors[i] = reader_i32(&r);
		CHECK(reader_done(&r));
	}
	frame_free(&reply);
	return error;
}

/* quiesce or resume; writes one errno for each registration. 0, or the error of the whole request. */
static inline int turn_valves(struct client *c, uint16_t type, const int *pidfds, size_t pidfd_count,
			      const struct registration *registrations, size_t count, int32_t *errors)
{
	struct writer w = payload();
	writer_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < count; i++)
		write_registration(&w, &registrations[i]);
	return reply_errors(call(c, type, w, pidfds, pidfd_count), errors, count);
}

static inline int turn_valve(struct client *c, uint16_t type, int pidfd, const struct registration *registrations, size_t count,
			     int32_t *errors)
{
	return turn_valves(c, type, &pidfd, 1, registrations, count, errors);
}

static inline void write_connection(struct writer *w, const struct connection *connection)
{
	writer_u16(w, connection->process);
	writer_u32(w, (uint32_t)connection->number);
	writer_u64(w, connection->inode);
	writer_u64(w, connection->received);
}

/* Writes one errno for each connection. 0, or the error of the whole request. */
static inline int shut(struct client *c, const int *pidfds, size_t pidfd_count, const struct connection *connections,
		       size_t count, int32_t *errors)
{
	struct writer w = payload();
	writer_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < count; i++)
		write_connection(&w, &connections[i]);
	return reply_errors(call(c, REQUEST_SHUT, w, pidfds, pidfd_count), errors, count);
}

static inline int spawn_order(struct client *c, const struct order *o)
{
	struct writer w = payload();
	write_start(&w, o);
	return call_error(c, REQUEST_SPAWN, w, o->fds, o->fd_count);
}

static inline int arm_order(struct client *c, const struct order *o, const char *first, const char *second)
{
	struct writer w = payload();
	write_start(&w, o);
	writer_u8(&w, TRIGGER_READABLE);
	writer_u16(&w, second == NULL ? 1 : 2);
	writer_key(&w, text(first));
	if (second != NULL)
		writer_key(&w, text(second));
	return call_error(c, REQUEST_ARM, w, o->fds, o->fd_count);
}

/* Takes the event at `index` of those put aside; it stays the caller's. */
static inline struct frame take_event(struct client *c, size_t index)
{
	struct frame event = c->events[index];
	memmove(&c->events[index], &c->events[index + 1], (--c->event_count - index) * sizeof event);
	return event;
}

/* Waits until the keeper tells that `key` is in `state`. Earlier states of it are let go; what concerns others is put aside. */
static inline struct record wait_child(struct client *c, const char *key, uint8_t state)
{
	for (size_t i = 0;; i++) {
		if (i == c->event_count) {
			CHECK(c->event_count < EVENTS_MAX);
			c->events[c->event_count++] = receive(c);
		}
		if (c->events[i].header.type != 192)
			continue;
		struct reader r = frame_reader(&c->events[i]);
		struct record record = read_child(&r);
		CHECK(reader_done(&r));
		CHECK_EQUAL(c->events[i].fd_count, record.state == 2);
		if (strcmp(record.key, key) != 0)
			continue;
		CHECK(record.state <= state);
		struct frame event = take_event(c, i--);
		frame_free(&event);
		record.tag = (struct bytes){NULL, 0};
		if (record.state == state)
			return record;
	}
}

#endif
