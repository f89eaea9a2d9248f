/*
 * The state that one keeper hands to the next: what is read is written again, and that is read once more and written to the same bytes.
 *
 * Input: the records, without the header in front of them. Descriptors in it are numbers only: nothing is watched, changed or closed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../native/keeper/keeper.h"
#include "../../native/keeper/state.h"

/* Takes the place of budget.c: everything is given back at once, also what a refusal has left behind. */
union block {
	union block *next;
	max_align_t alignment;
};

static union block *blocks;
static size_t used;

void *budget_take(struct budget *budget, size_t size)
{
	(void)budget;
	if (size > BUDGET_MAX - used)
		return NULL;
	union block *block = calloc(1, sizeof *block + size);
	if (block == NULL)
		return NULL;
	used += size;
	block->next = blocks;
	blocks = block;
	return block + 1;
}

void budget_give(struct budget *budget, void *memory)
{
	(void)budget;
	(void)memory;
}

static void give_all(void)
{
	while (blocks != NULL) {
		union block *next = blocks->next;
		free(blocks);
		blocks = next;
	}
	used = 0;
}

static struct keeper first, second;

/* All that a state fills; the tables' slots are of no account beyond their counts. */
static void empty(struct keeper *k)
{
	for (int i = 0; i < TABLE_COUNT; i++)
		k->tables[i].count = 0;
	memset(&k->news, 0, sizeof k->news);
	memset(&k->gathered, 0, sizeof k->gathered);
	memset(&k->acceptors, 0, sizeof k->acceptors);
	memset(&k->drained, 0, sizeof k->drained);
	memset(&k->supervisor, 0, sizeof k->supervisor);
	memset(&k->signals, 0, sizeof k->signals);
	memset(&k->ending, 0, sizeof k->ending);
	memset(&k->reexec, 0, sizeof k->reexec);
	memset(&k->successor, 0, sizeof k->successor);
	k->program = NULL;
	k->channel.fd = -1;
}

static void check(int holds)
{
	if (!holds)
		abort();
}

static int save(struct keeper *k, struct bytes *state)
{
	int file;
	check(state_save(k, &file) == 0);
	check(state_map(file, state) == 0);
	return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	/* In memory of exactly this size, so that the sanitizer sees each byte too many. */
	uint8_t *copy = malloc(STATE_HEADER + size);
	check(copy != NULL);
	struct writer w = {.bytes = copy, .capacity = STATE_HEADER};
	writer_u64(&w, STATE_MAGIC);
	writer_u16(&w, STATE_VERSION);
	memcpy(copy + STATE_HEADER, input, size);
	empty(&first);
	int error = state_load(&first, (struct bytes){copy, STATE_HEADER + size});
	free(copy);
	check(error == 0 || error == EBADMSG || error == ENOMEM || error == EPROTONOSUPPORT);
	if (error == 0) {
		struct bytes once, twice;
		int file = save(&first, &once);
		empty(&second);
		check(state_load(&second, once) == 0);
		int other = save(&second, &twice);
		check(once.length == twice.length && memcmp(once.at, twice.at, once.length) == 0);
		state_unmap(once);
		state_unmap(twice);
		close(file);
		close(other);
	}
	give_all();
	return 0;
}
