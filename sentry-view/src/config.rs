//! What a configuration that was read again changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::type_of::type_of;

type_of!(
    /// `type` of a [`ConfigReload`].
    ConfigReloadType { ConfigReload }
);

/// The result of reading the configuration again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConfigReload {
    #[serde(rename = "type")]
    pub of: ConfigReloadType,
    /// What holds from now on, also for runs that are under way.
    pub changed: Vec<KeyChange>,
    /// Keys that differ from those of the start, and hold only after a restart.
    pub needs_restart: Vec<String>,
    /// All that is wrong with it. Then nothing was changed.
    pub errors: Vec<String>,
}

/// A value of the configuration that is another one than before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyChange {
    /// e.g. `agents.claude.mode`.
    pub key: String,
    /// As it was; null where there was none.
    pub before: Option<String>,
    /// As it is; null where there is none any more.
    pub after: Option<String>,
}
