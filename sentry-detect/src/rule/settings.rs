//! Thresholds of the rules and of acting on them, as checked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use super::{limits::SettingsError, table::Limits};
use crate::{runaway::RuleId, sensitive::SensitiveFiles};

/// Checked thresholds, and which files are sensitive. Deserialising checks too; the files are those
/// that come with the program then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Limits", into = "Limits")]
pub struct Settings {
    limits: Limits,
    sensitive: Arc<SensitiveFiles>,
}

impl Settings {
    /// # Errors
    /// The first threshold that is outside of its range.
    pub fn new(limits: Limits) -> Result<Self, SettingsError> {
        limits.check()?;
        Ok(Self { limits, sensitive: SensitiveFiles::built_in() })
    }

    /// The same thresholds, with other sensitive files.
    #[must_use]
    pub fn with_sensitive(self, sensitive: Arc<SensitiveFiles>) -> Self {
        Self { sensitive, ..self }
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The sensitive files.
    #[must_use]
    pub fn sensitive(&self) -> &Arc<SensitiveFiles> {
        &self.sensitive
    }

    /// Whether a finding of this rule leads to acts once it is severe and sure enough.
    #[must_use]
    pub fn leads_to_acts(&self, rule: &RuleId) -> bool {
        self.limits.leads_to_acts(rule)
    }
}

impl TryFrom<Limits> for Settings {
    type Error = SettingsError;

    fn try_from(limits: Limits) -> Result<Self, SettingsError> {
        Self::new(limits)
    }
}

impl From<Settings> for Limits {
    fn from(settings: Settings) -> Self {
        settings.limits
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { limits: Limits::default(), sensitive: SensitiveFiles::built_in() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn limits(change: impl FnOnce(&mut Limits)) -> Result<Settings, SettingsError> {
        let mut limits = Limits::default();
        change(&mut limits);
        Settings::new(limits)
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::new(Limits::default()), Ok(Settings::default()));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let error = limits(|limits| limits.cpu_spin.hold_ms = 5).unwrap_err();
        assert_eq!(error.to_string(), "setting `cpu_hold_ms` is 5; set it to a number from 500 to 30000");
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(limits(|limits| limits.cpu_spin.min_cores = value).is_err());
        }
    }

    #[test]
    fn files_are_checked_on_the_way_in() {
        let read = |text| serde_json::from_str::<Settings>(text);
        assert_eq!(read("{}").unwrap(), Settings::default());
        assert_eq!(read(r#"{"cpu_hold_ms": 2000}"#).unwrap().limits().cpu_spin.hold_ms, 2000);
        assert!(read(r#"{"cpu_hold": 2000}"#).unwrap_err().to_string().contains("unknown field `cpu_hold`"));
        assert!(read(r#"{"cpu_leads_to_acts": true}"#).unwrap().leads_to_acts(&RuleId::new("cpu-spin")));
        assert!(read(r#"{"cpu_leads_to_acts": 1}"#).unwrap_err().to_string().contains("expected a boolean"));
        assert!(read(r#"{"cool_down_ms": 1}"#).unwrap_err().to_string().contains("cool_down_ms"));
        let written = serde_json::to_string(&Settings::default()).unwrap();
        assert_eq!(read(&written).unwrap(), Settings::default());
    }
}
