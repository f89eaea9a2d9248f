"""logs_steadily.py BYTES_PER_SECOND FOLDER: numbered lines of 100 bytes to stdout at that rate, until it is ended.

FOLDER/PID.count says in two numbers of 8 bytes how many lines it is about to have written, and how many it has; so whoever kills it
knows what it wrote but for the last block.
"""

import mmap
import os
import struct
import sys
import time

LINE = 100
BLOCK = 200
rate, folder = int(sys.argv[1]), sys.argv[2]
pid = os.getpid()
path = os.path.join(folder, f"{pid}.count")
with open(path, "w+b") as file:
    file.truncate(16)
    count = mmap.mmap(file.fileno(), 16)
padding = "." * (LINE - 22)
begun = time.monotonic()
lines = 0
while True:
    block = "".join(f"{pid:08d} {number:011d} {padding}\n" for number in range(lines, lines + BLOCK)).encode()
    struct.pack_into("q", count, 0, lines + BLOCK)
    while block:
        block = block[os.write(1, block) :]
    lines += BLOCK
    struct.pack_into("q", count, 8, lines)
    ahead = lines * LINE / rate - (time.monotonic() - begun)
    if ahead > 0:
        time.sleep(ahead)
    elif ahead < -1:
        begun = time.monotonic() - lines * LINE / rate  # It was held up: the rate goes on from here.
