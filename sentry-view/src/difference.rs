//! What one run did that another did not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::type_of::type_of;

type_of!(
    /// `type` of a [`Difference`].
    DifferenceType { Difference }
);

/// What `run` did and `base` did not, each list in the order of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    #[serde(rename = "type")]
    pub of: DifferenceType,
    /// Id of the run that is compared with.
    pub base: String,
    /// Id of the run that is looked at.
    pub run: String,
    /// Paths of programs.
    pub programs: Vec<String>,
    /// Changed files; those below the run's directory by their place in it.
    pub changed: Vec<String>,
    /// Names, or addresses where no name is known.
    pub destinations: Vec<String>,
    /// Names that were looked up.
    pub lookups: Vec<String>,
    /// Sensitive files, with their class.
    pub sensitive: Vec<String>,
    /// Rules that found something.
    pub findings: Vec<String>,
}
