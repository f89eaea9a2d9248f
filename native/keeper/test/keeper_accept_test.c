/* Arms for connections: what their processes get, every limit, and that nothing is forgotten by a re-exec, a replacement or a lost supervisor. */
#define _GNU_SOURCE
#include "harness.h"

#include <netinet/in.h>
#include <sys/un.h>

#include "../acceptor.h"
#include "../child.h"
#include "../peer.h"
#include "reexec_request.h"

struct said {
	uint8_t phase;
	uint64_t until, accepted, refused, refused_source, vanished;
	uint32_t alive;
};

static const struct acceptor_limits plenty = {.most = 64, .prefix4 = 32, .prefix6 = 64};

static int accept_order(struct client *c, const char *key, const char *script, const char *listener, struct acceptor_limits limits)
{
	struct order order = {.key = key, .tag = text("a tag"), .path = "/bin/sh", .argv = {"sh", "-c", script}};
	struct writer w = payload();
	order.env[0] = "INVOCATION_ID=0123456789abcdef";
	order.map_count = 3;
	for (uint32_t i = 0; i < 3; i++) {
		order.map[i].target = i;
		order.map[i].connection = true;
	}
	write_start(&w, &order);
	writer_u8(&w, TRIGGER_CONNECTION);
	writer_u16(&w, 1);
	writer_key(&w, text(listener));
	writer_u32(&w, limits.most);
	writer_u32(&w, limits.most_per_source);
	writer_u8(&w, limits.prefix4);
	writer_u8(&w, limits.prefix6);
	writer_u8(&w, limits.refuse);
	writer_u32(&w, limits.burst);
	writer_u32(&w, limits.interval_ms);
	writer_u64(&w, limits.after);
	return call_error(c, REQUEST_ARM, w, NULL, 0);
}

static struct said read_news(const struct frame *frame)
{
	struct reader r = frame_reader(frame);
	struct said news;
	(void)reader_key(&r);
	news.phase = reader_u8(&r);
	news.until = reader_u64(&r);
	news.alive = reader_u32(&r);
	news.accepted = reader_u64(&r);
	news.refused = reader_u64(&r);
	news.refused_source = reader_u64(&r);
	news.vanished = reader_u64(&r);
	CHECK(reader_done(&r));
	return news;
}

/* The first news that fit; those before are let go, children are put aside. */
static struct said wait_news(struct client *c, bool (*fit)(const struct said *news))
{
	for (size_t i = 0;; i++) {
		if (i == c->event_count) {
			CHECK(c->event_count < EVENTS_MAX);
			c->events[c->event_count++] = receive(c);
		}
		if (c->events[i].header.type != 194)
			continue;
		struct frame event = take_event(c, i--);
		struct said news = read_news(&event);
		frame_free(&event);
		if (fit(&news))
			return news;
	}
}

static bool is_full(const struct said *news)
{
	return news->phase == ACCEPTOR_FULL;
}

static bool is_paused(const struct said *news)
{
	return news->phase == ACCEPTOR_PAUSED;
}

static bool goes_on(const struct said *news)
{
	return news->phase == ACCEPTOR_ACCEPTING;
}

static bool has_refused_two(const struct said *news)
{
	return news->refused + news->refused_source == 2;
}

static bool has_accepted_two(const struct said *news)
{
	return news->accepted == 2;
}

/* A socket of this family that listens, held under "listener"; where it is, in `address`. */
static socklen_t listen_held(struct client *c, int family, struct sockaddr_storage *address)
{
	socklen_t length = sizeof *address, bound = sizeof(sa_family_t); /* of AF_UNIX: a name that the kernel picks */
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memset(address, 0, sizeof *address);
	address->ss_family = (sa_family_t)family;
	if (family == AF_INET) {
		((struct sockaddr_in *)address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		bound = sizeof(struct sockaddr_in);
	} else if (family == AF_INET6) {
		int off = 0;
		CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
		bound = sizeof(struct sockaddr_in6);
	}
	CHECK(bind(fd, (struct sockaddr *)address, bound) == 0 && listen(fd, 64) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	CHECK_EQUAL(hold(c, "listener", text(""), false, &fd, 1), 0);
	close(fd);
	return length;
}

static int connect_to(const struct sockaddr_storage *address, socklen_t length)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(fd, (const struct sockaddr *)address, length) == 0);
	return fd;
}

/* What comes next; empty: the end, or a reset. */
static const char *read_some(int fd)
{
	static char bytes[256];
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	CHECK_EQUAL(poll(&readable, 1, PATIENCE_MS), 1);
	ssize_t count = read(fd, bytes, sizeof bytes - 1);
	bytes[count < 0 ? 0 : count] = '\0';
	return bytes;
}

static bool is_waiting(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	return poll(&readable, 1, 0) == 0;
}

