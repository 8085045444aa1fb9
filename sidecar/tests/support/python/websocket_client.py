"""A WebSocket client: websocket_client.py URL N

Sends N messages of growing length, text and binary in turn, and waits for each; prints how many came back unchanged.
"""

import sys

from websockets.sync.client import connect

url, n = sys.argv[1], int(sys.argv[2])
with connect(url, proxy=None, open_timeout=10, close_timeout=10) as connection:
    for number in range(n):
        message = "é" * number if number % 2 else b"\x00\xff" * number
        connection.send(message)
        if connection.recv(timeout=10) != message:
            sys.exit(f"message {number} came back changed")
print(n)
