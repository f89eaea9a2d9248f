"""The same as peer.rs, with socket.send_fds, recv_fds and, where credentials are wanted, sendmsg and recvmsg."""

import array
import fcntl
import json
import os
import socket
import struct
import sys

ROOM = 1 << 17
MOST_FDS = 253
UCRED = struct.Struct("iII")

is_stream = sys.argv[1] == "stream"
folder = sys.argv[2]
peer = socket.socket(fileno=3)
has_passcred = bool(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED))
files = {}


def descriptor(index):
    if index not in files:
        files[index] = os.open(f"{folder}/{index}", os.O_RDONLY)
    return files[index]


def send(size, seed, names, credentials):
    data = bytes((seed + k) & 255 for k in range(size))
    fds = [] if names == "-" else [descriptor(int(name)) for name in names.split(",")]
    if fds and credentials == "-":
        return socket.send_fds(peer, [data], fds)
    control = []
    if fds:
        control.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds)))
    if credentials != "-":
        uid, gid = map(int, credentials.split(","))
        control.append((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, UCRED.pack(os.getpid(), uid, gid)))
    return peer.sendmsg([data], control)


def describe(fd):
    status = os.fstat(fd)
    closes = bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
    os.close(fd)
    return [status.st_dev, status.st_ino, closes]


def receive_one():
    fds, credentials = [], None
    if has_passcred:
        room = socket.CMSG_SPACE(MOST_FDS * 4) + socket.CMSG_SPACE(UCRED.size)
        data, control, flags, _ = peer.recvmsg(ROOM, room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds += array.array("i", payload)
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                credentials = UCRED.unpack(payload)
    else:
        data, fds, flags, _ = socket.recv_fds(peer, ROOM, MOST_FDS, socket.MSG_CMSG_CLOEXEC)
    return {
        "data": data.hex(),
        "fds": [describe(fd) for fd in fds],
        "credentials": credentials,
        "truncated": bool(flags & socket.MSG_CTRUNC),
    }


def receive(count):
    pieces = []
    while count > 0:
        piece = receive_one()
        count -= len(piece["data"]) // 2 if is_stream else 1
        pieces.append(piece)
    return json.dumps(pieces)


# recv_fds drops the flags that it is given, so what it receives is not close-on-exec.
print(json.dumps(has_passcred), flush=True)
for line in sys.stdin:
    name, *words = line.split()
    answer = send(int(words[0]), int(words[1]), *words[2:]) if name == "send" else receive(int(words[0]))
    print(answer, flush=True)