/* The end of a process whose key begins so; whatever else is told is put aside, or was about it. */
static struct record wait_end(struct client *c, const char *prefix)
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
		if (strncmp(record.key, prefix, strlen(prefix)) != 0)
			continue;
		struct frame event = take_event(c, i--);
		frame_free(&event);
		record.tag = (struct bytes){NULL, 0};
		if (record.state >= 3)
			return record;
	}
}

static void end_of(struct client *c, const char *prefix)
{
	struct record record = wait_end(c, prefix);
	CHECK_EQUAL(record.state, 3);
	CHECK_EQUAL(record.by, BY_ARM | BY_CONNECTION);
	CHECK_EQUAL(acknowledge(c, record.key), 0);
}

static void finish(struct client *c)
{
	CHECK_EQUAL(call_key(c, REQUEST_DISARM, "a"), 0);
	CHECK_EQUAL(release(c, "listener"), 0);
	end_scenario(c);
}

static void each_connection_gets_a_process_that_knows_its_peer(struct client *c)
{
	struct sockaddr_storage address, own;
	socklen_t own_length = sizeof own;
	char wanted[128], key[128];
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	limits.after = 9;
	CHECK_EQUAL(accept_order(c, "a", "echo $REMOTE_ADDR $REMOTE_PORT $INVOCATION_ID ${SO_COOKIE:+cookie}", "listener", limits), 0);
	for (int number = 10; number < 12; number++) {
		int fd = connect_to(&address, length);
		CHECK(getsockname(fd, (struct sockaddr *)&own, &own_length) == 0);
		unsigned port = ntohs(((struct sockaddr_in *)&own)->sin_port);
		snprintf(wanted, sizeof wanted, "127.0.0.1 %u 0123456789abcdef%016x cookie\n", port, (unsigned)number);
		CHECK(strcmp(read_some(fd), wanted) == 0);
		CHECK(strcmp(read_some(fd), "") == 0); /* the keeper has not kept it open */
		snprintf(key, sizeof key, "a/%d/127.0.0.1:%u", number, port);
		struct record record = wait_child(c, key, 3);
		CHECK_EQUAL(record.by, BY_ARM | BY_CONNECTION);
		CHECK_EQUAL(acknowledge(c, key), 0);
		close(fd);
	}
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 1);
	finish(c);
}

static void unix_peers_are_users(struct client *c)
{
	struct sockaddr_storage address;
	struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = "\0holdfast-accept-test"};
	char key[64];
	attach(c);
	socklen_t length = listen_held(c, AF_UNIX, &address);
	CHECK_EQUAL(accept_order(c, "a", "echo $REMOTE_ADDR.", "listener", plenty), 0);
	int fd = connect_to(&address, length);
	CHECK(strcmp(read_some(fd), ".\n") == 0);
	snprintf(key, sizeof key, "a/1/uid:%u", (unsigned)getuid());
	wait_child(c, key, 3);
	CHECK_EQUAL(acknowledge(c, key), 0);
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(bind(fd, (struct sockaddr *)&named, (socklen_t)(sizeof(sa_family_t) + 21)) == 0);
	CHECK(connect(fd, (struct sockaddr *)&address, length) == 0);
	CHECK(strcmp(read_some(fd), "@holdfast-accept-test.\n") == 0);
	end_of(c, "a/2/");
	close(fd);
	finish(c);
}

static void at_its_limit_connections_wait(struct client *c)
{
	struct sockaddr_storage address;
	int fds[3];
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	limits.most = 2;
	CHECK_EQUAL(accept_order(c, "a", "echo hi; read line", "listener", limits), 0);
	for (int i = 0; i < 3; i++)
		fds[i] = connect_to(&address, length);
	CHECK(strcmp(read_some(fds[0]), "hi\n") == 0 && strcmp(read_some(fds[1]), "hi\n") == 0);
	CHECK_EQUAL(wait_news(c, is_full).alive, 2);
	CHECK(is_waiting(fds[2]));
	close(fds[0]);
	CHECK(strcmp(read_some(fds[2]), "hi\n") == 0);
	close(fds[1]);
	close(fds[2]);
	for (int i = 0; i < 3; i++)
		end_of(c, "a/");
	finish(c);
}

static void or_are_refused(struct client *c)
{
	struct sockaddr_storage address;
	int fds[3];
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	limits.most = 1;
	limits.refuse = true;
	CHECK_EQUAL(accept_order(c, "a", "echo hi; read line", "listener", limits), 0);
	fds[0] = connect_to(&address, length);
	CHECK(strcmp(read_some(fds[0]), "hi\n") == 0);
	for (int i = 1; i < 3; i++) {
		fds[i] = connect_to(&address, length);
		CHECK(strcmp(read_some(fds[i]), "") == 0);
		close(fds[i]);
	}
	CHECK_EQUAL(wait_news(c, has_refused_two).accepted, 1);
	close(fds[0]);
	end_of(c, "a/");
	int fd = connect_to(&address, length);
	CHECK(strcmp(read_some(fd), "hi\n") == 0);
	close(fd);
	end_of(c, "a/");
	finish(c);
}

