"""What gunicorn serves."""

import os
import re
import time


def app(environ, start_response):
    path = environ["RAW_URI"]
    slow = re.match(r"/slow/(\d+)", path)
    if slow:
        time.sleep(int(slow[1]) / 1000)
    body = f"gunicorn {os.getpid()} {path}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
