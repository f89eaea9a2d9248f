#define _GNU_SOURCE
#include "budget.h"

#include <stdlib.h>

/* In front of each block: its size, so that what is given back is what was taken. */
union block {
	size_t size;
	max_align_t alignment;
};

void *budget_take(struct budget *budget, size_t size)
{
	if (size > BUDGET_MAX || budget->used > BUDGET_MAX - size - sizeof(union block))
		return NULL;
	union block *block = calloc(1, sizeof *block + size);
	if (block == NULL)
		return NULL;
	block->size = sizeof *block + size;
	budget->used += block->size;
	return block + 1;
}

void budget_give(struct budget *budget, void *memory)
{
	if (memory == NULL)
		return;
	union block *block = (union block *)memory - 1;
	budget->used -= block->size;
	free(block);
}
