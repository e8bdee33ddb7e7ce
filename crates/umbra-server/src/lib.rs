//! Serves a service on sockets: peers, credentials, sessions
