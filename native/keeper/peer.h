/* Who is at the other end of a connection that was accepted, in the words that its process gets and that the tables keep. */
#ifndef HOLDFAST_PEER_H
#define HOLDFAST_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "frame.h"
#include "start.h"

enum { PEER_MAX = 64, PEER_VARIABLES = 3 };

struct peer {
	char name[PEER_MAX]; /* 192.0.2.1:4711, [2001:db8::1]:4711 or uid:1000, for keys */
	size_t variable_count;
	char variables[PEER_VARIABLES][144]; /* REMOTE_ADDR, REMOTE_PORT and SO_COOKIE, as far as there are such */
};

/* Who counts as one: an IPv4 or IPv6 network, or a user. */
struct source {
	uint8_t kind;
	uint8_t bytes[16];
};

/* False: the other end has gone already. */
bool peer_describe(int fd, struct peer *peer);

/* Of the name of a peer; all that cannot be read are one. */
struct source source_of_peer(struct bytes peer, uint8_t prefix4, uint8_t prefix6);
bool source_is(struct source a, struct source b);

/*
 * Adds the variables, which must outlive the start, and completes INVOCATION_ID, if it is there: its value is followed by `number` as 16
 * hexadecimal digits, so that each process has one of its own.
 */
void peer_add_variables(struct peer *peer, uint64_t number, struct start *start);

#endif
