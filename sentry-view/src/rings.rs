//! How many records of each ring were delivered, lost or throttled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something of each ring that records come through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rings<T> {
    pub critical: T,
    pub bulk: T,
}

/// When the run has ended: generated = delivered + lost + throttled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RingBooks {
    pub generated: u64,
    pub delivered: u64,
    pub lost: u64,
    /// Left out on purpose: the run had used up its share of a full ring.
    pub throttled: u64,
}
