#define _GNU_SOURCE
#include "complain.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void complain(const char *format, ...)
{
	char line[1024] = "holdfast-keeper: ";
	size_t prefix = strlen(line);
	va_list arguments;
	va_start(arguments, format);
	int wanted = vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
	va_end(arguments);
	if (wanted < 0)
		return;
	size_t length = strlen(line);
	line[length++] = '\n';
	/* A pipe that polls writable has room for PIPE_BUF bytes, which is more than a line. */
	struct pollfd stderr_room = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&stderr_room, 1, 0) != 1 || (stderr_room.revents & POLLOUT) == 0)
		return;
	if (write(STDERR_FILENO, line, length) < 0)
		return; /* nobody is left to be told */
}

const char *signal_name(int number)
{
	static const char *const names[] = {
		[SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",       [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
		[SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT",     [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
		[SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
		[SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM", [SIGXCPU] = "SIGXCPU",
		[SIGXFSZ] = "SIGXFSZ", [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGSYS] = "SIGSYS",
	};
	static char other[24];
	if (number > 0 && (size_t)number < sizeof names / sizeof names[0] && names[number] != NULL)
		return names[number];
	snprintf(other, sizeof other, "signal %d", number);
	return other;
}
