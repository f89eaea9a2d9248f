/* The state that one keeper hands to the next, without any of the two running: what is in it, and what is refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../arm.h"
#include "../held.h"
#include "../keeper.h"
#include "../state.h"

static struct keeper before, after, odd;

static void check_at(int line, int holds, const char *what)
{
	if (holds)
		return;
	printf("%s:%d: %s\n", __FILE__, line, what);
	exit(1);
}

#define CHECK(condition) check_at(__LINE__, (condition) != 0, #condition)

static struct bytes text(const char *string)
{
	return (struct bytes){(const uint8_t *)string, strlen(string)};
}

static void make_empty(struct keeper *k)
{
	memset(k, 0, sizeof *k);
	k->channel.fd = k->supervisor.status_fd = -1;
}

/* A start as the keeper keeps it of an arm that places descriptor 0 of its frame and keeps descriptor 1. */
static struct bytes start_of_arm(void)
{
	static uint8_t bytes[256];
	struct writer w = {.bytes = bytes, .capacity = sizeof bytes};
	for (int i = 0; i < 6; i++)
		writer_u32(&w, i == 1 || i == 2 ? START_KEEP_ID : 0);
	writer_u16(&w, 0);
	writer_u16(&w, 0);
	const char *const strings[] = {"", "/bin/true"};
	for (int i = 0; i < 2; i++) {
		writer_tag(&w, text(strings[i]));
		writer_u8(&w, 0);
	}
	writer_u16(&w, 1);
	writer_tag(&w, text("true"));
	writer_u8(&w, 0);
	writer_u16(&w, 0);
	writer_u16(&w, 1);
	writer_u32(&w, 3);
	writer_u8(&w, 0);
	writer_u16(&w, 0);
	writer_u16(&w, 1);
	writer_u16(&w, 1);
	writer_u8(&w, 1);
	CHECK(!w.failed);
	return (struct bytes){bytes, w.at};
}

static void add_held(struct keeper *k)
{
	const int fds[] = {20, 21};
	struct held *held = held_make(k, text("socket"), text("its tag"), fds, 2);
	CHECK(held != NULL);
	table_insert(&k->tables[TABLE_HELD], &held->entry);
}

static void add_child(struct keeper *k, const char *key, enum child_state state)
{
	const uint16_t drained[] = {1};
	struct child *child = child_make(k, text(key), text("t"), 2);
	CHECK(child != NULL && drains_make(k, child, drained, 1));
	child->kept[0] = 30;
	child->kept[1] = 31;
	child->state = state;
	child->pid = 4711;
	child->signals = 77;
	child->usage.ru_utime.tv_sec = 3;
	child->usage.ru_utime.tv_usec = 14;
	struct drain *drain = &child->drains->each[0];
	drain->ours = true;
	drain->dropped = 5;
	CHECK(drain_make_ring(k, drain, 8));
	memcpy(drain->ring, "cdefgzab", 8); /* begins near the end, and has room for one more */
	drain->first = 6;
	drain->used = 7;
	drains_name(child);
	table_insert(&k->tables[TABLE_CHILDREN], &child->entry);
	child_tell(k, child);
}

/* A process of the keeper before. */
static void add_adopted(struct keeper *k, const char *key, enum child_state state)
{
	struct child *child = child_make(k, text(key), text(""), 0);
	CHECK(child != NULL);
	child->state = state;
	child->by = BY_ARM | CHILD_ADOPTED | CHILD_MOVED;
	child->pid = 4712;
	child->pidfd = state == CHILD_RUNNING ? 50 : -1;
	table_insert(&k->tables[TABLE_CHILDREN], &child->entry);
}

static const struct child *loaded(const char *key)
{
	return (struct child *)table_find(&after.tables[TABLE_CHILDREN], text(key));
}

