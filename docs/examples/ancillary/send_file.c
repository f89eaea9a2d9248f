/* send_file SOCKET FILE: opens FILE and sends it, with its name, to the datagram socket SOCKET. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  if (argc != 3 || strlen(argv[1]) >= sizeof to.sun_path) {
    fprintf(stderr, "usage: send_file SOCKET FILE\n");
    return 100;
  }
  memcpy(to.sun_path, argv[1], strlen(argv[1]));
  int file = open(argv[2], O_RDONLY | O_CLOEXEC);
  int from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (file == -1 || from == -1) {
    perror(file == -1 ? argv[2] : "socket");
    return 111;
  }

  /* The union aligns the buffer for the header. */
  union {
    char bytes[CMSG_SPACE(sizeof file)];
    struct cmsghdr header;
  } control;
  memset(&control, 0, sizeof control);
  struct iovec data = {.iov_base = argv[2], .iov_len = strlen(argv[2])};
  struct msghdr message = {
      .msg_name = &to,
      .msg_namelen = sizeof to,
      .msg_iov = &data,
      .msg_iovlen = 1,
      .msg_control = control.bytes,
      .msg_controllen = sizeof control.bytes,
  };
  struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof file);
  memcpy(CMSG_DATA(rights), &file, sizeof file);

  if (sendmsg(from, &message, MSG_NOSIGNAL) == -1) {
    perror("sendmsg");
    return 111;
  }
  return 0;
}
