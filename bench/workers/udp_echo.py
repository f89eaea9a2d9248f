"""Datagrams come back with the pid of who saw them. No signal handler; it knows no Holdfast."""

import os
import socket

channel = socket.socket(fileno=3)
name = f" {os.getpid()}".encode()
while True:
    data, sender = channel.recvfrom(65536)
    channel.sendto(data + name, sender)
