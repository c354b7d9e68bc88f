//! Who may send commands: whoever knows the command token, and no web page of another origin.
//!
//! Browsers name the page's origin in `Origin` with every `POST`. It has to be the listener's own: its scheme, address
//! and port as bound, or `localhost` where loopback reaches it. What `Host` says counts for nothing, a page can choose
//! it. Limit: names under which a remote browser reaches the listener are not known here, so pages from there are
//! refused too; other programs send no `Origin`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use axum::{
    extract::FromRequestParts,
    http::{
        HeaderMap,
        header::{AUTHORIZATION, ORIGIN},
        request::Parts,
    },
};

use super::{Api, answer::ApiError, token::Token};

const SCHEME: &[u8] = b"bearer ";

/// What a caller has to show.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    token: Token,
    origins: Arc<[String]>,
}

/// Proof that the request may carry a command; a handler that takes it cannot be reached without.
#[derive(Debug)]
pub(crate) struct Commander(());

// === impl Access ===

impl Access {
    pub(crate) fn new(token: Token, listener: SocketAddr, tls: bool) -> Self {
        Self { token, origins: origins(listener, tls).into() }
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let own = |origin: &[u8]| self.origins.iter().any(|own| origin.eq_ignore_ascii_case(own.as_bytes()));
        if !headers.get_all(ORIGIN).iter().all(|origin| own(origin.as_bytes())) {
            return Err(ApiError::Origin);
        }
        let path = || self.token.path().to_owned();
        match bearer(headers) {
            None => Err(ApiError::NoToken { path: path() }),
            Some(offered) if self.token.matches(offered) => Ok(()),
            Some(_) => Err(ApiError::WrongToken { path: path() }),
        }
    }
}

// === impl Commander ===

impl FromRequestParts<Api> for Commander {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        api.access.check(&parts.headers).map(|()| Self(())).inspect_err(|refused| {
            if matches!(refused, ApiError::NoToken { .. } | ApiError::WrongToken { .. }) {
                api.metrics.unauthorized.fetch_add(1, Relaxed);
            }
            tracing::debug!(error = %refused, "command refused");
        })
    }
}

/// The one token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_ascii())
}

/// The origins of pages that this listener could have served itself.
fn origins(listener: SocketAddr, tls: bool) -> Vec<String> {
    let (scheme, usual) = if tls { ("https", 443) } else { ("http", 80) };
    let port = match listener.port() {
        port if port == usual => String::new(),
        port => format!(":{port}"),
    };
    let ip = listener.ip().to_canonical();
    let mut hosts = vec![host(ip)];
    if ip.is_unspecified() {
        hosts = vec![host(Ipv4Addr::LOCALHOST.into()), host(Ipv6Addr::LOCALHOST.into())];
    }
    if ip.is_unspecified() || ip.is_loopback() {
        hosts.push("localhost".to_owned());
    }
    hosts.into_iter().map(|host| format!("{scheme}://{host}{port}")).collect()
}

/// As it stands in a URL.
fn host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
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
    fn knows_its_own_origins() {
        let cases: [(&str, bool, &[&str]); 6] = [
            ("127.0.0.1:8440", false, &["http://127.0.0.1:8440", "http://localhost:8440"]),
            ("[::1]:8440", true, &["https://[::1]:8440", "https://localhost:8440"]),
            ("[::ffff:127.0.0.1]:80", false, &["http://127.0.0.1", "http://localhost"]),
            ("192.0.2.1:443", true, &["https://192.0.2.1"]),
            ("192.0.2.1:443", false, &["http://192.0.2.1:443"]),
            ("0.0.0.0:1", false, &["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"]),
        ];
        for (address, tls, expected) in cases {
            assert_eq!(origins(address.parse().unwrap(), tls), expected, "{address}");
        }
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

    #[test]
    fn a_foreign_page_is_refused_also_with_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::load(dir.path()).unwrap();
        let right = format!("Bearer {}", std::fs::read_to_string(token.path()).unwrap());
        let access = Access::new(token, "127.0.0.1:8440".parse().unwrap(), false);
        let check = |pages: &[&str]| {
            let mut all = headers(&[(AUTHORIZATION, &right)]);
            for page in pages {
                all.append(ORIGIN, HeaderValue::from_str(page).unwrap());
            }
            access.check(&all)
        };
        assert!(check(&[]).is_ok() && check(&["http://127.0.0.1:8440"]).is_ok());
        assert!(check(&["HTTP://LocalHost:8440"]).is_ok());
        let foreign = [
            "null",
            "",
            "https://127.0.0.1:8440",
            "http://127.0.0.1",
            "http://127.0.0.1:8440.example.test",
            "http://example.test:8440",
        ];
        for page in foreign {
            assert!(matches!(check(&[page]), Err(ApiError::Origin)), "{page:?}");
            assert!(matches!(check(&["http://localhost:8440", page]), Err(ApiError::Origin)), "{page:?}");
        }
    }
}
