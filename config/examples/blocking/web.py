"""A server that waits in accept(2), one client at a time, and knows nothing of who runs it."""

import os
import socket

server = socket.socket(fileno=3)  # as LISTEN_FDS says (sd_listen_fds(3))
server.setblocking(True)  # Python makes it as the default timeout of sockets says
while True:
    client, _ = server.accept()
    with client:
        client.recv(65536)
        body = f"Hello from process {os.getpid()}\n"
        client.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
