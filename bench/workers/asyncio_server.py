"""HTTP with asyncio on the inherited socket. No signal handler: it dies at once on SIGTERM. It knows no Holdfast."""

import asyncio
import os
import re
import socket


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            slow = re.match(r"/slow/(\d+)", path)
            if slow:
                await asyncio.sleep(int(slow[1]) / 1000)
            body = f"asyncio {os.getpid()} {path}\n"
            closes = "\r\nconnection: close" in head.lower()
            more = "Connection: close\r\n" if closes else ""
            writer.write(f"HTTP/1.1 200 OK\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
            if closes:
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client has gone
    writer.close()


async def main():
    listener = socket.socket(fileno=3)
    server = await asyncio.start_server(serve, sock=listener)
    await server.serve_forever()


asyncio.run(main())
