/* Capabilities, processors and priorities of what is started: as asked, or the stage that failed. */
#define _GNU_SOURCE
#include "report.h"

#include <sched.h>

#include "../launch.h"

enum { NET_BIND = 10, SETPCAP = 8, SYS_NICE = 23, NET_RAW = 13, IDLE_CLASS = 3 << 13, BEST_EFFORT = 2 << 13 };

static uint64_t bit(int capability)
{
	return UINT64_C(1) << capability;
}

static bool has_set(const char *report, const char *name, uint64_t set)
{
	char line[64];
	snprintf(line, sizeof line, "Cap%s:\t%016llx", name, (unsigned long long)set);
	return says(report, line);
}

static bool has_exactly(const char *report, uint64_t set)
{
	return has_set(report, "Inh", set) && has_set(report, "Prm", set) && has_set(report, "Eff", set) && has_set(report, "Amb", set);
}

static void a_user_gets_exactly_what_was_asked(struct client *c)
{
	attach(c);
	uint64_t set = bit(NET_BIND) | bit(NET_RAW);
	struct order order = {.identity = true, .uid = 12345, .gid = 12345,
			      .flags = START_NO_NEW_PRIVS | START_GROUPS | START_CAPABILITIES | START_BOUNDING};
	order.capabilities = order.bounding = set;
	const char *report = report_of(c, &order);
	CHECK(says(report, "uid 12345") && says(report, "NoNewPrivs:\t1"));
	CHECK(has_exactly(report, set) && has_set(report, "Bnd", set));

	/* There may be more to be had than it has. */
	order = (struct order){.identity = true, .uid = 12345, .gid = 12345, .flags = START_CAPABILITIES | START_BOUNDING};
	order.capabilities = bit(NET_BIND);
	order.bounding = bit(NET_BIND) | bit(SETPCAP);
	report = report_of(c, &order);
	CHECK(has_exactly(report, order.capabilities) && has_set(report, "Bnd", order.bounding));

	/* The bounding set alone leaves nothing behind of what was kept to cut it. */
	order = (struct order){.identity = true, .uid = 12345, .gid = 12345, .flags = START_BOUNDING, .bounding = bit(NET_RAW)};
	report = report_of(c, &order);
	CHECK(has_exactly(report, 0) && has_set(report, "Bnd", bit(NET_RAW)));

	/* And without either it is as a change of user leaves it. */
	order = (struct order){.identity = true, .uid = 12345, .gid = 12345};
	report = report_of(c, &order);
	CHECK(has_exactly(report, 0) && !has_set(report, "Bnd", 0));
	end_scenario(c);
}

static void root_is_cut_down_to_it(struct client *c)
{
	attach(c);
	struct order order = {.flags = START_CAPABILITIES | START_BOUNDING, .capabilities = bit(NET_BIND), .bounding = bit(NET_BIND)};
	const char *report = report_of(c, &order);
	CHECK(says(report, "uid 0") && has_exactly(report, bit(NET_BIND)) && has_set(report, "Bnd", bit(NET_BIND)));

	order = (struct order){.flags = START_CAPABILITIES | START_BOUNDING};
	report = report_of(c, &order);
	CHECK(has_exactly(report, 0) && has_set(report, "Bnd", 0));

	order = (struct order){.flags = START_BOUNDING | START_NO_NEW_PRIVS, .bounding = bit(NET_RAW)};
	report = report_of(c, &order);
	CHECK(has_set(report, "Eff", bit(NET_RAW)) && has_set(report, "Bnd", bit(NET_RAW)) && has_set(report, "Amb", 0));
	end_scenario(c);
}

/* A mask of the last processor that we may use. */
static int last_processor(uint8_t mask[128])
{
	cpu_set_t allowed;
	int last = 0;
	CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET((size_t)i, &allowed))
			last = i;
	memset(mask, 0, 128);
	mask[last / 8] = (uint8_t)(1U << last % 8);
	return last;
}

static void it_has_its_turn_as_asked(struct client *c)
{
	uint8_t mask[128];
	char line[64];
	attach(c);
	int last = last_processor(mask);
	struct order order = {.flags = START_PROCESSORS | START_IO_PRIORITY | START_POLICY, .processors = {mask, sizeof mask},
			      .io_priority = IDLE_CLASS, .policy = SCHED_BATCH};
	const char *report = report_of(c, &order);
	snprintf(line, sizeof line, "Cpus_allowed_list:\t%d", last);
	CHECK(says(report, line) && says(report, "policy 3"));
	snprintf(line, sizeof line, "io %d", IDLE_CLASS);
	CHECK(says(report, line));
	order = (struct order){.flags = START_IO_PRIORITY, .io_priority = BEST_EFFORT | 7};
	report = report_of(c, &order);
	snprintf(line, sizeof line, "io %d", BEST_EFFORT | 7);
	CHECK(says(report, line) && says(report, "policy 0"));
	end_scenario(c);
}

