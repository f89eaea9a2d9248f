/* What is held: entries, notes, pages, bounds, and that none of it depends on a supervisor. */
#define _GNU_SOURCE
#include "harness.h"

static uint64_t inode(int fd)
{
	struct stat file;
	CHECK(fstat(fd, &file) == 0);
	return file.st_ino;
}

static void entries_come_back_as_they_were(struct client *c)
{
	int a[2], b[2];
	struct frame frame;
	struct record record;
	struct bytes tag = {(const uint8_t *)"\0\1\2", 3};
	attach(c);
	CHECK(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "one", tag, false, (int[]){a[0], b[1], a[0]}, 3), 0);
	CHECK_EQUAL(hold(c, "one", tag, false, NULL, 0), EEXIST);
	CHECK_EQUAL(hold(c, "note", text("said"), false, NULL, 0), 0);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "one", &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, 3);
	CHECK_EQUAL(record.fd_count, 3);
	CHECK_EQUAL(inode(frame.fds[0]), inode(a[0]));
	CHECK_EQUAL(inode(frame.fds[1]), inode(b[1]));
	CHECK_EQUAL(inode(frame.fds[2]), inode(a[0]));
	CHECK_EQUAL(bytes_compare(record.tag, tag), 0);
	frame_free(&frame);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "note", &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, 0);
	CHECK_EQUAL(bytes_compare(record.tag, text("said")), 0);
	frame_free(&frame);
	CHECK_EQUAL(set_tag(c, TABLE_HELD, "note", text("")), 0);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "note", &frame, &record), 0);
	CHECK_EQUAL(record.tag.length, 0);
	frame_free(&frame);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "on", &frame, &record), ENOENT);
	CHECK_EQUAL(set_tag(c, TABLE_HELD, "on", text("")), ENOENT);
	CHECK_EQUAL(release(c, "on"), ENOENT);
	CHECK_EQUAL(list_all(c, TABLE_HELD, NULL), 2);
	CHECK_EQUAL(release(c, "one"), 0);
	CHECK_EQUAL(release(c, "note"), 0);
	end_scenario(c);
}

/* The writer of a pipe whose reader was held alone learns of the replacement by EPIPE. */
static void replacing_closes_what_was_held(struct client *c)
{
	int old[2], new[2];
	struct frame frame;
	struct record record;
	attach(c);
	CHECK(pipe2(old, O_CLOEXEC) == 0 && pipe2(new, O_CLOEXEC) == 0);
	CHECK_EQUAL(hold(c, "pipe", text("old"), true, &old[0], 1), 0);
	close(old[0]);
	struct pollfd end = {.fd = old[1], .events = 0};
	CHECK_EQUAL(poll(&end, 1, 0), 0);
	CHECK_EQUAL(hold(c, "pipe", text("new"), true, &new[0], 1), 0);
	CHECK_EQUAL(poll(&end, 1, 0), 1);
	CHECK((end.revents & POLLERR) != 0);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "pipe", &frame, &record), 0);
	CHECK_EQUAL(inode(frame.fds[0]), inode(new[0]));
	CHECK_EQUAL(bytes_compare(record.tag, text("new")), 0);
	frame_free(&frame);
	CHECK_EQUAL(release(c, "pipe"), 0);
	end_scenario(c);
}

static void a_frame_brings_up_to_253_descriptors(struct client *c)
{
	int fds[FRAME_FDS_MAX];
	struct frame frame;
	struct record record;
	attach(c);
	for (size_t i = 0; i < FRAME_FDS_MAX; i++)
		fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	CHECK_EQUAL(hold(c, "all", text(""), false, fds, FRAME_FDS_MAX), 0);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "all", &frame, &record), 0);
	CHECK_EQUAL(frame.fd_count, FRAME_FDS_MAX);
	frame_free(&frame);
	CHECK_EQUAL(release(c, "all"), 0);
	end_scenario(c);
}

/* Descriptors that a request has no use for are closed, whether it succeeds or not. */
static void what_is_not_taken_is_closed(struct client *c)
{
	int ends[2];
	struct writer w = payload();
	attach(c);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	writer_u32(&w, 0);
	CHECK_EQUAL(call_error(c, REQUEST_HEARTBEAT, w, &ends[0], 1), 0);
	CHECK_EQUAL(hold(c, "a", text(""), false, NULL, 0), 0);
	CHECK_EQUAL(hold(c, "a", text(""), false, &ends[0], 1), EEXIST);
	struct order order = {.key = "w", .path = "/bin/true", .argv = {"true"}, .fd_count = 1, .map_count = 1, .map = {{0, "gone", 0}}};
	order.fds[0] = ends[0];
	CHECK_EQUAL(spawn_order(c, &order), ENOENT);
	order.map_count = 0;
	CHECK_EQUAL(spawn_order(c, &order), 0);
	wait_child(c, "w", 3);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	close(ends[0]);
	struct pollfd end = {.fd = ends[1], .events = 0};
	CHECK_EQUAL(poll(&end, 1, 0), 1);
	CHECK_EQUAL(release(c, "a"), 0);
	end_scenario(c);
}

