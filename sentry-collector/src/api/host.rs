//! The names under which the collector answers, as a defence against DNS rebinding: a web page
//! whose name was made to point here could read this listener's answers as its own. The browser
//! sets `Host` to the page's name, and that gives the page away.
//!
//! Every request, of any method and path, must name its host once, and the host must be this
//! listener: a loopback address, `localhost` or the address that the connection came to, each with
//! the listener's port, or a name of `http_names`. Otherwise the answer is 421, or 400 without a
//! `Host`, also in HTTP/1.0. A request with an `Origin` comes from a web page. If this listener
//! could not have served that page itself, the answer is 403.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Extension, Request, State},
    http::{
        HeaderMap, Uri,
        header::{HOST, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::{answer::ApiError, ends::Ends};
use crate::http_name::HttpName;

/// The names of the listener.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    ip: IpAddr,
    port: u16,
    tls: bool,
    listed: Arc<[HttpName]>,
}

// === impl Names ===

impl Names {
    pub(crate) fn new(listener: SocketAddr, tls: bool, listed: &[HttpName]) -> Self {
        Self { ip: listener.ip(), port: listener.port(), tls, listed: listed.into() }
    }

    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    /// Where a browser finds this listener: at the first listed name, else at its own address.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        match self.listed.first() {
            Some(name) => {
                let port = name.port.unwrap_or(self.port);
                format!("{scheme}://{}", HttpName { host: name.host.clone(), port: Some(port) })
            }
            None if self.ip.is_unspecified() => format!("{scheme}://localhost:{}", self.port),
            None => format!("{scheme}://{}", SocketAddr::new(self.ip, self.port)),
        }
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap, local: IpAddr) -> Result<(), ApiError> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(ApiError::Host) };
        let host = host.to_str().map_err(|_not_text| ApiError::Host)?;
        // `GET http://name/path` names the host a second time, and by the RFC that name takes
        // precedence.
        for name in uri.authority().map(Authority::as_str).into_iter().chain([host]) {
            let name: HttpName = name.parse().map_err(|_why| ApiError::Host)?;
            if !self.own(&name, local) {
                return Err(ApiError::Misdirected { name });
            }
        }
        let own_page = |origin: &[u8]| str::from_utf8(origin).is_ok_and(|origin| self.serves(origin, local));
        if headers.get_all(ORIGIN).iter().all(|origin| own_page(origin.as_bytes())) {
            Ok(())
        } else {
            Err(ApiError::Origin)
        }
    }

    fn own(&self, name: &HttpName, local: IpAddr) -> bool {
        let usual = if self.tls { 443 } else { 80 };
        let port = name.port.unwrap_or(usual);
        let listed = |known: &HttpName| known.host == name.host && known.port.unwrap_or(self.port) == port;
        let near = match name.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || ip.to_canonical() == local.to_canonical(),
            Err(_name) => name.host == "localhost",
        };
        near && port == self.port || self.listed.iter().any(listed)
    }

    /// Whether a page of this origin could come from this listener.
    fn serves(&self, origin: &str, local: IpAddr) -> bool {
        let scheme = if self.tls { "https://" } else { "http://" };
        let Some((head, name)) = origin.split_at_checked(scheme.len()) else { return false };
        head.eq_ignore_ascii_case(scheme) && name.parse().is_ok_and(|name| self.own(&name, local))
    }
}

