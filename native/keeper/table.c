#define _GNU_SOURCE
#include "table.h"

#include <string.h>

/* The index of the first record whose key is not less than `key`. */
static size_t position(const struct table *table, struct bytes key)
{
	size_t low = 0, high = table->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (bytes_compare(table->entries[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct table *table, size_t index, struct bytes key)
{
	return index < table->count && bytes_compare(table->entries[index]->key, key) == 0;
}

struct entry *table_find(const struct table *table, struct bytes key)
{
	size_t index = position(table, key);
	return is_at(table, index, key) ? table->entries[index] : NULL;
}

size_t table_after(const struct table *table, struct bytes key)
{
	size_t index = position(table, key);
	return is_at(table, index, key) ? index + 1 : index;
}

void table_insert(struct table *table, struct entry *entry)
{
	size_t index = position(table, entry->key);
	struct entry **slot = &table->entries[index];
	memmove(slot + 1, slot, (table->count - index) * sizeof *slot);
	*slot = entry;
	table->count++;
}

void table_remove(struct table *table, struct bytes key)
{
	size_t index = position(table, key);
	if (!is_at(table, index, key))
		return;
	struct entry **slot = &table->entries[index];
	memmove(slot, slot + 1, (table->count - index - 1) * sizeof *slot);
	table->count--;
}

void table_replace(struct table *table, struct entry *entry)
{
	table->entries[position(table, entry->key)] = entry;
}

struct bytes entry_tag(const struct entry *entry)
{
	if (entry->tag == NULL)
		return (struct bytes){NULL, 0};
	return (struct bytes){entry->tag->bytes, entry->tag->length};
}

bool entry_set_tag(struct budget *budget, struct entry *entry, struct bytes tag)
{
	struct tag *copy = NULL;
	if (tag.length != 0) {
		copy = budget_take(budget, sizeof *copy + tag.length);
		if (copy == NULL)
			return false;
		copy->length = tag.length;
		memcpy(copy->bytes, tag.at, tag.length);
	}
	budget_give(budget, entry->tag);
	entry->tag = copy;
	return true;
}