static void a_long_table_comes_in_pages(struct client *c)
{
	static uint8_t tag[1500];
	char key[64];
	attach(c);
	for (unsigned i = 0; i < 700; i++) {
		snprintf(key, sizeof key, "%.*s%u", (int)(i % 3), "zzz", (i * 7919) % 700);
		CHECK_EQUAL(hold(c, key, (struct bytes){tag, i * 2}, true, NULL, 0), 0);
	}
	size_t total = list_all(c, TABLE_HELD, NULL);
	CHECK_EQUAL(total, 700);
	for (unsigned i = 0; i < 700; i++) {
		snprintf(key, sizeof key, "%.*s%u", (int)(i % 3), "zzz", (i * 7919) % 700);
		CHECK_EQUAL(release(c, key), 0);
	}
	end_scenario(c);
}

static void bounds_are_kept(struct client *c)
{
	static uint8_t tag[TAG_MAX];
	char key[64];
	unsigned held = 0;
	int error = 0;
	attach(c);
	for (; error == 0; held++) {
		snprintf(key, sizeof key, "%u", held);
		error = hold(c, key, text(""), false, NULL, 0);
	}
	CHECK_EQUAL(error, ENOMEM);
	CHECK_EQUAL(held - 1, 8192);
	CHECK_EQUAL(hold(c, "17", text("a replacement is none more"), true, NULL, 0), 0);
	held = 0;
	for (error = 0; error == 0; held++) {
		snprintf(key, sizeof key, "%u", held);
		error = set_tag(c, TABLE_HELD, key, (struct bytes){tag, sizeof tag});
	}
	CHECK_EQUAL(error, ENOMEM);
	CHECK(held > 250 && held <= 32 * 1024 * 1024 / TAG_MAX + 1);
	CHECK_EQUAL(set_tag(c, TABLE_HELD, "0", text("small")), 0);
	for (unsigned i = 0; i < 8192; i++) {
		snprintf(key, sizeof key, "%u", i);
		CHECK_EQUAL(release(c, key), 0);
	}
	CHECK_EQUAL(hold(c, "again", (struct bytes){tag, sizeof tag}, false, NULL, 0), 0);
	CHECK_EQUAL(release(c, "again"), 0);
	end_scenario(c);
}

static void what_is_held_outlives_supervisors(struct client *c)
{
	int ends[2];
	char byte = 0;
	struct frame frame;
	struct record record;
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		CHECK(pipe2(ends, O_CLOEXEC) == 0);
		CHECK_EQUAL(write(ends[1], "x", 1), 1);
		CHECK_EQUAL(hold(c, "pipe", text("tagged"), false, ends, 2), 0);
		/* This one is not waited for: what was sent counts. */
		struct writer w = payload();
		writer_key(&w, text("last words"));
		writer_tag(&w, text(""));
		writer_u8(&w, 0);
		post(c, REQUEST_HOLD, w, NULL, 0, 0);
		die();
	}
	CHECK_EQUAL(fetch(c, TABLE_HELD, "pipe", &frame, &record), 0);
	CHECK_EQUAL(bytes_compare(record.tag, text("tagged")), 0);
	CHECK_EQUAL(read(frame.fds[0], &byte, 1), 1);
	CHECK_EQUAL(byte, 'x');
	frame_free(&frame);
	CHECK_EQUAL(release(c, "pipe"), 0);
	CHECK_EQUAL(release(c, "last words"), 0);
	end_scenario(c);
}

/* Its own pages. Those of its program are the page cache's, and how many of them are mapped is up to the kernel. */
static long own_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	while (fgets(line, sizeof line, file) != NULL)
		sscanf(line, "RssAnon: %ld kB", &kib);
	fclose(file);
	return kib;
}

/* Two hundred services' worth: a socket with a tag of 2 KB each, fifty children, and a page of the list. */
static void resident_memory_stays_small(struct client *c)
{
	static uint8_t tag[2048];
	char key[64];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	attach(c);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "service-%u", i);
		CHECK_EQUAL(hold(c, key, (struct bytes){tag, sizeof tag}, false, &null, 1), 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		snprintf(key, sizeof key, "worker-%u", i);
		struct order order = {.key = key, .tag = {tag, sizeof tag}, .path = "/bin/true", .argv = {"true"}};
		CHECK_EQUAL(spawn_order(c, &order), 0);
		wait_child(c, key, 3);
	}
	CHECK_EQUAL(list_all(c, TABLE_HELD, NULL), 200);
	long kib = own_kib(getppid());
	dprintf(STDERR_FILENO, "resident, its own: %ld KiB\n", kib);
#ifndef __SANITIZE_ADDRESS__
	CHECK(kib > 0 && kib < 1024);
#endif
	for (unsigned i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "service-%u", i);
		CHECK_EQUAL(release(c, key), 0);
	}
	for (unsigned i = 0; i < 50; i++) {
		snprintf(key, sizeof key, "worker-%u", i);
		CHECK_EQUAL(acknowledge(c, key), 0);
	}
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "entries come back as they were", .run = entries_come_back_as_they_were},
	{.name = "replacing closes what was held", .run = replacing_closes_what_was_held},
	{.name = "a frame brings up to 253 descriptors", .run = a_frame_brings_up_to_253_descriptors},
	{.name = "what is not taken is closed", .run = what_is_not_taken_is_closed},
	{.name = "a long table comes in pages", .run = a_long_table_comes_in_pages},
	{.name = "bounds are kept", .run = bounds_are_kept},
	{.name = "what is held outlives supervisors", .run = what_is_held_outlives_supervisors},
	{.name = "resident memory stays small", .run = resident_memory_stays_small, .not_in_valgrind = true},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
