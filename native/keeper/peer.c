#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum { SOURCE_UNKNOWN = 0, SOURCE_IPV4 = 4, SOURCE_IPV6 = 6, SOURCE_USER = 1 };

union address {
	struct sockaddr head;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage any;
};

static char *next_variable(struct peer *p)
{
	return p->variables[p->variable_count++];
}

static void describe_internet(struct peer *p, const char *address, uint16_t port, bool bracketed)
{
	const char *format = bracketed ? "[%.45s]:%u" : "%.45s:%u";
	snprintf(p->name, sizeof p->name, format, address, (unsigned)ntohs(port));
	snprintf(next_variable(p), sizeof p->variables[0], "REMOTE_ADDR=%.64s", address);
	snprintf(next_variable(p), sizeof p->variables[0], "REMOTE_PORT=%u", (unsigned)ntohs(port));
}

/* An IPv4 client of a socket for both families is shown as what it is. */
static void describe_in6(struct peer *p, const struct sockaddr_in6 *in6)
{
	char text[INET6_ADDRSTRLEN] = "";
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], text, sizeof text);
		describe_internet(p, text, in6->sin6_port, false);
		return;
	}
	inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
	describe_internet(p, text, in6->sin6_port, true);
	if (in6->sin6_scope_id != 0)
		snprintf(p->variables[0], sizeof p->variables[0], "REMOTE_ADDR=%s%%%u", text, (unsigned)in6->sin6_scope_id);
}

static void describe_unix(struct peer *p, int fd, const struct sockaddr_un *un, socklen_t length)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof peer;
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	snprintf(p->name, sizeof p->name, "uid:%u", (unsigned)peer.uid);
	size_t bytes = length > offsetof(struct sockaddr_un, sun_path) ? length - offsetof(struct sockaddr_un, sun_path) : 0;
	if (bytes == 0)
		return;
	bool is_abstract = un->sun_path[0] == '\0';
	const char *name = un->sun_path + is_abstract;
	int most = (int)(bytes - is_abstract);
	snprintf(next_variable(p), sizeof p->variables[0], "REMOTE_ADDR=%s%.*s", is_abstract ? "@" : "", most, name);
}

bool peer_describe(int fd, struct peer *p)
{
	union address address;
	socklen_t length = sizeof address;
	uint64_t cookie;
	socklen_t cookie_size = sizeof cookie;
	p->variable_count = 0;
	memset(&address, 0, sizeof address);
	if (getpeername(fd, &address.head, &length) != 0)
		return false;
	if (address.head.sa_family == AF_INET) {
		char text[INET_ADDRSTRLEN] = "";
		inet_ntop(AF_INET, &address.in.sin_addr, text, sizeof text);
		describe_internet(p, text, address.in.sin_port, false);
	} else if (address.head.sa_family == AF_INET6) {
		describe_in6(p, &address.in6);
	} else {
		describe_unix(p, fd, &address.un, length);
	}
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_size) == 0)
		snprintf(next_variable(p), sizeof p->variables[0], "SO_COOKIE=%llu", (unsigned long long)cookie);
	return true;
}

static void keep_bits(uint8_t *bytes, size_t count, unsigned prefix)
{
	for (size_t i = 0; i < count; i++) {
		unsigned bits = prefix > i * 8 ? prefix - (unsigned)i * 8 : 0;
		bytes[i] = (uint8_t)(bytes[i] & (bits >= 8 ? 0xffU : 0xff00U >> bits));
	}
}

struct source source_of_peer(struct bytes peer, uint8_t prefix4, uint8_t prefix6)
{
	struct source source = {.kind = SOURCE_UNKNOWN};
	char text[PEER_MAX];
	unsigned uid;
	size_t length = peer.length < sizeof text ? peer.length : sizeof text - 1;
	memcpy(text, peer.at, length);
	text[length] = '\0';
	if (sscanf(text, "uid:%u", &uid) == 1) {
		source.kind = SOURCE_USER;
		memcpy(source.bytes, &uid, sizeof uid);
		return source;
	}
	char *port = strrchr(text, ':');
	if (port == NULL)
		return source;
	*port = '\0';
	if (text[0] == '[' && port[-1] == ']') {
		port[-1] = '\0';
		if (inet_pton(AF_INET6, text + 1, source.bytes) == 1)
			source.kind = SOURCE_IPV6;
		keep_bits(source.bytes, 16, prefix6);
	} else if (inet_pton(AF_INET, text, source.bytes) == 1) {
		source.kind = SOURCE_IPV4;
		keep_bits(source.bytes, 4, prefix4);
	}
	return source;
}

bool source_is(struct source a, struct source b)
{
	return a.kind == b.kind && memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

void peer_add_variables(struct peer *p, uint64_t number, struct start *start)
{
	static const char name[] = "INVOCATION_ID=";
	static char invocation[128];
	for (size_t i = 0; i < start->environment_count; i++) {
		if (strncmp(start->environment[i], name, sizeof name - 1) != 0)
			continue;
		snprintf(invocation, sizeof invocation, "%.96s%016llx", start->environment[i], (unsigned long long)number);
		start->environment[i] = invocation;
	}
	for (size_t i = 0; i < p->variable_count; i++)
		start->environment[start->environment_count++] = p->variables[i];
	start->environment[start->environment_count] = NULL;
}
