"""A gRPC client with ONE channel: grpc_client.py ADDRESS COMMAND [N]

  unary N   N calls one after the other; prints how many each server answered: "a=10 b=10 c=10"
  count N   one call that streams N messages from the server; prints how many came, in order
  chat N    one call that sends N messages, at most 100 of them ahead of what came back; prints "begun" after the first and
            how many came back, in order, in the end
  fail      one call that fails; prints the status and its detail
"""

import queue
import sys
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


{"unary": unary, "count": count, "chat": chat, "fail": fail}[command]()