static void what_does_not_exist_is_told(struct client *c)
{
	attach(c);
	check_failure(c, (struct order){.flags = START_PROCESSORS}, STAGE_CPU_AFFINITY, EINVAL);
	check_failure(c, (struct order){.flags = START_IO_PRIORITY, .io_priority = 7 << 13}, STAGE_IO_PRIORITY, EINVAL);
	check_failure(c, (struct order){.flags = START_POLICY, .policy = 77}, STAGE_SCHEDULING, EINVAL);
	/* Outside of the bounding set nothing can be had. */
	struct order order = {.flags = START_CAPABILITIES | START_BOUNDING, .capabilities = bit(NET_RAW), .bounding = bit(NET_BIND)};
	check_failure(c, order, STAGE_CAPABILITIES, EPERM);
	end_scenario(c);
}

static void a_mask_has_its_bound(struct client *c)
{
	static const uint8_t mask[START_PROCESSORS_MAX + 1] = {1};
	attach(c);
	struct order order = {.key = "w", .path = self_path, .argv = {"w"}, .flags = START_PROCESSORS, .processors = {mask, sizeof mask}};
	CHECK_EQUAL(spawn_order(c, &order), EBADMSG);
	order.flags = START_FLAGS + 1;
	CHECK_EQUAL(spawn_order(c, &order), EBADMSG);
	end_scenario(c);
}

static void who_may_not_is_told_so(struct client *c)
{
	attach(c);
	check_failure(c, (struct order){.flags = START_CAPABILITIES, .capabilities = bit(NET_BIND)}, STAGE_CAPABILITIES, EPERM);
	check_failure(c, (struct order){.flags = START_BOUNDING, .bounding = bit(NET_BIND)}, STAGE_CAPABILITIES, EPERM);
	check_failure(c, (struct order){.flags = START_IO_PRIORITY, .io_priority = 1 << 13}, STAGE_IO_PRIORITY, EPERM);
	check_failure(c, (struct order){.flags = START_POLICY, .policy = SCHED_FIFO, .policy_priority = 1}, STAGE_SCHEDULING, EPERM);
	end_scenario(c);
}

static void an_armed_start_has_it_too(struct client *c)
{
	int ends[2];
	char said[16] = "";
	attach(c);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_EQUAL(hold(c, "s", text(""), false, ends, 1), 0);
	struct order order = {.key = "w", .path = "/bin/sh", .argv = {"sh", "-c", "grep -q \"CapAmb:.0*400$\" /proc/self/status && printf yes"},
			      .identity = true, .uid = 12345, .gid = 12345, .flags = START_CAPABILITIES | START_BOUNDING};
	order.capabilities = order.bounding = bit(NET_BIND);
	order.map_count = 1;
	order.map[0].target = 1;
	order.map[0].held = "s";
	CHECK_EQUAL(arm_order(c, &order, "s", NULL), 0);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK_EQUAL(wait_child(c, "w", 3).status, 0);
	CHECK_EQUAL(read(ends[1], said, sizeof said), 3);
	CHECK_EQUAL(strcmp(said, "yes"), 0);
	CHECK_EQUAL(acknowledge(c, "w"), 0);
	CHECK_EQUAL(release(c, "s"), 0);
	close(ends[0]);
	close(ends[1]);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "a user gets exactly the capabilities that were asked for", .run = a_user_gets_exactly_what_was_asked, .needs_root = true},
	{.name = "root is cut down to them", .run = root_is_cut_down_to_it, .needs_root = true},
	{.name = "processors and priorities are as asked", .run = it_has_its_turn_as_asked},
	{.name = "what does not exist is told with its stage", .run = what_does_not_exist_is_told, .needs_root = true},
	{.name = "a mask has its bound", .run = a_mask_has_its_bound},
	{.name = "who may not is told so", .run = who_may_not_is_told_so, .unprivileged = true},
	{.name = "an armed start has them too", .run = an_armed_start_has_it_too, .needs_root = true},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
