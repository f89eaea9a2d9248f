/* What the ideal activator and the ideal supervisor share: a bound listener and the cheapest possible start of a worker. */
#ifndef BENCH_START_H
#define BENCH_START_H
#include <sys/types.h>

/* Binds 127.0.0.1 at any free port and prints "port N\n" on stdout. Ends the process on failure. */
int listen_anywhere(void);

/*
 * vfork + exec of argv with the listener as descriptor 3 and LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES in an otherwise empty
 * environment. Returns the pid; ends the process if vfork fails. A failed exec makes the child exit with 127.
 */
pid_t start_worker(int listener, char **argv);
#endif
