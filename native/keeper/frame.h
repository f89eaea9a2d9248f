/*
 * The primitive types of the wire, read and written within bounds.
 *
 * A reader is a pure function over bytes: it allocates nothing, keeps nothing, and what it returns points into the bytes
 * it was given. Its failure is sticky: after the first refusal every read answers with a zero value and moves nothing, so
 * that a decoder can be written as a straight line and look at `failed` where it matters. `at` then tells where it stopped.
 */
#ifndef HOLDFAST_FRAME_H
#define HOLDFAST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef PROTOCOL_VERSION
#define PROTOCOL_VERSION 1
#endif

enum {
	FRAME_MAX = 131072,    /* bytes, with the header */
	FRAME_HEADER = 12,     /* bytes */
	FRAME_FDS_MAX = 253,   /* SCM_MAX_FD of the kernel */
	KEY_MAX = 255,         /* bytes */
	TAG_MAX = 98304,       /* bytes */
};

/* Bytes of somebody else. */
struct bytes {
	const uint8_t *at;
	size_t length;
};

/* As memcmp(3), then the shorter one first: the order of every listing. */
int bytes_compare(struct bytes a, struct bytes b);

struct reader {
	const uint8_t *bytes;
	size_t length;
	size_t at;
	bool failed;
};

struct reader reader_over(struct bytes bytes);
void reader_refuse(struct reader *r);
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
int32_t reader_i32(struct reader *r);
struct bytes reader_key(struct reader *r);        /* 1 to KEY_MAX bytes */
struct bytes reader_cursor(struct reader *r);     /* a key that may be empty */
const char *reader_string(struct reader *r);      /* NUL-terminated in place; "" on failure */
struct bytes reader_tag(struct reader *r);
struct bytes reader_part(struct reader *r, size_t most); /* as a tag, with another bound */
bool reader_has_more(const struct reader *r);     /* something is left, nothing refused */
bool reader_done(const struct reader *r);         /* everything read, nothing refused */

struct header {
	uint8_t version;
	uint8_t flags;
	uint16_t type;
	uint32_t id;
	uint32_t length;
};

/* The first FRAME_HEADER bytes of a frame; the caller has checked that they are there. */
struct header header_decode(const uint8_t *frame);

/* Writes into a buffer of the caller; `failed` once something did not fit, and then nothing more is written. */
struct writer {
	uint8_t *bytes;
	size_t capacity;
	size_t at;
	bool failed;
};

void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_i32(struct writer *w, int32_t value);
void writer_key(struct writer *w, struct bytes key);
void writer_tag(struct writer *w, struct bytes tag);
void writer_string(struct writer *w, const char *string);
void writer_bytes(struct writer *w, struct bytes bytes); /* as they are, without their length */

/* Writes the header of a frame in front of the payload that a writer over `frame + FRAME_HEADER` has made. */
void header_encode(uint8_t *frame, uint16_t type, uint32_t id, size_t payload_length);

#endif
