#!/usr/bin/env python3
"""A writer that owns a folder, to start your own from. It appends numbered lines
to the file `lines`, stops between Freeze and Thaw, and prints every event.

- A full backup takes the whole file; an incremental one only what was appended
  since, as a partial file. The stamp of a backup is the length of the file.
- Before a restore it stops writing, and goes on after it.
- A requester that sets the backup option `fail` sees how a writer fails.

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
from umbra.v1 import components_pb2, types_pb2, writer_pb2, writer_pb2_grpc  # noqa: E402

# The class of this writer: the same wherever it runs.
WRITER_ID = "6f2b7d52-54a7-4c19-9a43-0c6c0f0d7a11"

# Numbers of the VSS reference.
VSS_BS_INCREMENTAL, VSS_BS_TIMESTAMPED = 0x2, 0x20
VSS_RME_RESTORE_IF_CAN_REPLACE = 2
VSS_WRE_ALWAYS = 3
VSS_BT_INCREMENTAL = 2
VSS_RT_ORIGINAL = 1
VSS_RS_FAILED = 3

# This writer's own code for a failure that was asked for.
ASKED_TO_FAIL = 42


class Failure(Exception):
    """An event failed: a veto."""

    def __init__(self, kind, message, code=None):
        super().__init__(message)
        self.veto = writer_pb2.WriterVeto(kind=kind, message=message, application_code=code)


class Data:
    """The data: a thread that appends a numbered line every few milliseconds."""

    def __init__(self, folder):
        self.folder = folder
        self.file = os.path.join(folder, b"lines")
        self.writing = threading.Lock()
        self.stopped = False
        # How long the file was at Freeze: as long as it is in the copy.
        self.frozen_length = 0
        os.makedirs(os.path.join(folder, b"settings"), exist_ok=True)
        self.append(0)
        threading.Thread(target=self.write, daemon=True).start()

    def append(self, number):
        """Opens the file each time: a restore may have put another in its place."""
        with open(self.file, "ab") as file:
            file.write(b"%d\n" % number)

    def write(self):
        number = 0
        while True:
            number += 1
            with self.writing:
                self.append(number)
            threading.Event().wait(0.005)

    def stop(self):
        """Waits for a write on its way, then lets none start."""
        if not self.stopped:
            self.writing.acquire()
            self.stopped = True

    def go_on(self):
        if self.stopped:
            self.stopped = False
            self.writing.release()

    def freeze(self):
        self.stop()
        self.frozen_length = os.path.getsize(self.file)


def metadata(folder, instance):
    """Who this is and what it owns. Paths are bytes."""
    settings = os.path.join(folder, b"settings")
    data = types_pb2.Component(
        name="data",
        caption="The example's lines",
        selectable=True,
        selectable_for_restore=True,
        notify_on_backup_complete=True,
        files=[types_pb2.FileSet(path=folder, specification="lines")],
    )
    # Below `data`: comes with it in a backup, may be restored alone.
    below = types_pb2.Component(
        logical_path="data",
        name="settings",
        selectable_for_restore=True,
        files=[types_pb2.FileSet(path=settings, specification="*", recursive=True)],
    )
    return types_pb2.WriterMetadata(
        writer_id=WRITER_ID,
        instance_id=instance,
        name="Python Example Writer",
        major_version=1,
        level=types_pb2.FREEZE_LEVEL_FRONT_END,
        backup_schema=VSS_BS_INCREMENTAL | VSS_BS_TIMESTAMPED,
        # It wants PreRestore and PostRestore in any case.
        restore=types_pb2.RestorePlan(
            method=VSS_RME_RESTORE_IF_CAN_REPLACE, writer_restore=VSS_WRE_ALWAYS
        ),
        components=[data, below],
        excluded=[types_pb2.FileSet(path=settings, specification="*.tmp")],
    )


def refuse_on_request(chosen):
    for component in chosen:
        if component.backup_options == "fail":
            why = "it was asked to fail; leave the backup option out"
            component.prepare_for_backup_failure = why
            raise Failure(writer_pb2.WRITER_FAILURE_KIND_NON_RETRYABLE, why, ASKED_TO_FAIL)


def describe_backup(chosen, backup, data):
    """Leaves at the component `data` what the backup needs to know."""
    for component in chosen:
        if (component.logical_path, component.name) != ("", "data"):
            continue
        length, previous = data.frozen_length, component.previous_backup_stamp
        component.backup_stamp = str(length)
        component.backup_metadata = f"{length} bytes of lines"
        incremental = backup.backup_type == VSS_BT_INCREMENTAL and backup.partial_files
        if incremental and previous.isdigit() and int(previous) <= length:
            ranges = f"{previous}:{length - int(previous)}"
            component.partial_files.add(path=data.folder, name=b"lines", ranges=ranges)


def check_restore(chosen):
    for component in chosen:
        if component.file_restore_status == VSS_RS_FAILED:
            why = "files are missing after the restore; restore them again"
            component.post_restore_failure = why
            raise Failure(writer_pb2.WRITER_FAILURE_KIND_RETRYABLE, why)


def act(kind, event, chosen, data):
    """Does what an event asks. What it changes at the chosen components goes back."""
    if kind == "prepare_for_backup":
        refuse_on_request(chosen)
    elif kind == "freeze":
        data.freeze()
    elif kind in ("thaw", "abort", "backup_shutdown"):
        # The last one also after pre_restore, when no post_restore is to come.
        data.go_on()
    elif kind == "post_snapshot":
        describe_backup(chosen, event.backup, data)
    elif kind == "pre_restore":
        data.stop()
        for component in chosen:
            component.restore_target = VSS_RT_ORIGINAL
    elif kind == "post_restore":
        data.go_on()
        check_restore(chosen)


def answer(message, data, owned):
    """The reply to an event."""
    kind = message.WhichOneof("event")
    event = getattr(message, kind)
    reply = writer_pb2.WriterReply(sequence=message.sequence, done=writer_pb2.WriterDone())
    if kind == "identify":
        reply.done.metadata.CopyFrom(owned)
    # Nothing is chosen where the requester backs up whole volumes.
    came = list(event.chosen.components) if hasattr(event, "chosen") else []
    chosen = [components_pb2.ChosenComponent.FromString(one.SerializeToString()) for one in came]
    try:
        act(kind, event, chosen, data)
    except Failure as failure:
        reply.veto.CopyFrom(failure.veto)
    reply.changed.extend(now for one, now in zip(came, chosen) if one != now)
    return writer_pb2.WriterMessage(reply=reply)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("folder", type=os.fsencode)
    arguments.add_argument("--target", default="unix-abstract:umbra")
    arguments = arguments.parse_args()

    # An event has all the components in it that were chosen.
    options = [("grpc.max_receive_message_length", -1)]
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
            data.go_on()
            outgoing.put(None)


if __name__ == "__main__":
    main()