/* One network of loopback addresses has one, the next one has its own. */
static void sources_are_counted(struct client *c)
{
	struct sockaddr_storage address;
	int fds[4];
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	limits.most_per_source = 1;
	limits.prefix4 = 24;
	CHECK_EQUAL(accept_order(c, "a", "echo hi; read line", "listener", limits), 0);
	static const uint8_t networks[] = {1, 1, 1, 2};
	for (uint8_t i = 0; i < 4; i++) {
		struct sockaddr_in from = {.sin_family = AF_INET,
					   .sin_addr.s_addr = htonl(0x7f000000U | (uint32_t)networks[i] << 8 | (i + 1U))};
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(bind(fds[i], (struct sockaddr *)&from, sizeof from) == 0);
		CHECK(connect(fds[i], (struct sockaddr *)&address, length) == 0);
		CHECK(strcmp(read_some(fds[i]), i == 1 || i == 2 ? "" : "hi\n") == 0);
	}
	CHECK_EQUAL(wait_news(c, has_refused_two).refused_source, 2);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	end_of(c, "a/");
	end_of(c, "a/");
	finish(c);
}

static bool are_one_source(const char *one, const char *other, uint8_t prefix6)
{
	return source_is(source_of_peer(text(one), 32, prefix6), source_of_peer(text(other), 32, prefix6));
}

static void a_network_of_ipv6_is_one_source(struct client *c)
{
	attach(c);
	CHECK(are_one_source("[2001:db8:1:2::7]:80", "[2001:db8:1:2:ffff::8]:81", 64));
	CHECK(!are_one_source("[2001:db8:1:2::7]:80", "[2001:db8:1:3::7]:80", 64));
	CHECK(are_one_source("[2001:db8:1:2::7]:80", "[2001:db8:1:3::7]:80", 56));
	CHECK(are_one_source("[2001:db8::7]:80", "[2001:db8::7]:81", 128));
	CHECK(!are_one_source("[2001:db8::7]:80", "[2001:db8::6]:80", 128));
	CHECK(!are_one_source("[::]:80", "0.0.0.0:80", 1));
	end_scenario(c);
}

static void an_ipv4_client_of_a_socket_for_both_is_shown_as_what_it_is(struct client *c)
{
	struct sockaddr_storage address;
	attach(c);
	listen_held(c, AF_INET6, &address);
	CHECK_EQUAL(accept_order(c, "a", "echo $REMOTE_ADDR", "listener", plenty), 0);
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = ((struct sockaddr_in6 *)&address)->sin6_port,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
	CHECK(strcmp(read_some(fd), "127.0.0.1\n") == 0);
	end_of(c, "a/1/127.0.0.1:");
	close(fd);
	finish(c);
}

static void too_many_in_an_interval_wait_for_its_end(struct client *c)
{
	struct sockaddr_storage address;
	int fds[5];
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	limits.burst = 3;
	limits.interval_ms = 400;
	CHECK_EQUAL(accept_order(c, "a", "echo hi", "listener", limits), 0);
	for (int i = 0; i < 5; i++)
		fds[i] = connect_to(&address, length);
	struct said paused = wait_news(c, is_paused);
	CHECK_EQUAL(paused.accepted, 3);
	CHECK(paused.until != 0);
	wait_news(c, goes_on);
	for (int i = 0; i < 5; i++) {
		CHECK(strcmp(read_some(fds[i]), "hi\n") == 0);
		close(fds[i]);
		end_of(c, "a/");
	}
	finish(c);
}

static void a_replacement_keeps_what_runs_and_what_was_counted(struct client *c)
{
	struct sockaddr_storage address;
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	CHECK_EQUAL(accept_order(c, "a", "echo old; read line", "listener", limits), 0);
	int old = connect_to(&address, length);
	CHECK(strcmp(read_some(old), "old\n") == 0);
	limits.most = 1;
	CHECK_EQUAL(accept_order(c, "a", "echo new", "nothing", limits), ENOENT); /* and nothing has changed */
	CHECK_EQUAL(accept_order(c, "a", "echo new", "listener", limits), 0);
	int new = connect_to(&address, length);
	CHECK_EQUAL(wait_news(c, is_full).alive, 1);
	CHECK(is_waiting(new));
	close(old);
	CHECK(strcmp(read_some(new), "new\n") == 0);
	end_of(c, "a/1/");
	end_of(c, "a/2/");
	close(new);
	CHECK_EQUAL(wait_news(c, has_accepted_two).refused, 0);
	finish(c);
}