/// Whether a request comes from this host and asks for it: not by a proxy that passes on what
/// others ask, for those ask for a name.
pub(crate) fn is_near(ends: Ends, uri: &Uri, headers: &HeaderMap) -> bool {
    let Ends::Tcp { from, .. } = ends else { return true };
    let hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let mut names = uri.authority().map(Authority::as_str).into_iter().chain(hosts);
    from.to_canonical().is_loopback()
        && names.all(|name| name.parse().is_ok_and(|name: HttpName| is_loopback(&name.host)))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

/// Passes on requests that name this listener. The unix socket has no name that a page could take.
pub(crate) async fn check(
    State(names): State<Names>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    let checked = match ends {
        Ends::Tcp { to, .. } => names.check(request.uri(), request.headers(), to),
        Ends::Unix { .. } => Ok(()),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let value = |value| HeaderValue::from_str(value).unwrap();
        pairs.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    fn names(listener: &str, tls: bool, listed: &[&str]) -> Names {
        let listed: Vec<HttpName> = listed.iter().map(|name| name.parse().unwrap()).collect();
        Names::new(listener.parse().unwrap(), tls, &listed)
    }

    fn asked(names: &Names, local: &str, pairs: &[(HeaderName, &str)]) -> Result<(), ApiError> {
        names.check(&"/".parse().unwrap(), &headers(pairs), local.parse().unwrap())
    }

    #[test]
    fn answers_under_its_own_names_only() {
        let listed = ["collector.example", "proxy.example:443", "192.0.2.9:9000"];
        let plain = names("0.0.0.0:8440", false, &listed);
        let own = [
            "127.0.0.1:8440",
            "127.9.9.9:8440",
            "[::1]:8440",
            "[::ffff:127.0.0.1]:8440",
            "LocalHost:8440",
            "192.0.2.1:8440",
            "Collector.Example:8440",
            "proxy.example:443",
            "192.0.2.9:9000",
        ];
        for host in own {
            assert!(asked(&plain, "192.0.2.1", &[(HOST, host)]).is_ok(), "{host}");
        }
        let foreign = [
            "evil.example:8440",
            "127.0.0.1",
            "127.0.0.1:8441",
            "localhost",
            "localhost.evil.example:8440",
            "192.0.2.2:8440",
            "collector.example",
            "collector.example:443",
            "proxy.example",
            "127.1:8440",
        ];
        for host in foreign {
            let answer = asked(&plain, "192.0.2.1", &[(HOST, host)]);
            assert!(matches!(answer, Err(ApiError::Misdirected { .. })), "{host}: {answer:?}");
        }
        // The default port can be omitted.
        assert!(asked(&names("[::1]:443", true, &[]), "::1", &[(HOST, "[::1]")]).is_ok());
        assert!(asked(&names("127.0.0.1:80", false, &[]), "127.0.0.1", &[(HOST, "localhost")]).is_ok());
        assert!(asked(&names("127.0.0.1:80", true, &[]), "127.0.0.1", &[(HOST, "localhost")]).is_err());
    }

    #[test]
    fn what_a_proxy_passes_on_is_not_near() {
        let from = |from: &str, pairs: &[(HeaderName, &str)], uri: &str| {
            let ends = Ends::Tcp { to: "127.0.0.1".parse().unwrap(), from: from.parse().unwrap() };
            is_near(ends, &uri.parse().unwrap(), &headers(pairs))
        };
        for host in ["127.0.0.1:8440", "localhost", "[::1]:8440"] {
            assert!(from("127.0.0.1", &[(HOST, host)], "/metrics"), "{host}");
            assert!(!from("192.0.2.1", &[(HOST, host)], "/metrics"), "{host}");
        }
        assert!(from("::ffff:127.0.0.1", &[(HOST, "localhost")], "/metrics"));
        assert!(!from("127.0.0.1", &[(HOST, "collector.example")], "/metrics"));
        assert!(!from("127.0.0.1", &[(HOST, "localhost")], "http://collector.example/metrics"));
        let unix = is_near(Ends::Unix { uid: 0 }, &"/metrics".parse().unwrap(), &headers(&[]));
        assert!(unix);
    }

    #[test]
    fn a_browser_is_led_to_a_name_of_the_listener() {
        let origin = |listener, tls, listed: &[&str]| names(listener, tls, listed).origin();
        assert_eq!(origin("127.0.0.1:8440", false, &[]), "http://127.0.0.1:8440");
        assert_eq!(origin("[::]:8443", true, &[]), "https://localhost:8443");
        assert_eq!(origin("0.0.0.0:8443", true, &["a.example", "b.example:443"]), "https://a.example:8443");
        assert_eq!(origin("0.0.0.0:8443", true, &["b.example:443"]), "https://b.example:443");
    }

    #[test]
    fn a_request_names_its_host_once() {
        let plain = names("127.0.0.1:8440", false, &[]);
        let own = (HOST, "127.0.0.1:8440");
        for pairs in [&[][..], &[own.clone(), own.clone()], &[(HOST, "")], &[(HOST, "a b")], &[(HOST, "a:b")]]
        {
            let answer = asked(&plain, "127.0.0.1", pairs);
            assert!(matches!(answer, Err(ApiError::Host)), "{pairs:?}: {answer:?}");
        }
        // The name in the request line is checked too.
        let line = |uri: &str| {
            plain.check(
                &uri.parse().unwrap(),
                &headers(std::slice::from_ref(&own)),
                "127.0.0.1".parse().unwrap(),
            )
        };
        assert!(line("http://127.0.0.1:8440/api").is_ok());
        assert!(matches!(line("http://evil.example:8440/api"), Err(ApiError::Misdirected { .. })));
    }

    #[test]
    fn a_foreign_page_is_refused() {
        let check = |names: &Names, pages: &[&str]| {
            let host = (HOST, if names.tls { "127.0.0.1:8443" } else { "127.0.0.1:8440" });
            let pages = pages.iter().map(|page| (ORIGIN, *page));
            asked(names, "127.0.0.1", &[host].into_iter().chain(pages).collect::<Vec<_>>())
        };
        let plain = names("127.0.0.1:8440", false, &[]);
        let tls = names("127.0.0.1:8443", true, &["collector.example"]);
        assert!(check(&plain, &["http://127.0.0.1:8440"]).is_ok());
        assert!(check(&plain, &["HTTP://LocalHost:8440"]).is_ok());
        assert!(check(&tls, &["https://collector.example:8443"]).is_ok());
        let foreign = [
            "null",
            "",
            "é",
            "https://127.0.0.1:8440",
            "http://127.0.0.1",
            "http://127.0.0.1:8440.example.test",
            "http://127.0.0.1:8440/",
            "http://example.test:8440",
        ];
        for page in foreign {
            assert!(matches!(check(&plain, &[page]), Err(ApiError::Origin)), "{page:?}");
            assert!(
                matches!(check(&plain, &["http://localhost:8440", page]), Err(ApiError::Origin)),
                "{page:?}"
            );
        }
        assert!(matches!(check(&tls, &["http://127.0.0.1:8443"]), Err(ApiError::Origin)));
    }
}
