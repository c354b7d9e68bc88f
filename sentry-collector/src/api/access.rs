//! What a command must carry: `Authorization: Bearer <token>` with the command token. Requests from
//! web pages of another origin were refused before, see [`super::host`].

use axum::http::{HeaderMap, header::AUTHORIZATION};

use super::{answer::ApiError, token::Token};

const SCHEME: &[u8] = b"bearer ";

/// What a caller must send.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    token: Token,
}

// === impl Access ===

impl Access {
    pub(crate) fn new(token: Token) -> Self {
        Self { token }
    }

    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let path = || self.token.path().to_owned();
        match bearer(headers) {
            None => Err(ApiError::NoToken { path: path() }),
            Some(offered) if self.token.matches(offered) => Ok(()),
            Some(_) => Err(ApiError::WrongToken { path: path() }),
        }
    }
}

/// The one token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_ascii())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn reads_one_bearer_token() {
        let token = |value| bearer(&headers(&[(AUTHORIZATION, value)])).map(<[u8]>::to_vec);
        assert_eq!(token("Bearer abc"), Some(b"abc".to_vec()));
        assert_eq!(token("bEARER   abc "), Some(b"abc".to_vec()));
        assert_eq!(token("Bearer "), Some(Vec::new()));
        for other in ["", "abc", "Bearer", "Bearerabc", "Basic abcdefg", "Token Bearer abc"] {
            assert_eq!(token(other), None, "{other:?}");
        }
        assert_eq!(bearer(&headers(&[])), None);
        assert_eq!(bearer(&headers(&[(AUTHORIZATION, "Bearer a"), (AUTHORIZATION, "Bearer a")])), None);
    }
}