static void a_re_exec_forgets_nothing(struct client *c)
{
	struct sockaddr_storage address;
	attach(c);
	socklen_t length = listen_held(c, AF_INET, &address);
	struct acceptor_limits limits = plenty;
	limits.most = 1;
	CHECK_EQUAL(accept_order(c, "a", "echo hi; read line", "listener", limits), 0);
	int first = connect_to(&address, length);
	CHECK(strcmp(read_some(first), "hi\n") == 0);
	reexec_done(c, "", 1);
	int second = connect_to(&address, length);
	CHECK_EQUAL(wait_news(c, is_full).alive, 1);
	CHECK(is_waiting(second));
	close(first);
	CHECK(strcmp(read_some(second), "hi\n") == 0);
	close(second);
	end_of(c, "a/1/");
	end_of(c, "a/2/");
	finish(c);
}

/* Connections are made by a process that outlives the supervisor; the next one hears of each. */
static void it_goes_on_without_a_supervisor(struct client *c)
{
	struct sockaddr_storage address;
	struct hello hello = attach(c);
	if (hello.starts == 1) {
		socklen_t length = listen_held(c, AF_INET, &address);
		CHECK_EQUAL(accept_order(c, "a", "echo hi", "listener", plenty), 0);
		pid_t supervisor = getpid();
		if (fork() == 0) {
			kill(supervisor, SIGKILL);
			for (int i = 0; i < 2; i++) {
				int fd = connect_to(&address, length);
				CHECK(strcmp(read_some(fd), "hi\n") == 0);
				close(fd);
			}
			_exit(0);
		}
		for (;;)
			pause();
	}
	end_of(c, "a/1/");
	end_of(c, "a/2/");
	CHECK_EQUAL(wait_news(c, has_accepted_two).phase, ACCEPTOR_ACCEPTING);
	finish(c);
}

static void what_makes_no_sense_is_refused(struct client *c)
{
	struct sockaddr_storage address;
	struct order order = {.key = "s", .path = "/bin/true", .argv = {"true"}, .map_count = 1};
	struct acceptor_limits limits = plenty;
	char key[200];
	attach(c);
	listen_held(c, AF_INET, &address);
	order.map[0].connection = true;
	CHECK_EQUAL(spawn_order(c, &order), EBADMSG); /* nothing was accepted */
	CHECK_EQUAL(arm_order(c, &order, "listener", NULL), EBADMSG);
	limits.most = 0;
	CHECK_EQUAL(accept_order(c, "a", "true", "listener", limits), EBADMSG);
	limits.most = 8193;
	CHECK_EQUAL(accept_order(c, "a", "true", "listener", limits), EBADMSG);
	limits = plenty;
	limits.burst = 1; /* in no time */
	CHECK_EQUAL(accept_order(c, "a", "true", "listener", limits), EBADMSG);
	limits = plenty;
	limits.prefix4 = 33;
	CHECK_EQUAL(accept_order(c, "a", "true", "listener", limits), EBADMSG);
	memset(key, 'k', sizeof key);
	key[170] = '\0';
	CHECK_EQUAL(accept_order(c, key, "true", "listener", plenty), EINVAL);
	CHECK_EQUAL(list_all(c, TABLE_ARMS, NULL), 0);
	CHECK_EQUAL(release(c, "listener"), 0);
	end_scenario(c);
}

static const struct scenario scenarios[] = {
	{.name = "each connection gets a process that knows its peer", .run = each_connection_gets_a_process_that_knows_its_peer},
	{.name = "unix peers are users", .run = unix_peers_are_users},
	{.name = "at its limit connections wait", .run = at_its_limit_connections_wait},
	{.name = "or are refused", .run = or_are_refused},
	{.name = "sources are counted", .run = sources_are_counted},
	{.name = "a network of IPv6 is one source", .run = a_network_of_ipv6_is_one_source},
	{.name = "an IPv4 client of a socket for both is shown as what it is",
	 .run = an_ipv4_client_of_a_socket_for_both_is_shown_as_what_it_is},
	{.name = "too many in an interval wait for its end", .run = too_many_in_an_interval_wait_for_its_end},
	{.name = "a replacement keeps what runs and what was counted", .run = a_replacement_keeps_what_runs_and_what_was_counted},
	{.name = "a re-exec forgets nothing", .run = a_re_exec_forgets_nothing},
	{.name = "it goes on without a supervisor", .run = it_goes_on_without_a_supervisor},
	{.name = "what makes no sense is refused", .run = what_makes_no_sense_is_refused},
	{.name = NULL},
};

int main(int argc, char **argv)
{
	return test_main(scenarios, argc, argv);
}
