/*
 * The valve of a shared socket: whether another process is woken for it, changed in that process's own epoll sets and
 * without its help.
 *
 * The epoll descriptor comes over by pidfd_getfd(2), which needs the rights of a tracer; an ancestor has them where Yama
 * restricts them. The socket has to stand at the number that it has in the other process while epoll_ctl(2) is called, so a
 * helper with a descriptor table of its own does that: in ours, the number may be anything's.
 */
#ifndef HOLDFAST_VALVE_H
#define HOLDFAST_VALVE_H

#include "descriptors.h"
#include "frame.h"
#include "request.h"

struct keeper;

/*
 * Performs every registration of the request and writes the errno of each to `body`, 0 where it is done. ENOENT without
 * having done anything: a held entry or an index in it that is not there.
 */
int valve_request(struct keeper *keeper, const struct request *request, const struct descriptors *descriptors,
		  struct writer *body);

#endif
