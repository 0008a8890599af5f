//! The bearer token: compared in constant time, never printed.

use std::fmt;
use std::hint::black_box;

use crate::error::{Error, Result};

/// The secret that a client must send as `Authorization: Bearer …`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<[u8]>);

impl Token {
    /// Takes the characters that can stand in a header. Errors: it is empty, or has spaces or other characters.
    pub fn new(secret: &str) -> Result<Token> {
        if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::config("the token of the HTTP server must be one or more visible ASCII characters"));
        }
        Ok(Token(secret.as_bytes().into()))
    }

    /// Whether an `Authorization` header carries this token.
    pub fn allows(&self, authorization: Option<&[u8]>) -> bool {
        authorization.and_then(bearer).is_some_and(|given| self.equals(given))
    }

    /// Takes as long for a wrong guess as for the right one; only the guess's length shows.
    fn equals(&self, given: &[u8]) -> bool {
        let length_differs = u8::from(self.0.len() != given.len());
        let secret = self.0.iter().cycle();
        let difference = given.iter().zip(secret).fold(length_differs, |sum, (a, b)| black_box(sum | (a ^ b)));
        black_box(difference) == 0
    }
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let space = header.iter().position(|&b| b == b' ')?;
    let (scheme, rest) = header.split_at(space);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| rest.trim_ascii())
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_passes() {
        let token = Token::new("s3cret").unwrap();
        for good in ["Bearer s3cret", "bearer s3cret", "BEARER   s3cret "] {
            assert!(token.allows(Some(good.as_bytes())), "{good}");
        }
        for bad in
            ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crets3cret", "Basic s3cret", "s3cret", "Bearer S3cret"]
        {
            assert!(!token.allows(Some(bad.as_bytes())), "{bad}");
        }
        assert!(!token.allows(None));
    }

    #[test]
    fn it_is_never_printed_and_must_fit_a_header() {
        assert_eq!(format!("{:?}", Token::new("s3cret").unwrap()), "Token(…)");
        for bad in ["", "a b", "ä", "a\r\nX: y"] {
            assert!(Token::new(bad).unwrap_err().is_config(), "{bad:?}");
        }
    }
}
