"""What the gateway and the process that reads Parquet say to each other, over two pipes.

A frame is one letter, the length of what follows as 32 bits, and that. The gateway opens a file and answers requests
for its bytes; the other side asks for bytes, gives rows, and ends with END or FAULT. One file at a time.
"""

from __future__ import annotations

import struct

HEADER = struct.Struct(">cI")
OPEN = b"O"
"""To the reader: OPENING. The last file has ended."""
DATA = b"D"
"""To the reader: the bytes that GET asked for."""
GET = b"G"
"""To the gateway: RANGE, not empty and within the file."""
ROWS = b"R"
"""To the gateway: lines of UTF-8, no end behind the last: a record's JSON, or BAD and what is wrong with it."""
END = b"E"
"""To the gateway: all rows were given."""
FAULT = b"F"
"""To the gateway: an ErrorCode, a space, and why the file can't be read on."""

OPENING = struct.Struct(">QQ")
"""The file's size in bytes, and the row to begin with, from 0."""
RANGE = struct.Struct(">QI")
"""From which byte on, and how many: at most MAX_GET."""
MAX_GET = 4 << 20
MAX_FRAME = 32 << 20
"""No frame is longer: a record has up to 16 MiB, and rows are sent when 256 KiB of them are there."""
BAD = b"!"
