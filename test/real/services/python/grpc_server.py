"""A gRPC server in another language, with reflection; its JSON mapping is Google's own. Prints its port."""
import sys
import tempfile
from concurrent import futures
from pathlib import Path
import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from grpc_tools import protoc

folder = Path(__file__).parent
out = tempfile.mkdtemp()
assert protoc.main(["protoc", f"-I{folder}", f"-I{Path(protoc.__file__).parent / '_proto'}", f"--python_out={out}", f"--grpc_python_out={out}", str(folder / "inventory.proto")]) == 0
sys.path.insert(0, out)
import inventory_pb2 as messages  # noqa: E402
import inventory_pb2_grpc as services  # noqa: E402


class Inventory(services.InventoryServicer):
    def PrintJson(self, request, context):
        return messages.Text(json=json_format.MessageToJson(request, indent=None, always_print_fields_with_no_presence=True))

    def ParseJson(self, request, context):
        try:
            return json_format.Parse(request.json, messages.Item())
        except json_format.ParseError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    def GetItem(self, request, context):
        if request.n == 1:
            return messages.Item(text="ü 🐕", i64=2**53 + 1)
        detail = error_details_pb2.ErrorInfo(reason="NO_SUCH_ITEM", domain="inventory.example")
        status = status_pb2.Status(code=5, message=f"no item {request.n}")
        status.details.add().Pack(detail)
        context.abort_with_status(rpc_status.to_status(status))

    def DeleteItem(self, request, context):
        return request

    def WatchItems(self, request, context):
        n = 0
        while context.is_active() and (request.n < 0 or n < request.n):
            n += 1
            yield messages.Count(n=n)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
services.add_InventoryServicer_to_server(Inventory(), server)
reflection.enable_server_reflection((messages.DESCRIPTOR.services_by_name["Inventory"].full_name, reflection.SERVICE_NAME), server)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
