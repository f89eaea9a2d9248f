"""An HTTP server of the standard library on the inherited socket, which tells that it is ready (sd_notify(3))."""

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"python {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False  # server_close() waits for the requests in hand

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=3)
        # Predecessor and successor wait on one socket: both wake up for a connection, and one of them must not block.
        self.socket.setblocking(False)


def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        address = os.environ["NOTIFY_SOCKET"]
        channel.connect("\0" + address[1:] if address[0] == "@" else address)
        channel.send(text.encode())


server = Server()
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
notify("READY=1\nSTATUS=serving")
server.serve_forever(poll_interval=0.05)
server.server_close()
