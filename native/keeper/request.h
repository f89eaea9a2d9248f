/* What the supervisor asks for: one frame, decoded in place and checked as far as it can be without the tables. */
#ifndef HOLDFAST_REQUEST_H
#define HOLDFAST_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acceptor_limits.h"
#include "frame.h"
#include "start.h"

enum request_type {
	REQUEST_ATTACH = 1,
	REQUEST_HOLD = 2,
	REQUEST_RELEASE = 3,
	REQUEST_LIST = 4,
	REQUEST_FETCH = 5,
	REQUEST_TAG = 6,
	REQUEST_SPAWN = 7,
	REQUEST_ARM = 8,
	REQUEST_DISARM = 9,
	REQUEST_SIGNAL = 10,
	REQUEST_ACKNOWLEDGE = 11,
	REQUEST_HEARTBEAT = 12,
	REQUEST_SHUT_DOWN = 13,
	REQUEST_QUIESCE = 14,
	REQUEST_RESUME = 15,
	REQUEST_SHUT = 16,
	REQUEST_TAKE = 17,
	REQUEST_SETTLE = 18,
	REQUEST_REEXEC = 19,
	REQUEST_ADOPT = 20,
	REQUEST_HANDED_OVER = 21,
	REQUEST_UPGRADE = 22,
	REQUEST_REPORT = 23,
	REQUEST_CEDE = 24,
	REQUEST_MOVE = 25,
};

enum table_name { TABLE_HELD = 0, TABLE_CHILDREN = 1, TABLE_ARMS = 2, TABLE_COUNT = 3 };

enum attach_mode { ATTACH_LEASE = 0, ATTACH_SHADOW = 1 };

enum feature { FEATURE_REEXEC = 1, FEATURE_HAND_OVER = 2, FEATURE_ACCEPT = 4, FEATURES = 7 };

enum { REPORT_WORDS_MAX = 4096 };

enum trigger { TRIGGER_READABLE = 1, TRIGGER_CONNECTION = 2 };

/* What the program that is to be the supervisor says of itself (successor.h). */
enum report { REPORT_WILLING = 0, REPORT_UNWILLING = 1, REPORT_HAS_ALL = 2, REPORT_SERVES = 3 };

/* What `adopt` says of a process, in place of what we would have seen ourselves. Fields as in struct child. */
struct adopted {
	uint8_t state;
	uint8_t by;
	int32_t pid;
	uint64_t started, ended;
	int32_t wait_status;
	uint8_t stage;
	int32_t error;
	uint64_t signals, user_us, system_us, max_rss;
};

/* Fields that a type does not have are zero. */
struct request {
	enum request_type type;
	struct bytes key;              /* of list: the cursor, which may be empty */
	struct bytes tag;
	enum table_name table;
	uint16_t lowest_version, highest_version;
	uint32_t features;             /* bits of enum feature; others have no meaning yet */
	enum attach_mode mode;
	bool replace;
	int32_t signal;
	int32_t pid;                   /* of the process whose pidfd is the frame's first descriptor */
	uint32_t heartbeat_ms;
	const char *path;              /* absolute, or empty */
	uint8_t exit_code;
	uint16_t index;                /* of a kept descriptor */
	struct adopted adopted;
	uint32_t supervisors;          /* how many there were before */
	uint32_t within_ms;            /* for each part of an upgrade */
	size_t argument_count;
	struct bytes arguments;        /* encoded strings, one after the other; checked, at least one */
	enum report report;
	const char *words;
	bool cede;                     /* else: nothing comes of it */
	uint64_t nofile;               /* soft limit of descriptors for what is started; 0 = our own */
	struct bytes start;            /* the bytes of `start` that follow its key and tag; decoded in the caller's struct start */
	enum trigger trigger;
	struct acceptor_limits acceptor; /* of an arm for connections */
	struct bytes watched;          /* encoded keys, one after the other; checked, at least one */
	size_t registration_count;
	struct bytes registrations;    /* encoded, one after the other; checked, at least one */
	size_t connection_count;
	struct bytes connections;      /* the same of those to shut */
};

/*
 * Decodes the payload of a frame whose header is `type` and that brings `frame_fds` descriptors. `start` is filled for
 * spawn and arm, and like `request` points into `payload`. Pure. Returns 0, or EPROTO (unknown type) or EBADMSG with the
 * offset where decoding stopped in `*place`.
 */
int request_decode(uint16_t type, struct bytes payload, size_t frame_fds, struct request *request, struct start *start,
		   uint32_t *place);

#endif
