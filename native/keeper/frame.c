#define _GNU_SOURCE
#include "frame.h"

#include <string.h>

int bytes_compare(struct bytes a, struct bytes b)
{
	size_t common = a.length < b.length ? a.length : b.length;
	int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
	if (order != 0)
		return order;
	return (a.length > b.length) - (a.length < b.length);
}

struct reader reader_over(struct bytes bytes)
{
	return (struct reader){.bytes = bytes.at, .length = bytes.length, .at = 0, .failed = false};
}

void reader_refuse(struct reader *r)
{
	r->failed = true;
}

static const uint8_t *take(struct reader *r, size_t count)
{
	if (r->failed || r->length - r->at < count) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *start = r->bytes + r->at;
	r->at += count;
	return start;
}

static uint64_t take_number(struct reader *r, size_t width)
{
	const uint8_t *from = take(r, width);
	uint64_t value = 0;
	for (size_t i = 0; from != NULL && i < width; i++)
		value |= (uint64_t)from[i] << (8 * i);
	return value;
}

uint8_t reader_u8(struct reader *r)
{
	return (uint8_t)take_number(r, 1);
}

uint16_t reader_u16(struct reader *r)
{
	return (uint16_t)take_number(r, 2);
}

uint32_t reader_u32(struct reader *r)
{
	return (uint32_t)take_number(r, 4);
}

uint64_t reader_u64(struct reader *r)
{
	return take_number(r, 8);
}

int32_t reader_i32(struct reader *r)
{
	uint32_t value = reader_u32(r);
	int32_t result;
	memcpy(&result, &value, sizeof result);
	return result;
}

/* Text of `length` bytes and its NUL. The NUL at the end and none before it is what lets strings be used in place. */
static struct bytes take_text(struct reader *r, size_t length)
{
	const uint8_t *text = take(r, length + 1);
	if (text == NULL)
		return (struct bytes){NULL, 0};
	if (memchr(text, 0, length + 1) != text + length) {
		r->at -= length + 1;
		r->failed = true;
		return (struct bytes){NULL, 0};
	}
	return (struct bytes){text, length};
}

struct bytes reader_cursor(struct reader *r)
{
	size_t length = reader_u16(r);
	if (length > KEY_MAX)
		reader_refuse(r);
	return take_text(r, length);
}

struct bytes reader_key(struct reader *r)
{
	struct bytes key = reader_cursor(r);
	if (key.length == 0)
		reader_refuse(r);
	return key;
}

const char *reader_string(struct reader *r)
{
	size_t length = reader_u32(r);
	struct bytes text = take_text(r, length);
	return text.at == NULL ? "" : (const char *)text.at;
}

struct bytes reader_part(struct reader *r, size_t most)
{
	size_t length = reader_u32(r);
	if (length > most)
		reader_refuse(r);
	const uint8_t *part = take(r, length);
	return part == NULL ? (struct bytes){NULL, 0} : (struct bytes){part, length};
}

struct bytes reader_tag(struct reader *r)
{
	return reader_part(r, TAG_MAX);
}

bool reader_has_more(const struct reader *r)
{
	return !r->failed && r->at < r->length;
}

bool reader_done(const struct reader *r)
{
	return !r->failed && r->at == r->length;
}

struct header header_decode(const uint8_t *frame)
{
	struct reader r = reader_over((struct bytes){frame, FRAME_HEADER});
	struct header h;
	h.version = reader_u8(&r);
	h.flags = reader_u8(&r);
	h.type = reader_u16(&r);
	h.id = reader_u32(&r);
	h.length = reader_u32(&r);
	return h;
}

static void put(struct writer *w, const void *from, size_t count)
{
	if (w->failed || w->capacity - w->at < count) {
		w->failed = true;
		return;
	}
	if (count != 0)
		memcpy(w->bytes + w->at, from, count);
	w->at += count;
}

static void put_number(struct writer *w, uint64_t value, size_t width)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	put(w, bytes, width);
}

void writer_u8(struct writer *w, uint8_t value)
{
	put_number(w, value, 1);
}

void writer_u16(struct writer *w, uint16_t value)
{
	put_number(w, value, 2);
}

void writer_u32(struct writer *w, uint32_t value)
{
	put_number(w, value, 4);
}

void writer_u64(struct writer *w, uint64_t value)
{
	put_number(w, value, 8);
}

void writer_i32(struct writer *w, int32_t value)
{
	put_number(w, (uint32_t)value, 4);
}

void writer_key(struct writer *w, struct bytes key)
{
	writer_u16(w, (uint16_t)key.length);
	put(w, key.at, key.length);
	writer_u8(w, 0);
}

void writer_tag(struct writer *w, struct bytes tag)
{
	writer_u32(w, (uint32_t)tag.length);
	put(w, tag.at, tag.length);
}

void writer_string(struct writer *w, const char *string)
{
	writer_tag(w, (struct bytes){(const uint8_t *)string, strlen(string)});
	writer_u8(w, 0);
}

void writer_bytes(struct writer *w, struct bytes bytes)
{
	put(w, bytes.at, bytes.length);
}

void header_encode(uint8_t *frame, uint16_t type, uint32_t id, size_t payload_length)
{
	struct writer w = {.bytes = frame, .capacity = FRAME_HEADER};
	writer_u8(&w, PROTOCOL_VERSION);
	writer_u8(&w, 0);
	writer_u16(&w, type);
	writer_u32(&w, id);
	writer_u32(&w, (uint32_t)payload_length);
}
