//! What both ends of the wire agree on: sizes and times.

use std::time::Duration;

/// How often each end asks whether the other is alive, and how long it waits for
/// the answer: a peer that hangs is noticed after twice this.
pub const KEEPALIVE: Duration = Duration::from_millis(500);

/// The most bytes in a message from a requester or an administrator that has no
/// document in it.
pub const MAX_REQUEST: usize = 1 << 20;

/// The most bytes in a message from a requester that has a document in it: the
/// largest document and the fields beside it.
pub const MAX_WITH_DOCUMENT: usize = umbra_documents::MAX_DOCUMENT_BYTES + (64 << 10);

/// The most bytes in a message from a writer; 100000 components fit.
pub const MAX_WRITER_MESSAGE: usize = 16 << 20;

/// The most bytes in a message from the service.
pub const MAX_REPLY: usize = 256 << 20;

/// The most bytes of headers or trailers in one block.
pub const MAX_HEADERS: u32 = 16 << 10;

/// The most bytes of an encoded error in the trailer. In base64, and with the
/// status message beside it, it stays under the 8 KiB past which gRPC clients in
/// C begin to refuse trailers.
pub const MAX_TRAILER: usize = 4 << 10;

/// The most bytes of a gRPC status message; each may take three on the wire.
pub const MAX_STATUS_MESSAGE: usize = 512;
