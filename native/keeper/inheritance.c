#define _GNU_SOURCE
#include "inheritance.h"

#include <errno.h>
#include <fcntl.h>

#include "arm.h"
#include "held.h"
#include "keeper.h"

static int set(int fd, bool inheritable)
{
	return fd < 0 || fcntl(fd, F_SETFD, inheritable ? 0 : FD_CLOEXEC) == 0 ? 0 : errno;
}

static int set_held(const struct held *held, bool inheritable)
{
	int error = 0;
	for (size_t i = 0; error == 0 && i < held->count; i++)
		error = set(held->fds[i].fd, inheritable);
	return error;
}

static int set_child(const struct child *child, bool inheritable)
{
	int error = set(child->pidfd, inheritable);
	if (error == 0)
		error = set(child->status_fd, inheritable);
	for (size_t i = 0; error == 0 && i < child->kept_count; i++)
		error = set(child->kept[i], inheritable);
	for (size_t i = 0; error == 0 && child->armed != NULL && i < child->armed->fd_count; i++)
		error = set(child->armed->fds[i], inheritable);
	return error;
}

int inheritance_set(const struct keeper *k, bool inheritable)
{
	const struct table *held = &k->tables[TABLE_HELD], *children = &k->tables[TABLE_CHILDREN], *arms = &k->tables[TABLE_ARMS];
	int error = set(k->channel.fd, inheritable);
	if (error == 0)
		error = set(k->supervisor.status_fd, inheritable);
	for (size_t i = 0; error == 0 && i < held->count; i++)
		error = set_held((const struct held *)held->entries[i], inheritable);
	for (size_t i = 0; error == 0 && i < children->count; i++)
		error = set_child((const struct child *)children->entries[i], inheritable);
	for (size_t i = 0; error == 0 && i < arms->count; i++)
		error = set_child((const struct child *)arms->entries[i], inheritable);
	return error;
}
