//! Errors on the wire: a gRPC status, with the whole error in a trailer.

use crate::{MAX_STATUS_MESSAGE, MAX_TRAILER, v1};
use prost::Message;
use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};
use umbra_model::{VssCode, VssError};

/// The trailer that carries an encoded `umbra.v1.Error`.
pub const ERROR_TRAILER: &str = "umbra-error-bin";

/// How deep failures while undoing may nest on the wire.
const MAX_DEPTH: usize = 8;
/// Stands where something was cut to fit.
const CUT: &str = "(the rest was too long for the wire)";

impl From<VssError> for v1::Error {
    fn from(error: VssError) -> Self {
        outgoing(&error, MAX_DEPTH)
    }
}

impl From<v1::Error> for VssError {
    /// A code that is not in the VSS table becomes `VSS_E_UNEXPECTED`, and the
    /// number a cause.
    fn from(error: v1::Error) -> Self {
        let code = VssCode::from_hresult(error.hresult);
        let mut result = Self::new(code.unwrap_or(VssCode::Unexpected), error.message);
        for cause in error.causes {
            result = result.caused_by_text(cause);
        }
        if code.is_none() {
            result = result.caused_by_text(format!("the error has the code {:#x}", error.hresult));
        }
        error
            .later
            .into_iter()
            .fold(result, |result, later| result.followed_by(later.into()))
    }
}

fn outgoing(error: &VssError, depth: usize) -> v1::Error {
    let later = match depth.checked_sub(1) {
        Some(below) => error
            .later()
            .iter()
            .map(|one| outgoing(one, below))
            .collect(),
        None => Vec::new(),
    };
    v1::Error {
        hresult: error.code().hresult(),
        message: error.message().to_owned(),
        causes: error.causes().to_vec(),
        later,
    }
}

/// The status for an error: its nearest gRPC code, its message, and all of it in
/// the trailer, cut where that would overflow a header block.
pub fn to_status(error: &VssError) -> Status {
    let mut trailer = outgoing(error, MAX_DEPTH);
    shorten(&mut trailer);
    let mut metadata = MetadataMap::new();
    metadata.insert_bin(
        ERROR_TRAILER,
        MetadataValue::from_bytes(&trailer.encode_to_vec()),
    );
    let mut message = error.message().to_owned();
    truncate(&mut message, MAX_STATUS_MESSAGE);
    Status::with_metadata(status_code(error.code()), message, metadata)
}

/// The error that a status stands for; where it carries none (the transport
/// broke, a deadline passed, the peer is no Umbra), one in clear words.
pub fn from_status(status: &Status) -> VssError {
    let carried = status
        .metadata()
        .get_bin(ERROR_TRAILER)
        .and_then(|value| value.to_bytes().ok())
        .and_then(|bytes| v1::Error::decode(bytes).ok());
    if let Some(error) = carried {
        return error.into();
    }
    let (code, message) = match status.code() {
        // VSS means another machine's service; here it is the one on the socket.
        Code::Unavailable => (
            VssCode::RemoteServerUnavailable,
            "the connection to the Umbra service broke; see `systemctl status umbrad` and try again",
        ),
        Code::Cancelled | Code::DeadlineExceeded => (
            VssCode::AsyncCancelled,
            "the call to the Umbra service was cancelled or took longer than its deadline",
        ),
        Code::ResourceExhausted | Code::OutOfRange => (
            VssCode::InvalidArgument,
            "a message to or from the Umbra service is larger than the wire allows",
        ),
        Code::PermissionDenied | Code::Unauthenticated => {
            (VssCode::AccessDenied, "the Umbra service refused the call")
        }
        Code::InvalidArgument => (
            VssCode::InvalidArgument,
            "the Umbra service did not understand the call",
        ),
        Code::Unimplemented => (
            VssCode::NotSupported,
            "what listens on this socket does not know the call: another version of Umbra, or another program",
        ),
        _ => (
            VssCode::RemoteServerUnavailable,
            "the call to the Umbra service failed in transport",
        ),
    };
    let error = VssError::new(code, message);
    match status.message() {
        "" => error,
        said => error.caused_by_text(said),
    }
}

/// Cuts the least important first: late failures, far causes, the message's end.
fn shorten(error: &mut v1::Error) {
    let mut cut = false;
    // As a field it has a tag and a length before it.
    let with_cut = CUT.len() + 4;
    while error.encoded_len() + with_cut > MAX_TRAILER {
        cut = true;
        if error.later.pop().is_some() || error.causes.pop().is_some() {
            continue;
        }
        truncate(&mut error.message, MAX_TRAILER / 2);
        break;
    }
    if cut {
        error.causes.push(CUT.to_owned());
    }
}

fn truncate(text: &mut String, most: usize) {
    const ELLIPSIS: &str = "…";
    if text.len() > most {
        let mut end = most - ELLIPSIS.len();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(ELLIPSIS);
    }
}

fn status_code(code: VssCode) -> Code {
    match code {
        VssCode::InvalidArgument => Code::InvalidArgument,
        VssCode::AccessDenied => Code::PermissionDenied,
        VssCode::ObjectNotFound | VssCode::ProviderNotRegistered => Code::NotFound,
        VssCode::ObjectAlreadyExists | VssCode::WriterAlreadySubscribed => Code::AlreadyExists,
        VssCode::BadState
        | VssCode::VolumeInUse
        | VssCode::VolumeNotSupported
        | VssCode::VolumeNotSupportedByProvider
        | VssCode::UnsupportedContext => Code::FailedPrecondition,
        VssCode::AsyncCancelled => Code::Cancelled,
        VssCode::NotSupported => Code::Unimplemented,
        VssCode::OutOfMemory
        | VssCode::InsufficientStorage
        | VssCode::MaximumNumberOfVolumesReached
        | VssCode::MaximumNumberOfSnapshotsReached => Code::ResourceExhausted,
        VssCode::FlushWritesTimeout
        | VssCode::HoldWritesTimeout
        | VssCode::WriterErrorTimeout
        | VssCode::WriterNotResponding => Code::DeadlineExceeded,
        VssCode::SnapshotSetInProgress
        | VssCode::ProviderVeto
        | VssCode::WriterErrorInconsistentSnapshot
        | VssCode::WriterErrorOutOfResources
        | VssCode::WriterErrorRetryable
        | VssCode::WriterErrorNonRetryable => Code::Aborted,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_failures_become_clear_words() {
        let check = |status: Status, code, words: &str| {
            let error = from_status(&status);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        };
        check(
            Status::unavailable("broken pipe"),
            VssCode::RemoteServerUnavailable,
            "broke",
        );
        check(Status::cancelled(""), VssCode::AsyncCancelled, "cancelled");
        check(
            Status::deadline_exceeded("x"),
            VssCode::AsyncCancelled,
            "deadline",
        );
        check(Status::permission_denied("no"), VssCode::AccessDenied, "no");
        check(Status::unimplemented(""), VssCode::NotSupported, "version");
    }

    #[test]
    fn an_unknown_code_stays_visible() {
        let error = VssError::from(v1::Error {
            hresult: 0x8004_ffff,
            message: "something new".into(),
            ..Default::default()
        });
        assert_eq!(error.code(), VssCode::Unexpected);
        assert!(error.to_string().contains("0x8004ffff"), "{error}");
    }
}
