"""A WebSocket server that sends every message back, after its own name if it has one: websocket_server.py HOST PORT [NAME]"""

import sys

from websockets.sync.server import serve


def echo(connection):
    for own in name:
        connection.send(own)
    for message in connection:
        connection.send(message)


host, port, *name = sys.argv[1:]
with serve(echo, host, int(port)) as server:
    server.serve_forever()
