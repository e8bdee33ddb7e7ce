//! How large a requester's message may be: only the few that have a document in
//! them may be large, and only from those who may be requesters.

use crate::{access::Right, connections::Peer, requester::RequesterInterface};
use std::sync::Arc;
use tonic::{
    body::Body,
    codegen::{Context, Poll, Service, http},
    server::NamedService,
};
use umbra_protocol::{MAX_REQUEST, MAX_WITH_DOCUMENT, v1};
use v1::requester_server::RequesterServer;

/// The calls that bring a document.
const WITH_DOCUMENT: [&str; 4] = [
    "PrepareForBackup",
    "BackupComplete",
    "PreRestore",
    "PostRestore",
];

/// The requester's interface, which takes large messages where they belong.
#[derive(Clone)]
pub(crate) struct RequesterBySize {
    small: RequesterServer<RequesterInterface>,
    large: RequesterServer<RequesterInterface>,
}

impl RequesterBySize {
    pub(crate) fn new(interface: RequesterInterface) -> Self {
        let small = RequesterServer::from_arc(Arc::new(interface));
        Self {
            large: small.clone().max_decoding_message_size(MAX_WITH_DOCUMENT),
            small: small.max_decoding_message_size(MAX_REQUEST),
        }
    }
}

impl NamedService for RequesterBySize {
    const NAME: &'static str = <RequesterServer<RequesterInterface> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for RequesterBySize {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = <RequesterServer<RequesterInterface> as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next();
        let has_document = method.is_some_and(|method| WITH_DOCUMENT.contains(&method));
        // Whoever may not be a requester is refused once the message is read.
        let may = has_document && Peer::may(request.extensions(), Right::Requester);
        if may {
            self.large.call(request)
        } else {
            self.small.call(request)
        }
    }
}
