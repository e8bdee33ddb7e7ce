//! The name of one stretch of unbroken tracking.

use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Given anew each time tracking starts. A mirror keeps the token that it was
/// copied under: while the tracker has the same, no write since was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrackingToken(Uuid);

impl TrackingToken {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }
}

impl fmt::Display for TrackingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no tracking token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no tracking token")]
pub struct NoToken(String);

impl FromStr for TrackingToken {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| NoToken(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_its_text() {
        let token = TrackingToken::random();
        assert_eq!(token.to_string().parse(), Ok(token));
        assert_eq!(TrackingToken::from_bytes(token.to_bytes()), token);
        assert_ne!(token, TrackingToken::random());
        assert!("yesterday".parse::<TrackingToken>().is_err());
    }
}
