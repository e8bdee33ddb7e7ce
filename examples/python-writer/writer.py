#!/usr/bin/env python3
"""A writer that owns a folder: it appends numbered lines to a file in it, and
stops between Freeze and Thaw. It prints every event.

Run generate.sh once, then:

    target/python-writer/venv/bin/python examples/python-writer/writer.py /srv/data

It connects to the service's abstract socket, which needs no options. A path
socket needs the option grpc.default_authority, since gRPC would otherwise send
the path as the authority, and the service refuses that as no host name.
"""

import argparse
import os
import pathlib
import queue
import sys
import threading
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, os.environ.get("UMBRA_GENERATED", str(ROOT / "target/python-writer/generated")))

import grpc  # noqa: E402
from umbra.v1 import types_pb2, writer_pb2, writer_pb2_grpc  # noqa: E402

# The class of this writer: the same wherever it runs.
WRITER_ID = "6f2b7d52-54a7-4c19-9a43-0c6c0f0d7a11"


class Data:
    """The data: a thread that appends a numbered line every few milliseconds."""

    def __init__(self, folder):
        self.folder = folder
        self.writing = threading.Lock()
        self.frozen = False
        threading.Thread(target=self.write, daemon=True).start()

    def write(self):
        number = 0
        with open(os.path.join(self.folder, b"lines"), "ab") as file:
            while True:
                number += 1
                with self.writing:
                    file.write(b"%d\n" % number)
                    file.flush()
                threading.Event().wait(0.005)

    def freeze(self):
        """Waits for a write on its way, then lets none start."""
        self.writing.acquire()
        self.frozen = True

    def thaw(self):
        if self.frozen:
            self.frozen = False
            self.writing.release()


def metadata(folder, instance):
    """Who this is and what it owns. Paths are bytes."""
    files = types_pb2.FileSet(path=folder, specification="*", recursive=True)
    data = types_pb2.Component(name="data", selectable=True, files=[files])
    return types_pb2.WriterMetadata(
        writer_id=WRITER_ID,
        instance_id=instance,
        name="Python Example Writer",
        level=types_pb2.FREEZE_LEVEL_FRONT_END,
        components=[data],
    )


def answer(event, data, owned):
    """Does what an event asks, and returns the reply."""
    kind = event.WhichOneof("event")
    done = writer_pb2.WriterDone()
    if kind == "identify":
        done.metadata.CopyFrom(owned)
    elif kind == "freeze":
        data.freeze()
    elif kind in ("thaw", "abort"):
        data.thaw()
    reply = writer_pb2.WriterReply(sequence=event.sequence, done=done)
    return writer_pb2.WriterMessage(reply=reply)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("folder", type=os.fsencode)
    arguments.add_argument("--target", default="unix-abstract:umbra")
    arguments = arguments.parse_args()

    options = []
    if not arguments.target.startswith("unix-abstract:"):
        options.append(("grpc.default_authority", "localhost"))
    folder = os.path.abspath(arguments.folder)
    owned = metadata(folder, str(uuid.uuid4()))
    data = Data(folder)

    outgoing = queue.Queue()
    outgoing.put(writer_pb2.WriterMessage(hello=writer_pb2.WriterHello(metadata=owned)))
    with grpc.insecure_channel(arguments.target, options=options) as channel:
        stub = writer_pb2_grpc.WriterStub(channel)
        try:
            for event in stub.Subscribe(iter(outgoing.get, None)):
                print(event.WhichOneof("event"), flush=True)
                if event.WhichOneof("event") != "welcome":
                    outgoing.put(answer(event, data, owned))
        except grpc.RpcError as error:
            sys.exit(f"the service ended the subscription: {error.details()}")
        finally:
            # Whatever ended the subscription, nothing stays stopped.
            data.thaw()
            outgoing.put(None)


if __name__ == "__main__":
    main()
