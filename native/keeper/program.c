#define _GNU_SOURCE
#include "program.h"

#include <string.h>

#include "keeper.h"

char **program_arguments(struct keeper *k, struct bytes strings, size_t count, size_t *own_count)
{
	size_t own = (size_t)(k->supervisor.arguments - k->reexec.arguments), pointers = (own + count + 1) * sizeof(char *);
	/* Encoded, each string has its length in front, so all of them fit. */
	char **arguments = budget_take(&k->budget, pointers + strings.length);
	if (arguments == NULL)
		return NULL;
	char *at = (char *)arguments + pointers;
	struct reader r = reader_over(strings);
	for (size_t i = 0; i < own; i++)
		arguments[i] = k->reexec.arguments[i];
	for (size_t i = 0; i < count; i++) {
		const char *string = reader_string(&r);
		size_t size = strlen(string) + 1;
		arguments[own + i] = memcpy(at, string, size);
		at += size;
	}
	*own_count = own;
	return arguments;
}

void program_replace(struct keeper *k, char **arguments, size_t own_count)
{
	k->reexec.arguments = arguments;
	k->supervisor.arguments = arguments + own_count;
	budget_give(&k->budget, k->program);
	k->program = arguments;
}
