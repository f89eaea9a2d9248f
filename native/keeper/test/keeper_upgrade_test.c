/* Another program of the supervisor is tried as a shadow, gets the lease or does not, and the one before is there when it is needed. */
#define _GNU_SOURCE
#include "harness.h"

enum { WITHIN_MS = 20000, IS_LEASE = 195 };

struct tried {
	uint8_t result;
	int32_t detail;
	char words[256];
};

static struct writer upgrade_payload(uint32_t within_ms, const char *path, const char *role)
{
	struct writer w = payload();
	writer_u32(&w, within_ms);
	writer_u16(&w, role == NULL ? 1 : 3);
	write_string(&w, path);
	if (role != NULL) {
		write_string(&w, "--shadow");
		write_string(&w, role);
	}
	return w;
}

static struct tried wait_tried(struct client *c, uint32_t id)
{
	struct tried tried = {0};
	struct frame frame = receive_reply(c, id);
	CHECK_EQUAL(frame_error(&frame), 0);
	struct reader r = frame_reader(&frame);
	tried.result = reader_u8(&r);
	tried.detail = reader_i32(&r);
	snprintf(tried.words, sizeof tried.words, "%s", reader_string(&r));
	CHECK(reader_done(&r));
	frame_free(&frame);
	return tried;
}

static struct tried try_program(struct client *c, uint32_t within_ms, const char *path, const char *role)
{
	return wait_tried(c, post(c, REQUEST_UPGRADE, upgrade_payload(within_ms, path, role), NULL, 0, 0));
}

static int cede(struct client *c, bool really)
{
	struct writer w = payload();
	writer_u8(&w, really);
	return call_error(c, REQUEST_CEDE, w, NULL, 0);
}

static int report(struct client *c, uint8_t what, const char *words)
{
	struct writer w = payload();
	writer_u8(&w, what);
	write_string(&w, words);
	return call_error(c, REQUEST_REPORT, w, NULL, 0);
}

static void wait_alone(void)
{
	while (count_children(getppid(), getpid()) != 0)
		usleep(1000);
}

/* What a shadow does, by its role. The keeper starts it with the same words once it is the supervisor. */

static int call_text(struct client *c, uint16_t type, const char *string)
{
	struct writer w = payload();
	write_string(&w, string);
	return call_error(c, type, w, NULL, 0);
}

static void look(struct client *c)
{
	struct hello hello;
	struct frame frame;
	struct record r;
	CHECK_EQUAL(call_key(c, REQUEST_RELEASE, "e"), ENOTCONN);
	CHECK_EQUAL(try_attach(c, 1, 1, 1, &hello), 0);
	CHECK_EQUAL(hello.starts, 1);
	CHECK_EQUAL(list_all(c, TABLE_HELD, NULL), 1);
	CHECK_EQUAL(list_all(c, TABLE_CHILDREN, NULL), 0);
	CHECK_EQUAL(fetch(c, TABLE_HELD, "e", &frame, &r), 0);
	frame_free(&frame);
}

static void touch_nothing(struct client *c)
{
	struct order order = {.key = "w", .path = "/bin/true", .argv = {"true"}};
	CHECK_EQUAL(hold(c, "f", text(""), false, NULL, 0), EPERM);
	CHECK_EQUAL(release(c, "e"), EPERM);
	CHECK_EQUAL(set_tag(c, TABLE_HELD, "e", text("y")), EPERM);
	CHECK_EQUAL(spawn_order(c, &order), EPERM);
	CHECK_EQUAL(arm_order(c, &order, "e", NULL), EPERM);
	CHECK_EQUAL(call_key(c, REQUEST_DISARM, "w"), EPERM);
	CHECK_EQUAL(send_signal(c, "w", SIGTERM), EPERM);
	CHECK_EQUAL(acknowledge(c, "w"), EPERM);
	CHECK_EQUAL(heartbeat(c, 1), EPERM);
	CHECK_EQUAL(shut_down(c, 1), EPERM);
	CHECK_EQUAL(handed_over(c, 1, 0), EPERM);
	CHECK_EQUAL(call_text(c, REQUEST_REEXEC, ""), EPERM);
	CHECK_EQUAL(call_error(c, REQUEST_UPGRADE, upgrade_payload(1, "/bin/true", NULL), NULL, 0), EPERM);
	CHECK_EQUAL(cede(c, true), EPERM);
	CHECK_EQUAL(report(c, REPORT_HAS_ALL, ""), EPERM);
	CHECK_EQUAL(report(c, REPORT_SERVES, ""), EPERM);
}

