/*
 * What the keeper waits for: one epoll set.
 *
 * One event is taken per wait. A handler may therefore free any watcher, its own included, and no event that was fetched
 * before can point to it; the kernel hands level-triggered descriptors out in turn, so none is starved.
 *
 * epoll knows a descriptor by (open file, number). Files here are shared with children and supervisors, so closing our
 * number does not end the registration: whoever closes a watched descriptor calls loop_remove first.
 */
#ifndef HOLDFAST_LOOP_H
#define HOLDFAST_LOOP_H

#include <stdint.h>

struct keeper;

/* Embedded in its owner, who finds itself again by container_of. Must stay where it is while it is watched. */
struct watcher {
	void (*ready)(struct keeper *keeper, struct watcher *watcher, uint32_t events);
};

#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

struct loop {
	int epoll;
};

/* 0 or errno, as the two below; loop_remove cannot fail for what was added. */
int loop_open(struct loop *loop);
int loop_add(struct loop *loop, int fd, uint32_t events, struct watcher *watcher);
int loop_change(struct loop *loop, int fd, uint32_t events, struct watcher *watcher);
void loop_remove(struct loop *loop, int fd);

/* Waits for one event, or until `deadline` (ns; 0 = for ever), and handles it. */
void loop_wait(struct loop *loop, struct keeper *keeper, uint64_t deadline);

#endif
