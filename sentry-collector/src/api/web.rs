//! The dashboard: the files of `web/dist`, which are part of the program.
//!
//! A path below `/assets/` names its content, so that a browser keeps it for ever. Every other path
//! that a browser opens as a page, and that is none of the API, is answered with the one page,
//! which then shows what the path names. These answers say nothing about agents and need no right.
//!
//! The page may load and connect to nothing but this listener, runs no script of the page itself,
//! and nobody may frame it.

use std::{collections::HashMap, io::Write as _, sync::LazyLock};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{
            ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
        },
    },
    response::{IntoResponse as _, Response},
};
use flate2::{Compression, write::GzEncoder};
use rust_embed::Embed;

use super::answer::ApiError;
use crate::access::secret::hex;

const PAGE: &str = "index.html";
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";
const NAMED_BY_CONTENT: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

#[derive(Embed)]
#[folder = "web/dist"]
struct Dist;

/// A file, as it is served.
struct Asset {
    media_type: &'static str,
    cache: &'static str,
    etag: String,
    plain: Bytes,
    /// Only where it is smaller.
    gzip: Option<Bytes>,
}

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let named = |name: std::borrow::Cow<'static, str>| Some((name.to_string(), Asset::read(&name)?));
    Dist::iter().filter_map(named).collect()
});

/// Answers what is not of the API.
pub(crate) async fn serve(request: Request) -> Response {
    let (method, headers) = (request.method(), request.headers());
    match find(request.uri().path(), headers) {
        Some(asset) if [Method::GET, Method::HEAD].contains(method) => asset.answer(headers),
        Some(_) => ApiError::Method.into_response(),
        None => ApiError::NotFound(format!("no path {:?}", request.uri().path())).into_response(),
    }
}

fn find(path: &str, headers: &HeaderMap) -> Option<&'static Asset> {
    let name = path.strip_prefix('/')?;
    let of_program = ["api", "assets", "healthz", "readyz", "metrics"];
    let first = name.split('/').next().unwrap_or(name);
    let is_page = name.is_empty() || !of_program.contains(&first) && wants_page(headers);
    ASSETS.get(name).or_else(|| ASSETS.get(PAGE).filter(|_page| is_page))
}

/// Whether this is a browser that opens a page.
fn wants_page(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/html"))
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| part.starts_with("q=0") && part.trim_end_matches(['0', '.']) == "q=")
    })
}

// === impl Asset ===

impl Asset {
    fn read(name: &str) -> Option<Self> {
        let file = Dist::get(name)?;
        let hash = file.metadata.sha256_hash();
        let hash = hex(&hash[..16]);
        let plain = Bytes::from(file.data.into_owned());
        let (_, ending) = name.rsplit_once('.').unwrap_or_default();
        let media_type = match ending {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            "json" => "application/json",
            "txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        };
        Some(Self {
            media_type,
            cache: if name.starts_with("assets/") { NAMED_BY_CONTENT } else { ASK_AGAIN },
            // Weak: the same for both encodings.
            etag: format!("W/\"{hash}\""),
            gzip: gzip(&plain).filter(|gzip| gzip.len() < plain.len()),
            plain,
        })
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = known.flat_map(|value| value.split(',')).any(|tag| tag.trim() == self.etag);
        let mut response = Response::new(Body::empty());
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        put(ETAG, &self.etag);
        put(CACHE_CONTROL, self.cache);
        put(VARY, "accept-encoding");
        put(CONTENT_SECURITY_POLICY, POLICY);
        put(X_CONTENT_TYPE_OPTIONS, "nosniff");
        put(REFERRER_POLICY, "no-referrer");
        put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
        put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        put(CONTENT_TYPE, self.media_type);
        let body = match &self.gzip {
            Some(gzip) if takes_gzip(headers) => {
                put(CONTENT_ENCODING, "gzip");
                gzip.clone()
            }
            Some(_) | None => self.plain.clone(),
        };
        *response.body_mut() = Body::from(body);
        response
    }
}

fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    /// Most bytes of all scripts together, compressed.
    const SCRIPT_BYTES: usize = 150_000;

    async fn ask(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        serve(request.body(Body::empty()).unwrap()).await
    }

    fn header(response: &Response, name: HeaderName) -> &str {
        response.headers().get(&name).map_or("", |value| value.to_str().unwrap())
    }

    fn script() -> &'static str {
        ASSETS.keys().find(|name| name.ends_with(".js")).unwrap()
    }

    #[tokio::test]
    async fn a_browser_gets_the_page_at_every_path_outside_of_the_api() {
        let html = [(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")];
        for path in ["/", "/runs/r1", "/findings?severity=high", "/a/../b", "/api2"] {
            let page = ask(Method::GET, path, &html).await;
            assert_eq!(
                (page.status(), header(&page, CONTENT_TYPE)),
                (StatusCode::OK, "text/html; charset=utf-8")
            );
            assert_eq!(header(&page, CACHE_CONTROL), ASK_AGAIN);
        }
        for path in ["/api", "/api/v1/nothing", "/assets/nothing.js", "/metrics/x", "/assets/../index.html"] {
            assert_eq!(ask(Method::GET, path, &html).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(ask(Method::GET, "/runs/r1", &[]).await.status(), StatusCode::NOT_FOUND, "a program");
        assert_eq!(ask(Method::POST, "/", &html).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn the_page_may_load_nothing_from_elsewhere() {
        let page = ask(Method::GET, "/", &[]).await;
        let policy = header(&page, CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&page, X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(&page, REFERRER_POLICY), "no-referrer");
        let text = to_bytes(page.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("style="), "{text}");
        assert!(!text.contains("<script>") && text.contains(&format!("/{}", script())), "{text}");
    }

    #[tokio::test]
    async fn what_is_named_by_its_content_is_kept_for_ever_and_compressed() {
        let path = format!("/{}", script());
        let packed = ask(Method::GET, &path, &[(ACCEPT_ENCODING, "br, gzip;q=0.8")]).await;
        assert_eq!(header(&packed, CONTENT_ENCODING), "gzip");
        assert_eq!(header(&packed, CACHE_CONTROL), NAMED_BY_CONTENT);
        assert_eq!(header(&packed, CONTENT_TYPE), "text/javascript; charset=utf-8");
        let plain = ask(Method::GET, &path, &[(ACCEPT_ENCODING, "gzip;q=0, identity")]).await;
        assert_eq!(header(&plain, CONTENT_ENCODING), "");
        let etag = header(&plain, ETAG).to_owned();
        let again = ask(Method::GET, &path, &[(IF_NONE_MATCH, &etag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn the_scripts_are_small() {
        let scripts = ASSETS.iter().filter(|(name, _)| name.ends_with(".js"));
        let bytes: usize = scripts.map(|(_, asset)| asset.gzip.as_ref().map_or(0, Bytes::len)).sum();
        assert!((1..SCRIPT_BYTES).contains(&bytes), "{bytes}");
        assert!(ASSETS.keys().all(|name| !name.ends_with(".map")), "no source maps");
    }
}
