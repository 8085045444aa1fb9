"""A gRPC server over h2c: grpc_server.py ADDRESS NAME [GRACE]

With GRACE, SIGTERM ends it in order: calls that are open have so many seconds.

Bytes in, bytes out, no generated code:
  /test.Echo/Unary   answers NAME
  /test.Echo/Count   a stream of as many messages as the request says, in decimal: "NAME 0", "NAME 1", …
  /test.Echo/Chat    says NAME as the header "server"; sends every message back, for as long as the client goes on
  /test.Echo/Fail    ends with the status RESOURCE_EXHAUSTED and the detail NAME, which travel in trailers
"""

import signal
import sys
from concurrent import futures

import grpc

address, name, *grace = sys.argv[1:]


def unary(request, context):
    return name.encode()


def count(request, context):
    for number in range(int(request)):
        yield b"%s %d" % (name.encode(), number)


def chat(requests, context):
    context.send_initial_metadata((("server", name),))
    yield from requests


def fail(request, context):
    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, name)


METHODS = {
    "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(unary),
    "/test.Echo/Count": grpc.unary_stream_rpc_method_handler(count),
    "/test.Echo/Chat": grpc.stream_stream_rpc_method_handler(chat),
    "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(fail),
}


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        return METHODS.get(details.method)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=[Echo()])
server.add_insecure_port(address)
server.start()
for seconds in grace:
    signal.signal(signal.SIGTERM, lambda *_: server.stop(int(seconds)))
server.wait_for_termination()