static void wait_for_lease(struct client *c)
{
	look(c);
	CHECK_EQUAL(report(c, REPORT_WILLING, ""), 0);
	struct frame event = next_event(c);
	CHECK_EQUAL(event.header.type, IS_LEASE);
	frame_free(&event);
}

static _Noreturn void shadow(const char *role)
{
	static struct client client;
	struct client *c = &client;
	bool is_shadow = getenv("HOLDFAST_KEEPER_MODE") != NULL;
	client_open(c);
	if (strcmp(role, "looks") == 0) {
		look(c);
		touch_nothing(c);
		CHECK_EQUAL(report(c, REPORT_WILLING, ""), 0);
		CHECK_EQUAL(report(c, REPORT_WILLING, ""), EPERM);
	} else if (strcmp(role, "refuses") == 0) {
		look(c);
		CHECK_EQUAL(report(c, REPORT_UNWILLING, "it would end w"), 0);
		_exit(3);
	} else if (strcmp(role, "hangs") == 0) {
		look(c);
	} else if (strcmp(role, "old") == 0) {
		struct hello hello;
		CHECK_EQUAL(try_attach(c, 1, 1, 0, &hello), EBUSY);
		_exit(4);
	} else if (strcmp(role, "newer") == 0) {
		struct hello hello;
		CHECK_EQUAL(try_attach(c, 2, 3, 1, &hello), EPROTONOSUPPORT);
		_exit(5);
	} else if (strcmp(role, "dies") == 0) {
		wait_for_lease(c);
		die();
	} else if (strcmp(role, "never attaches") == 0) {
		wait_for_lease(c);
	} else if (is_shadow) { /* "leads" */
		wait_for_lease(c);
		CHECK_EQUAL(attach(c).starts, 2);
		CHECK_EQUAL(report(c, REPORT_SERVES, ""), EPERM);
		CHECK_EQUAL(report(c, REPORT_HAS_ALL, ""), 0);
		CHECK_EQUAL(hold(c, "f", text("by it"), false, NULL, 0), 0);
		CHECK_EQUAL(report(c, REPORT_SERVES, ""), 0);
		CHECK_EQUAL(report(c, REPORT_SERVES, ""), EPERM);
		CHECK_EQUAL(call_text(c, REQUEST_REEXEC, ""), 0);
		wait_alone();
		die();
	} else {
		struct hello hello = attach(c);
		CHECK(hello.starts == 3 && hello.why == 2 && hello.detail == SIGKILL);
		CHECK_EQUAL(release(c, "e"), 0);
		CHECK_EQUAL(release(c, "f"), 0);
		end_scenario(c);
	}
	for (;;)
		pause();
}

/* The one in charge. */

static void begin(struct client *c)
{
	CHECK_EQUAL(attach(c).starts, 1);
	CHECK_EQUAL(hold(c, "e", text("x"), false, NULL, 0), 0);
}

static void finish(struct client *c)
{
	wait_alone();
	CHECK_EQUAL(release(c, "e"), 0);
	end_scenario(c);
}

static void a_shadow_looks_and_touches_nothing(struct client *c)
{
	begin(c);
	CHECK_EQUAL(try_program(c, WITHIN_MS, self_path, "looks").result, 0);
	CHECK_EQUAL(call_error(c, REQUEST_UPGRADE, upgrade_payload(WITHIN_MS, self_path, "looks"), NULL, 0), EBUSY);
	CHECK_EQUAL(call_text(c, REQUEST_REEXEC, ""), EBUSY);
	CHECK_EQUAL(cede(c, false), 0);
	CHECK_EQUAL(cede(c, true), ESRCH);
	finish(c);
}

static void check_tried(struct tried tried, uint8_t result, int32_t detail)
{
	CHECK_EQUAL(tried.result, result);
	CHECK_EQUAL(tried.detail, detail);
}

