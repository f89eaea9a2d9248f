"""HTTP with one thread that blocks in accept(2): one connection after the other. No signal handler; it knows no Holdfast."""

import os
import re
import socket
import time

listener = socket.socket(fileno=3)
listener.setblocking(True)
while True:
    connection, _ = listener.accept()
    try:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                break
            head += more
        if head:
            path = head.decode().split(" ")[1]
            slow = re.match(r"/slow/(\d+)", path)
            if slow:
                time.sleep(int(slow[1]) / 1000)
            body = f"blocking {os.getpid()} {path}\n"
            answer = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            connection.sendall(answer.encode())
    except ConnectionError:
        pass  # the client has gone
    finally:
        connection.close()
