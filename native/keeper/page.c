#define _GNU_SOURCE
#include "page.h"

#include <errno.h>

#include "arm.h"
#include "held.h"
#include "keeper.h"

enum { PAGE_HEADER = 3 };

static void encode_page_header(struct writer *w, uint16_t count, bool more)
{
	writer_u16(w, count);
	writer_u8(w, more);
}

static void encode_record(struct writer *w, enum table_name table, const struct entry *entry)
{
	const struct child *child = (const struct child *)entry;
	switch (table) {
	case TABLE_HELD:
		writer_key(w, entry->key);
		writer_tag(w, entry_tag(entry));
		writer_u16(w, (uint16_t)((const struct held *)entry)->count);
		return;
	case TABLE_CHILDREN:
		child_encode(w, child);
		writer_tag(w, entry_tag(entry));
		writer_u16(w, (uint16_t)child->kept_count);
		return;
	case TABLE_ARMS:
		writer_key(w, entry->key);
		writer_tag(w, entry_tag(entry));
		writer_u16(w, (uint16_t)child->kept_count);
		writer_u8(w, (uint8_t)child->armed->trigger);
		return;
	case TABLE_COUNT:
		return;
	}
}

int page_list(struct keeper *k, const struct request *request, struct reply *reply)
{
	const struct table *table = &k->tables[request->table];
	struct writer head = reply->body;
	struct writer *w = &reply->body;
	uint16_t count = 0;
	size_t index = request->key.length == 0 ? 0 : table_after(table, request->key);

	w->at += PAGE_HEADER;
	for (; index < table->count; index++) {
		struct writer before = *w;
		encode_record(w, request->table, table->entries[index]);
		if (w->failed) { /* full: the rest is for the next page. One record always fits. */
			*w = before;
			break;
		}
		count++;
	}
	encode_page_header(&head, count, index < table->count);
	return 0;
}

static void borrow(struct reply *reply, int fd)
{
	reply->fds[reply->fd_count++] = fd;
}

int page_fetch(struct keeper *k, const struct request *request, struct reply *reply)
{
	const struct entry *entry = table_find(&k->tables[request->table], request->key);
	if (entry == NULL)
		return ENOENT;
	encode_page_header(&reply->body, 1, false);
	encode_record(&reply->body, request->table, entry);
	if (request->table == TABLE_HELD) {
		const struct held *held = (const struct held *)entry;
		for (size_t i = 0; i < held->count; i++)
			borrow(reply, held->fds[i].fd);
		return 0;
	}
	const struct child *child = (const struct child *)entry;
	if (child->pidfd >= 0)
		borrow(reply, child->pidfd);
	for (size_t i = 0; i < child->kept_count; i++)
		borrow(reply, child->kept[i]);
	return 0;
}

int page_tag(struct keeper *k, const struct request *request)
{
	struct entry *entry = table_find(&k->tables[request->table], request->key);
	if (entry == NULL)
		return ENOENT;
	return entry_set_tag(&k->budget, entry, request->tag) ? 0 : ENOMEM;
}