static void one_that_cannot_is_refused_for_its_reason(struct client *c)
{
	begin(c);
	check_tried(try_program(c, WITHIN_MS, "/nowhere", NULL), 1, ENOENT);
	check_tried(try_program(c, WITHIN_MS, "/bin/false", NULL), 2, 1);
	check_tried(try_program(c, 200, self_path, "hangs"), 4, 200);
	struct tried refused = try_program(c, WITHIN_MS, self_path, "refuses");
	check_tried(refused, 5, 0);
	CHECK_EQUAL(strcmp(refused.words, "it would end w"), 0);
	check_tried(try_program(c, WITHIN_MS, self_path, "newer"), 6, 3);
	check_tried(try_program(c, WITHIN_MS, self_path, "old"), 7, 0);
	CHECK_EQUAL(call_error(c, REQUEST_UPGRADE, upgrade_payload(WITHIN_MS, "true", NULL), NULL, 0), EBADMSG);
	CHECK_EQUAL(call_error(c, REQUEST_UPGRADE, upgrade_payload(0, "/bin/true", NULL), NULL, 0), EBADMSG);
	CHECK_EQUAL(cede(c, true), ESRCH);
	finish(c);
}

static void one_that_is_willing_gets_the_lease_and_stays_the_program(struct client *c)
{
	begin(c);
	CHECK_EQUAL(try_program(c, WITHIN_MS, self_path, "leads").result, 0);
	CHECK_EQUAL(cede(c, true), 0);
	for (;;)
		pause(); /* whoever does not end is ended */
}

static void one_that_ends_with_the_lease_has_the_program_before_started_again(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		CHECK_EQUAL(hold(c, "e", text("x"), false, NULL, 0), 0);
		CHECK_EQUAL(try_program(c, WITHIN_MS, self_path, "dies").result, 0);
		CHECK_EQUAL(cede(c, true), ESRCH);
		_exit(0);
	}
	CHECK(hello.starts == 3 && hello.why == 2 && hello.detail == SIGKILL);
	finish(c);
}

static void one_that_hangs_with_the_lease_is_killed(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		CHECK_EQUAL(hold(c, "e", text("x"), false, NULL, 0), 0);
		CHECK_EQUAL(try_program(c, 1500, self_path, "never attaches").result, 0);
		CHECK_EQUAL(cede(c, true), ESRCH);
		_exit(0);
	}
	CHECK(hello.starts == 3 && hello.why == 3);
	finish(c);
}

static void the_end_of_the_one_in_charge_ends_a_shadow(struct client *c)
{
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		CHECK_EQUAL(hold(c, "e", text("x"), false, NULL, 0), 0);
		CHECK_EQUAL(try_program(c, WITHIN_MS, self_path, "looks").result, 0);
		die();
	}
	CHECK_EQUAL(hello.starts, 2);
	finish(c);
}

static void the_end_of_everything_ends_a_shadow(struct client *c)
{
	begin(c);
	CHECK_EQUAL(try_program(c, WITHIN_MS, self_path, "looks").result, 0);
	CHECK_EQUAL(shut_down(c, 17), 0);
	CHECK_EQUAL(call_error(c, REQUEST_UPGRADE, upgrade_payload(WITHIN_MS, self_path, "looks"), NULL, 0), ESHUTDOWN);
	CHECK_EQUAL(cede(c, true), ESRCH);
	_exit(0);
}

static const struct scenario scenarios[] = {
	{.name = "a shadow looks and touches nothing", .run = a_shadow_looks_and_touches_nothing},
	{.name = "one that cannot is refused for its reason", .run = one_that_cannot_is_refused_for_its_reason},
	{.name = "one that is willing gets the lease and stays the program", .run = one_that_is_willing_gets_the_lease_and_stays_the_program,
	 .says = "was killed by SIGKILL; started again in"},
	{.name = "one that ends with the lease has the program before started again",
	 .run = one_that_ends_with_the_lease_has_the_program_before_started_again,
	 .says = "the one before is started again"},
	{.name = "one that hangs with the lease is killed", .run = one_that_hangs_with_the_lease_is_killed,
	 .says = "did not attach in time and was killed"},
	{.name = "the end of the one in charge ends a shadow", .run = the_end_of_the_one_in_charge_ends_a_shadow,
	 .says = "was killed by SIGKILL"},
	{.name = "the end of everything ends a shadow", .run = the_end_of_everything_ends_a_shadow, .exit_code = 17},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--shadow") == 0) {
		ssize_t length = readlink("/proc/self/exe", self_path, sizeof self_path - 1);
		self_path[length < 0 ? 0 : length] = '\0';
		shadow(argv[2]);
	}
	return test_main(scenarios, argc, argv);
}
