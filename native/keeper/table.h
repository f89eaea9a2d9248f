/* A table of named records in the byte order of their keys, and the head that every record begins with. */
#ifndef HOLDFAST_TABLE_H
#define HOLDFAST_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "budget.h"
#include "frame.h"

enum { TABLE_MAX = 8192 };

struct tag {
	size_t length;
	uint8_t bytes[];
};

/* The first member of a record. The key's bytes are part of the record's own memory. */
struct entry {
	struct bytes key;
	struct tag *tag; /* owned; NULL = empty */
};

struct table {
	size_t count;
	struct entry *entries[TABLE_MAX];
};

struct entry *table_find(const struct table *table, struct bytes key);

/* The index of the first record whose key is greater than `key`; table->count if there is none. */
size_t table_after(const struct table *table, struct bytes key);

/* The caller has checked that there is room and that the key is new. */
void table_insert(struct table *table, struct entry *entry);
void table_remove(struct table *table, struct bytes key);

/* Puts `entry` in the place of the record with the same key. */
void table_replace(struct table *table, struct entry *entry);

struct bytes entry_tag(const struct entry *entry);

/* Replaces the tag by a copy of `tag`. False without memory: then the old one stays. */
bool entry_set_tag(struct budget *budget, struct entry *entry, struct bytes tag);

#endif
