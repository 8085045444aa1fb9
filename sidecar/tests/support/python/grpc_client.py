"""A gRPC client with ONE channel: grpc_client.py ADDRESS COMMAND [N]

  unary N   N calls one after the other; prints how many each server answered: "a=10 b=10 c=10"
  count N   one call that streams N messages from the server; prints how many came, in order
  chat N    one call that sends N messages, at most 100 of them ahead of what came back; prints "begun" after the first and
            how many came back, in order, in the end
  fail      one call that fails; prints the status and its detail
  calls     calls one after the other, until SIGTERM; prints "failed STATUS DETAIL" for each that does, in the end how many did not
  chats     the same with calls that exchange fifty messages in a second
  streams   one call after the other that streams both ways, each for as long as it lasts, until SIGTERM; prints of each that ended
            which server it was with, when it began and when it ended (in ms since the epoch), and its status
"""

import queue
import signal
import sys
import time
from collections import Counter

import grpc

address, command, *rest = sys.argv[1:]
n = int(rest[0]) if rest else 0
# Without this the client would go through http_proxy, where one is set.
channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])


def unary():
    call = channel.unary_unary("/test.Echo/Unary")
    answers = Counter(call(b"", timeout=10).decode() for _ in range(n))
    print(" ".join(f"{name}={count}" for name, count in sorted(answers.items())))


def count():
    received = 0
    for message in channel.unary_stream("/test.Echo/Count")(str(n).encode(), timeout=50):
        if not message.endswith(b" %d" % received):
            sys.exit(f"message {received} is {message!r}")
        received += 1
    print(received)


def chat():
    outgoing = queue.SimpleQueue()
    for number in range(min(n, 100)):
        outgoing.put(b"%d" % number)
    requests = (outgoing.get() for _ in range(n))
    received = 0
    for message in channel.stream_stream("/test.Echo/Chat")(requests, timeout=120):
        if message != b"%d" % received:
            sys.exit(f"message {received} is {message!r}")
        if received == 0:
            print("begun", flush=True)
        received += 1
        outgoing.put(b"%d" % (received + 99))
    print(received)


def fail():
    try:
        channel.unary_unary("/test.Echo/Fail")(b"", timeout=10)
    except grpc.RpcError as error:
        print(error.code().name, error.details())


def calls():
    call, answered = channel.unary_unary("/test.Echo/Unary"), 0
    while not stopping:
        try:
            call(b"", timeout=10)
            answered += 1
        except grpc.RpcError as error:
            print("failed", error.code().name, error.details(), flush=True)
        time.sleep(0.01)
    print(answered)


def chats():
    call, answered = channel.stream_stream("/test.Echo/Chat"), 0
    while not stopping:
        outgoing = queue.SimpleQueue()
        outgoing.put(b"0")
        try:
            for number, message in enumerate(call(iter(outgoing.get, None), timeout=20)):
                time.sleep(0.02)
                outgoing.put(b"%d" % number if number < 50 else None)
            answered += 1
        except grpc.RpcError as error:
            outgoing.put(None)
            print("failed", error.code().name, error.details(), flush=True)
    print(answered)


def streams():
    while not stopping:
        begun, outgoing = milliseconds(), queue.SimpleQueue()
        call = channel.stream_stream("/test.Echo/Chat")(iter(outgoing.get, None))
        outgoing.put(b"again")
        server, status = "nobody", "OK"
        try:
            server = dict(call.initial_metadata()).get("server", server)
            for message in call:
                if stopping:
                    outgoing.put(None)
                    return call.cancel()
                time.sleep(0.02)
                outgoing.put(message)
        except grpc.RpcError as error:
            status = error.code().name
        outgoing.put(None)
        print(server, begun, milliseconds(), status, flush=True)


def milliseconds():
    return time.time_ns() // 1_000_000


stopping = False


def stop(*_):
    global stopping
    stopping = True


if command in ("calls", "chats", "streams"):
    signal.signal(signal.SIGTERM, stop)
{"unary": unary, "count": count, "chat": chat, "fail": fail, "calls": calls, "chats": chats, "streams": streams}[command]()
