/* One line on stderr, for the few things that only a person can mend. Never blocks: a line that does not fit is lost. */
#ifndef HOLDFAST_COMPLAIN_H
#define HOLDFAST_COMPLAIN_H

void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "SIGKILL", or "signal 42" for one without a name of its own. Valid until the next call. */
const char *signal_name(int number);

#endif
