//! The OpenAPI document, made from the entries. A test compares it with the committed
//! `docs/openapi.json`.

use axum::body::Bytes;
use utoipa::openapi::{
    ComponentsBuilder, Info, LicenseBuilder, OpenApi, OpenApiBuilder, Paths,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    access::SESSION,
    entry::{COOKIE, Entry, KEY},
};

const ABOUT: &str = "What sensors reported, and commands for the runs that they watch. Times are Unix \
    milliseconds where the name ends in `_ms`; enum values are in lower case; events and findings are OCSF. \
    Errors are problems of RFC 9457. The scopes beside a key or a session are alternatives.";

const ABOUT_KEYS: &str = "A key, `askey_<prefix>_<secret>`: `admin` may do everything, `operate` reads and \
    sends commands, `readonly` reads, `agent` reads what is of the one agent that it is bound to. The content of \
    command.token in the collector's data directory has the scope `operate`.";
const ABOUT_SESSIONS: &str = "A browser's session, which `POST /api/v1/session` opens. What is not a GET carries \
    the session's `csrf` in the header X-CSRF-Token, too.";

/// The document as it is served and committed.
#[derive(Clone, Debug)]
pub(crate) struct Description(Bytes);

impl Description {
    pub(crate) fn new(entries: &[Entry]) -> Self {
        // Texts and maps with text keys: writing them as JSON cannot fail.
        let mut text = document(entries).to_pretty_json().unwrap_or_default();
        text.push('\n');
        Self(text.into())
    }

    pub(crate) fn text(&self) -> Bytes {
        self.0.clone()
    }
}

fn document(entries: &[Entry]) -> OpenApi {
    let mut paths = Paths::new();
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(ABOUT_KEYS));
    let cookie = ApiKeyValue::with_description(SESSION, ABOUT_SESSIONS);
    let mut components = ComponentsBuilder::new()
        .security_scheme(KEY, SecurityScheme::Http(key.build()))
        .security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for entry in entries {
        paths.add_path_operation(&entry.path, vec![entry.method.clone()], entry.operation.clone());
        components = components.schemas_from_iter(entry.schemas.iter().cloned());
    }
    let mut info = Info::new("Agent Sentry collector", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    let license =
        LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).identifier(Some(env!("CARGO_PKG_LICENSE")));
    info.license = Some(license.build());
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}