static void add_arm(struct keeper *k)
{
	uint8_t keys[64];
	struct writer w = {.bytes = keys, .capacity = sizeof keys};
	writer_key(&w, text("socket"));
	writer_key(&w, text("one that was released"));
	struct child *arm = child_make(k, text("arm"), text(""), 1);
	CHECK(arm != NULL);
	arm->by = BY_ARM;
	arm->kept[0] = 41;
	arm->armed = armed_make(k, start_of_arm(), (struct bytes){keys, w.at}, 2);
	CHECK(arm->armed != NULL);
	arm->armed->fds[0] = 40;
	arm->armed->fds[1] = -1;
	table_insert(&k->tables[TABLE_ARMS], &arm->entry);
}

static void fill(struct keeper *k)
{
	make_empty(k);
	k->started = 1;
	k->nofile_before = (struct rlimit){1024, RLIM_INFINITY};
	k->signals.stop = k->signals.untold = 1 << 14;
	k->signals.first_stop = 15;
	k->reexec = (struct reexec){.count = 7, .last_at = 8, .asked = true, .id = 9, .program = -1, .proof = -1};
	k->supervisor.pid = 100;
	k->supervisor.heartbeat_at = 123456789;
	k->supervisor.last_end = END_SIGNAL;
	k->channel.fd = 10;
	k->channel.peer = 100;
	k->channel.attached_at = 11;
	add_held(k);
	add_child(k, "b", CHILD_EXITED);
	add_child(k, "a", CHILD_FAILED);
	add_adopted(k, "adopted", CHILD_RUNNING);
	add_adopted(k, "lost", CHILD_LOST);
	add_arm(k);
}

static struct bytes save(struct keeper *k)
{
	int file;
	struct bytes state;
	CHECK(state_save(k, &file) == 0);
	CHECK(write(file, "x", 1) < 0 && ftruncate(file, 0) != 0); /* sealed */
	CHECK(state_map(file, &state) == 0);
	close(file);
	return state;
}

static int load(struct bytes state)
{
	make_empty(&after);
	return state_load(&after, state);
}

static void check_child(const char *key)
{
	struct child *child = (struct child *)table_find(&after.tables[TABLE_CHILDREN], text(key));
	CHECK(child != NULL && child->kept_count == 2 && child->kept[1] == 31 && child->signals == 77 && child->pid == 4711);
	CHECK(child->usage.ru_utime.tv_sec == 3 && child->usage.ru_utime.tv_usec == 14);
	const struct drain *drain = &child->drains->each[0];
	CHECK(drain->ours && !drain->watched && drain->fd == 31 && drain->dropped == 5 && drain->capacity == 8);
	CHECK(drain->used == 7 && memcmp(drain->ring + drain->first, "abcdefg", 7) == 0);
}

static void what_was_saved_is_loaded(struct bytes state)
{
	CHECK(load(state) == 0);
	CHECK(after.started == 1 && after.nofile_before.rlim_max == RLIM_INFINITY && after.signals.first_stop == 15);
	CHECK(after.reexec.count == 7 && after.reexec.asked && after.reexec.id == 9);
	CHECK(after.supervisor.pid == 100 && after.supervisor.heartbeat_at == 123456789 && after.supervisor.last_end == END_SIGNAL);
	CHECK(after.channel.fd == 10 && after.channel.peer == 100 && after.channel.attached_at == 11);
	struct held *held = held_find(&after, text("socket"));
	CHECK(held != NULL && held->count == 2 && held->fds[1].fd == 21 && held->fds[1].held == held && held->arms == 0);
	check_child("a");
	check_child("b");
	const struct child *adopted = loaded("adopted"), *lost = loaded("lost");
	CHECK(adopted != NULL && adopted->by == (BY_ARM | CHILD_ADOPTED | CHILD_MOVED) && adopted->state == CHILD_RUNNING && adopted->pidfd == 50);
	CHECK(lost != NULL && lost->by == (BY_ARM | CHILD_ADOPTED | CHILD_MOVED) && lost->state == CHILD_LOST && lost->pidfd == -1);
	CHECK(bytes_compare(after.news.first->entry.key, text("b")) == 0 && after.news.first->next == after.news.last);
	const struct child *arm = (struct child *)table_find(&after.tables[TABLE_ARMS], text("arm"));
	CHECK(arm != NULL && arm->armed->fds[0] == 40 && arm->armed->fds[1] == -1 && arm->kept[0] == 41);
	CHECK(after.budget.used == before.budget.used && after.drained.bytes == 16 && after.drained.pipes == 2);
}

