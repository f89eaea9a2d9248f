/* A duplicate of another process's descriptor, pidfd_getfd(2). It needs the rights of a tracer; an ancestor has them where Yama restricts them. */
#ifndef HOLDFAST_FETCH_FD_H
#define HOLDFAST_FETCH_FD_H

struct keeper;

/* 0 or errno: ESRCH (the process has ended), EPERM, EBADF (it has no such descriptor), EMFILE. `*fd` is the caller's to close, -1 if there is none. */
int fetch_fd(const struct keeper *keeper, int pidfd, int number, int *fd);

#endif
