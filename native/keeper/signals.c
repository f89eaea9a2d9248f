#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "keeper.h"

static const int forwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static uint64_t bit(int number)
{
	return UINT64_C(1) << (number - 1);
}

static void note(struct signals *signals, int number)
{
	signals->untold |= bit(number);
	if (number != SIGTERM && number != SIGINT && number != SIGQUIT)
		return;
	signals->stop |= bit(number);
	if (signals->first_stop == 0)
		signals->first_stop = number;
}

static void ready(struct keeper *k, struct watcher *watcher, uint32_t events)
{
	struct signalfd_siginfo info;
	(void)watcher;
	(void)events;
	while (read(k->signals.fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			k->reaper.wanted = true;
		else
			note(&k->signals, (int)info.ssi_signo);
	}
}

int signals_open(struct keeper *k)
{
	struct sigaction standard;
	sigset_t set;
	memset(&standard, 0, sizeof standard);
	standard.sa_handler = SIG_DFL;
	sigemptyset(&set);
	/* An ignored signal never reaches a signalfd, and an ignored SIGCHLD would have the kernel reap for us. */
	for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++) {
		sigaddset(&set, forwarded[i]);
		sigaction(forwarded[i], &standard, NULL);
	}
	sigaddset(&set, SIGCHLD);
	sigaction(SIGCHLD, &standard, NULL);
	standard.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &standard, NULL);
	if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
		return errno;
	k->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k->signals.fd < 0)
		return errno;
	k->signals.watcher.ready = ready;
	return loop_add(&k->loop, k->signals.fd, EPOLLIN, &k->signals.watcher);
}

void signals_tell_again(struct signals *signals)
{
	signals->untold |= signals->stop;
}
