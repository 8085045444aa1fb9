"""A WebSocket client: websocket_client.py URL N | websocket_client.py URL streams

N        sends N messages of growing length, text and binary in turn, and waits for each; prints how many came back unchanged
streams  one connection after the other to servers that say their name first, each for as long as it lasts, until SIGTERM; prints of
         each that ended which server it was with, when it began and when it ended (in ms since the epoch)
"""

import signal
import sys
import time

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

url, command = sys.argv[1:]


def open_connection():
    return connect(url, proxy=None, open_timeout=10, close_timeout=10)


def count(n):
    with open_connection() as connection:
        for number in range(n):
            message = "é" * number if number % 2 else b"\x00\xff" * number
            connection.send(message)
            if connection.recv(timeout=10) != message:
                sys.exit(f"message {number} came back changed")
    print(n)


def streams():
    while not stopping:
        begun, server = milliseconds(), "nobody"
        try:
            with open_connection() as connection:
                server = connection.recv(timeout=10)
                while not stopping:
                    connection.send("again")
                    connection.recv(timeout=10)
                    time.sleep(0.02)
                return
        except (OSError, WebSocketException) as error:
            print(server, begun, milliseconds(), type(error).__name__, flush=True)


def milliseconds():
    return time.time_ns() // 1_000_000


stopping = False


def stop(*_):
    global stopping
    stopping = True


if command == "streams":
    signal.signal(signal.SIGTERM, stop)
    streams()
else:
    count(int(command))
