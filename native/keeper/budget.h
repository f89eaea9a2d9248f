/* Everything that requests can make the keeper remember is allocated here, within one bound. */
#ifndef HOLDFAST_BUDGET_H
#define HOLDFAST_BUDGET_H

#include <stddef.h>

#define BUDGET_MAX ((size_t)32 * 1024 * 1024)

struct budget {
	size_t used; /* bytes */
};

/* Zeroed memory, or NULL when the bound is reached or the system has none. */
void *budget_take(struct budget *budget, size_t size);

/* Gives back what budget_take gave; NULL is fine. */
void budget_give(struct budget *budget, void *memory);

#endif
