//! The OpenAPI document, made from the entries. A test compares it with the committed
//! `docs/openapi.json`.

use axum::body::Bytes;
use utoipa::openapi::{
    ComponentsBuilder, Info, LicenseBuilder, OpenApi, OpenApiBuilder, Paths,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::entry::{Entry, TOKEN};

const ABOUT: &str = "What sensors reported, and commands for the runs that they watch. Times are Unix \
    milliseconds where the name ends in `_ms`; enum values are in lower case; events and findings are OCSF.";

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
    let mut components = ComponentsBuilder::new().security_scheme(
        TOKEN,
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("The content of command.token in the collector's data directory."))
                .build(),
        ),
    );
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
