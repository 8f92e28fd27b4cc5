# A server of grpc.testing.TestService: server.py OPTIONS-OF-C-CORE MILLISECONDS-OF-AN-ANSWER
import json
import sys
import time
from concurrent import futures

import grpc

options, takes = json.loads(sys.argv[1]), int(sys.argv[2]) / 1000


def empty_call(request, context):
    if takes > 0:
        time.sleep(takes)
    return b""  # an Empty is no bytes at all


server = grpc.server(futures.ThreadPoolExecutor(max_workers=64), options=list(options.items()))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
    "grpc.testing.TestService", {"EmptyCall": grpc.unary_unary_rpc_method_handler(empty_call)}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"grpcio {grpc.__version__} serves at 127.0.0.1:{port}.", flush=True)
server.wait_for_termination()
