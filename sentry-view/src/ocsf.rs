//! Objects of OCSF.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object of OCSF 1.9.0 (<https://schema.ocsf.io>).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = Object))]
#[serde(transparent)]
pub struct Ocsf(pub serde_json::Map<String, serde_json::Value>);
