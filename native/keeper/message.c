#define _GNU_SOURCE
#include "message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "system_calls.h"

#define RIGHTS_SPACE CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX)

static void take_rights(struct message *m, const struct cmsghdr *header)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (size_t i = 0; i < count && m->descriptors.count < FRAME_FDS_MAX; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
		if (fd < 0) { /* a security module refused this one */
			m->fds_cut = true;
			continue;
		}
		m->descriptors.numbers[m->descriptors.count] = fd;
		m->descriptors.taken[m->descriptors.count++] = false;
	}
}

/* Walked by hand: the macros of some C libraries do not survive -Wconversion. */
static void take_control(struct message *m, const uint8_t *control, size_t length)
{
	size_t at = 0;
	while (length - at >= sizeof(struct cmsghdr)) {
		const struct cmsghdr *c = (const struct cmsghdr *)(const void *)(control + at);
		if (c->cmsg_len < CMSG_LEN(0) || c->cmsg_len > length - at)
			return;
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			take_rights(m, c);
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof(struct ucred))) {
			struct ucred credentials;
			memcpy(&credentials, CMSG_DATA(c), sizeof credentials);
			m->sender = credentials.pid;
		}
		size_t step = CMSG_SPACE(c->cmsg_len - CMSG_LEN(0));
		if (step > length - at)
			return;
		at += step;
	}
}

enum received message_receive(int fd, struct message *m)
{
	union {
		struct cmsghdr alignment;
		uint8_t bytes[RIGHTS_SPACE + CMSG_SPACE(sizeof(struct ucred)) + 256];
	} control;
	struct iovec data = {.iov_base = m->bytes, .iov_len = sizeof m->bytes};
	struct msghdr header;
	ssize_t length;

	m->length = 0;
	m->sender = 0;
	m->data_cut = m->fds_cut = false;
	m->descriptors.count = 0;
	do {
		memset(&header, 0, sizeof header);
		header.msg_iov = &data;
		header.msg_iovlen = 1;
		header.msg_control = &control;
		header.msg_controllen = sizeof control;
		length = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		/* ECONNRESET comes once, when the peer died with messages unread; its own messages are still there. */
	} while (length < 0 && (errno == EINTR || errno == ECONNRESET));
	if (length < 0 && (errno == ENOMEM || errno == ENOBUFS))
		return RECEIVED_NOT_YET;
	if (length < 0)
		return errno == EAGAIN ? RECEIVED_NOTHING : RECEIVED_END;
	m->length = (size_t)length;
	m->data_cut = (header.msg_flags & MSG_TRUNC) != 0;
	m->fds_cut = (header.msg_flags & MSG_CTRUNC) != 0;
	take_control(m, control.bytes, header.msg_controllen);
	/* An empty message has its sender's credentials; the end of the stream has none. */
	return length == 0 && m->sender == 0 && m->descriptors.count == 0 ? RECEIVED_END : RECEIVED_MESSAGE;
}

enum sent message_send(int fd, const uint8_t *bytes, size_t length, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr alignment;
		uint8_t bytes[RIGHTS_SPACE];
	} control;
	struct iovec data = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
	struct msghdr header;
	memset(&header, 0, sizeof header);
	header.msg_iov = &data;
	header.msg_iovlen = 1;
	if (fd_count != 0) {
		size_t size = fd_count * sizeof *fds;
		memset(&control, 0, sizeof control);
		header.msg_control = &control;
		header.msg_controllen = (socklen_t)CMSG_SPACE(size);
		struct cmsghdr *rights = &control.alignment;
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = (socklen_t)CMSG_LEN(size);
		memcpy(CMSG_DATA(rights), fds, size);
	}
	ssize_t result;
	do
		result = sys_sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (result < 0 && errno == EINTR);
	if (result >= 0)
		return SENT;
	switch (errno) {
	case EAGAIN:
		return SENT_NOT_YET;
	case EPIPE:
	case ECONNRESET:
	case ECONNREFUSED:
	case ENOTCONN:
		return SENT_TO_NOBODY;
	default: /* ETOOMANYREFS, ENOBUFS, ENOMEM */
		return SENT_REFUSED;
	}
}
