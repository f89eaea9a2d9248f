#define _GNU_SOURCE
#include "shut.h"

#include <errno.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch_fd.h"
#include "keeper.h"

struct connection connection_decode(struct reader *r, size_t frame_fds)
{
	struct connection connection = {0};
	connection.process = reader_u16(r);
	if (connection.process >= frame_fds)
		reader_refuse(r);
	uint32_t number = reader_u32(r);
	if (number >= INT_MAX)
		reader_refuse(r);
	connection.inode = reader_u64(r);
	connection.received = reader_u64(r);
	connection.number = r->failed ? 0 : (int)number;
	return connection;
}

/* More has come than was known when somebody decided that nothing is in hand. */
static bool has_moved(int fd, uint64_t received)
{
	struct tcp_info info;
	socklen_t size = sizeof info;
	if (received == UINT64_MAX)
		return false;
	memset(&info, 0, sizeof info);
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_bytes_received != received;
}

static int shut(const struct keeper *k, const struct connection *connection, int pidfd)
{
	int fd;
	int error = fetch_fd(k, pidfd, connection->number, &fd);
	if (error != 0)
		return error;
	struct stat file;
	if (fstat(fd, &file) != 0)
		error = errno;
	else if (!S_ISSOCK(file.st_mode) || file.st_ino != connection->inode)
		error = ESTALE;
	else if (has_moved(fd, connection->received))
		error = EBUSY;
	else if (shutdown(fd, SHUT_WR) != 0)
		error = errno;
	close(fd);
	return error;
}

int shut_request(struct keeper *k, const struct request *request, const struct descriptors *descriptors, struct writer *body)
{
	struct reader r = reader_over(request->connections);
	writer_u16(body, (uint16_t)request->connection_count);
	for (size_t i = 0; i < request->connection_count; i++) {
		struct connection connection = connection_decode(&r, descriptors->count);
		writer_i32(body, shut(k, &connection, descriptors->numbers[connection.process]));
	}
	return 0;
}