/* In memory of its exact length, so that the sanitizer sees each byte too many. */
static int load_copy(struct bytes state, size_t length)
{
	uint8_t *copy = malloc(length == 0 ? 1 : length);
	CHECK(copy != NULL);
	memcpy(copy, state.at, length);
	int error = load((struct bytes){copy, length});
	free(copy);
	return error;
}

static void what_is_cut_is_refused(struct bytes state)
{
	for (size_t length = 0; length < state.length; length++)
		CHECK(load_copy(state, length) != 0);
}

/* The state with `more` behind the body of the first record of that kind, or that record with another kind. */
static int load_changed(struct bytes state, uint16_t kind, struct bytes more, uint16_t new_kind)
{
	uint8_t *copy = malloc(state.length + more.length);
	CHECK(copy != NULL);
	memcpy(copy, state.at, state.length);
	for (size_t at = 10; at < state.length;) {
		struct reader r = reader_over((struct bytes){copy + at, 6});
		uint16_t found = reader_u16(&r);
		uint32_t length = reader_u32(&r);
		size_t end = at + 6 + length;
		if (found == kind) {
			struct writer w = {.bytes = copy + at, .capacity = 6};
			writer_u16(&w, new_kind);
			writer_u32(&w, length + (uint32_t)more.length);
			memmove(copy + end + more.length, copy + end, state.length - end);
			memcpy(copy + end, more.at, more.length);
			break;
		}
		at = end;
	}
	int error = load((struct bytes){copy, state.length + more.length});
	free(copy);
	return error;
}

static void fields_at_the_end_are_passed_over(struct bytes state)
{
	for (uint16_t kind = 1; kind <= 9; kind++)
		CHECK(load_changed(state, kind, text("of a later version"), kind) == 0);
}

static void what_is_not_known_is_refused(struct bytes state)
{
	for (uint16_t kind = 1; kind <= 9; kind++)
		CHECK(load_changed(state, kind, text(""), 10) == EBADMSG);
	uint8_t *copy = malloc(state.length);
	CHECK(copy != NULL);
	memcpy(copy, state.at, state.length);
	copy[8]++;
	CHECK(load((struct bytes){copy, state.length}) == EPROTONOSUPPORT);
	copy[8]--;
	copy[0]++;
	CHECK(load((struct bytes){copy, state.length}) == EBADMSG);
	free(copy);
}

/* What nobody could tell the end of, or what would be waited for like a child. */
static void an_adopted_process_without_its_pidfd_is_refused(void)
{
	struct keeper *k = &odd;
	struct child *child;
	fill(k);
	child = (struct child *)table_find(&k->tables[TABLE_CHILDREN], text("adopted"));
	child->pidfd = -1;
	CHECK(load(save(k)) == EBADMSG);
	child->pidfd = 50;
	CHECK(load(save(k)) == 0);
	child->by |= 16;
	CHECK(load(save(k)) == EBADMSG);
	child->by = CHILD_ADOPTED;
	child->state = CHILD_STARTING;
	CHECK(load(save(k)) == EBADMSG);
}

static void what_is_no_state_is_not_mapped(void)
{
	struct bytes state;
	int ends[2], empty = memfd_create("empty", MFD_CLOEXEC);
	CHECK(pipe(ends) == 0 && empty >= 0);
	CHECK(state_map(ends[0], &state) == EBADMSG);
	CHECK(state_map(empty, &state) == EBADMSG);
	CHECK(state_map(-1, &state) == EBADF);
}

int main(void)
{
	fill(&before);
	struct bytes state = save(&before);
	what_was_saved_is_loaded(state);
	what_is_cut_is_refused(state);
	fields_at_the_end_are_passed_over(state);
	what_is_not_known_is_refused(state);
	an_adopted_process_without_its_pidfd_is_refused();
	what_is_no_state_is_not_mapped();
	printf("ok\n");
	_exit(0); /* what the loads have made is lost on purpose */
}
