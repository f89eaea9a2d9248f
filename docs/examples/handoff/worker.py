"""Answers every line with its number, its length and our pid. Connections survive a new version of this program: they go to the successor."""
import json
import os
import selectors
import socket
import struct
import sys
import time

MAX_RECORD = 16384 + 1 + 65536 + 131072
REMEMBERED = 512
KIND = "lines"


class Channel:
    """Our end of HOLDFAST_CHANNEL."""

    def __init__(self):
        fd = int(os.environ.pop("HOLDFAST_CHANNEL"))
        os.set_inheritable(fd, False)
        self.socket = socket.socket(fileno=fd)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        maker = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        self.supervisor, self.supervisor_uid, _ = struct.unpack("iII", maker)

    def send(self, frame, body=b"", fds=()):
        record = json.dumps(frame).encode() + (b"\n" + body if body else b"")
        socket.send_fds(self.socket, [record], fds)

    def receive(self):
        """(frame, body, descriptors); frame None: nothing that counts; None: the channel has ended."""
        space = socket.CMSG_SPACE(253 * 4) + socket.CMSG_SPACE(12)
        record, ancillary, flags, _ = self.socket.recvmsg(MAX_RECORD, space, socket.MSG_CMSG_CLOEXEC)
        if not record:
            return None
        fds, sender = [], (0, -1, -1)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds += struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                sender = struct.unpack("iII", data[:12])
        head, _, body = record.partition(b"\n")
        cut = flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC)
        frame = None if cut else json.loads(head)
        if frame is None or not self.believes(sender, frame):
            for fd in fds:
                os.close(fd)
            return None, b"", []
        return frame, body, fds

    def believes(self, sender, frame):
        """The supervisor that we know, or another one that introduces itself: after a crash it has a new pid."""
        pid, uid, _ = sender
        if pid != self.supervisor and frame["type"] == "hello" and uid in (0, self.supervisor_uid):
            self.supervisor = pid
        return pid == self.supervisor


class Connection:
    def __init__(self, sock, count=0, partial=""):
        sock.setblocking(True)
        self.socket, self.count, self.partial = sock, count, partial

    def answer(self):
        """False at the end of the connection."""
        data = self.socket.recv(65536)
        *lines, self.partial = (self.partial + data.decode("latin1")).split("\n")
        for line in lines:
            self.count += 1
            self.socket.sendall(f"{self.count} {len(line)} {os.getpid()}\n".encode())
        return data != b""

    def state(self):
        return json.dumps({"count": self.count, "partial": self.partial}).encode()


class Worker:
    def __init__(self):
        self.channel = Channel()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.channel.socket, selectors.EVENT_READ, self.hear)
        self.listeners = {}  # (device, inode) -> socket
        self.connections = set()
        self.left = {}  # number -> connection: nobody reads these
        self.waiting = []  # to be left once there is room in the window
        self.adopted = {}  # ids, the oldest first
        self.window, self.last, self.deadline = 64, 0, None

    def run(self):
        while self.deadline is None or (self.connections or self.left or self.waiting):
            timeout = None if self.deadline is None else self.deadline - time.monotonic()
            if timeout is not None and timeout <= 0:
                break
            for key, _ in self.selector.select(timeout):
                key.data()
        self.channel.send({"type": "left"})

    def hear(self):
        message = self.channel.receive()
        if message is None:
            sys.exit("the supervisor has closed the channel")
        frame, body, fds = message
        handler = getattr(self, "on_" + frame["type"], None) if frame else None
        if handler:
            handler(frame, body, fds)

    def on_hello(self, frame, _body, _fds):
        """Perhaps a new supervisor: it learns what we have taken, and what nobody has taken from us is offered again."""
        self.window = frame["window"]
        answer = {"type": "hello", "version": 1, "session": frame["session"], "adopted": list(self.adopted)}
        ready = {"adopts": [KIND]} if self.listeners else {}
        self.channel.send({**answer, **ready, "retiring": self.deadline is not None})
        for number, connection in self.left.items():
            self.offer(number, connection)

    def on_sockets(self, frame, _body, fds):
        """The whole list: what we have already comes as another descriptor of the same socket."""
        listed = {}
        for fd in fds:
            status = os.fstat(fd)
            listed[(status.st_dev, status.st_ino)] = fd
        for identity in self.listeners.keys() - listed.keys():
            self.close_listener(identity)
        for identity, fd in listed.items():
            if identity in self.listeners or self.deadline is not None:
                os.close(fd)
                continue
            listener = self.listeners[identity] = socket.socket(fileno=fd)
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, lambda each=listener: self.accept(each))
        self.channel.send({"type": "ready", "adopts": [KIND]})

    def on_retire(self, frame, _body, _fds):
        if self.deadline is not None:
            return
        self.deadline = time.monotonic() + frame["deadlineMs"] / 1000
        for identity in list(self.listeners):
            self.close_listener(identity)
        for connection in list(self.connections):
            self.drop(connection)
            self.waiting.append(connection)
        self.offer_waiting()

    def on_adopt(self, frame, body, fds):
        known, kind = frame["id"] in self.adopted, frame["kind"]
        late = time.monotonic() * 1000 > frame["expiresMs"]
        if known or late or kind != KIND or self.deadline is not None:
            os.close(fds[0])
            answer = {"type": "adopted"} if known else {"type": "refused", "reason": "not taken here"}
            return self.channel.send({**answer, "id": frame["id"]})
        # Before a byte of it is read: from here on it is ours alone.
        self.channel.send({"type": "adopted", "id": frame["id"]})
        self.adopted[frame["id"]] = True
        if len(self.adopted) > REMEMBERED:
            del self.adopted[next(iter(self.adopted))]
        unread = frame.get("unread", 0)
        state = json.loads(body[: len(body) - unread])
        connection = Connection(socket.socket(fileno=fds[0]), state["count"], state["partial"])
        connection.partial += body[len(body) - unread :].decode("latin1")  # Without a newline: this program leaves none.
        self.add(connection)

    def on_taken(self, frame, _body, _fds):
        connection = self.left.pop(frame["id"], None)
        if connection:
            connection.socket.close()
        self.offer_waiting()

    def on_keep(self, frame, _body, _fds):
        """Nobody takes it: it is ours until it ends."""
        connection = self.left.pop(frame["id"], None)
        if connection:
            self.add(connection)
        self.offer_waiting()

    def offer_waiting(self):
        while self.waiting and len(self.left) < self.window:
            self.last += 1
            self.left[self.last] = self.waiting.pop(0)
            self.offer(self.last, self.left[self.last])

    def offer(self, number, connection):
        frame = {"type": "leave", "id": number, "kind": KIND}
        self.channel.send(frame, connection.state(), [connection.socket.fileno()])

    def accept(self, listener):
        try:
            self.add(Connection(listener.accept()[0]))
        except BlockingIOError:
            pass  # Another worker was faster.

    def add(self, connection):
        self.connections.add(connection)
        self.selector.register(connection.socket, selectors.EVENT_READ, lambda: self.serve(connection))

    def drop(self, connection):
        self.connections.remove(connection)
        self.selector.unregister(connection.socket)

    def serve(self, connection):
        if connection not in self.connections:
            return  # It was left in this very turn.
        try:
            if connection.answer():
                return
        except ConnectionError:
            pass  # The client is gone.
        self.drop(connection)
        connection.socket.close()

    def close_listener(self, identity):
        """Closed, never shut down: other processes go on with it."""
        listener = self.listeners.pop(identity)
        self.selector.unregister(listener)
        listener.close()


Worker().run()
