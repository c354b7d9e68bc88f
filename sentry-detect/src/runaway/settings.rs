//! Thresholds of the detectors and of acting on them: as typed, and as checked.
//!
//! [`Limits::default`] is the one place of the defaults.

use serde::{Deserialize, Serialize};

use super::{call_flood::CALL_FLOOD, cpu_spin::CPU_SPIN};
use crate::control::LEFT_CONTROL;

/// All thresholds as a person writes them; a missing one has its default, an unknown one is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// `spawn-storm`: the time that births and deaths are counted over.
    pub storm_horizon_ms: u64,
    /// `spawn-storm`: new processes still alive within that time.
    pub storm_net_processes: u64,
    /// `spawn-storm`: processes born per second.
    pub storm_births_per_s: f64,
    /// `exec-loop`: the time that execs are counted over.
    pub exec_loop_hold_ms: u64,
    /// `exec-loop`: execs per second, over all of that time and in each half of it.
    pub exec_loop_execs_per_s: f64,
    /// `exec-loop`: share of execs that run one of the four most frequent command lines.
    pub exec_loop_repeated_share: f64,
    /// `cpu-spin`, `call-flood`: the time that CPU use, or the rate of calls, has to last.
    pub cpu_hold_ms: u64,
    /// `cpu-spin`: cores used, on average and in three of four readings.
    pub cpu_min_cores: f64,
    /// `cpu-spin`: distinct acts in the hold time that count as full variety.
    pub cpu_full_variety: u64,
    /// `cpu-spin`: confidence from which it is a finding.
    pub cpu_min_confidence: f64,
    /// `cpu-spin`: whether it leads to acts, or is a finding only.
    pub cpu_leads_to_acts: bool,
    /// `call-flood`: acts of one kind per second, over all of the hold time and in each half of it.
    pub flood_calls_per_s: f64,
    /// `call-flood`: share of the seen acts that meet one of the four most frequent objects.
    pub flood_repeated_share: f64,
    /// `call-flood`: whether it leads to acts, or is a finding only.
    pub flood_leads_to_acts: bool,
    /// A rule that goes on holding, or a service that is asked again, is a finding again after this time.
    pub cool_down_ms: u64,
    /// Confidence from which a finding of high or critical severity leads to acts, unless its rule never does.
    pub act_min_confidence: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            storm_horizon_ms: 1_000,
            storm_net_processes: 64,
            storm_births_per_s: 50.0,
            exec_loop_hold_ms: 2_000,
            exec_loop_execs_per_s: 40.0,
            exec_loop_repeated_share: 0.8,
            cpu_hold_ms: 3_000,
            cpu_min_cores: 0.8,
            cpu_full_variety: 64,
            cpu_min_confidence: 0.7,
            cpu_leads_to_acts: false,
            flood_calls_per_s: 20_000.0,
            flood_repeated_share: 0.9,
            flood_leads_to_acts: false,
            cool_down_ms: 30_000,
            act_min_confidence: 0.8,
        }
    }
}

/// Checked thresholds. Deserialising checks too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Limits", into = "Limits")]
pub struct Settings(Limits);

impl Settings {
    /// # Errors
    /// The first threshold that is outside of its range.
    pub fn new(limits: Limits) -> Result<Self, SettingsError> {
        let ranges: [(&'static str, f64, f64, f64); 14] = [
            ("storm_horizon_ms", limits.storm_horizon_ms as f64, 100.0, 10_000.0),
            ("storm_net_processes", limits.storm_net_processes as f64, 8.0, 1e6),
            ("storm_births_per_s", limits.storm_births_per_s, 1.0, 1e6),
            ("exec_loop_hold_ms", limits.exec_loop_hold_ms as f64, 500.0, 30_000.0),
            ("exec_loop_execs_per_s", limits.exec_loop_execs_per_s, 1.0, 1e6),
            ("exec_loop_repeated_share", limits.exec_loop_repeated_share, 0.1, 1.0),
            ("cpu_hold_ms", limits.cpu_hold_ms as f64, 500.0, 30_000.0),
            ("cpu_min_cores", limits.cpu_min_cores, 0.05, 1024.0),
            ("cpu_full_variety", limits.cpu_full_variety as f64, 2.0, 128.0),
            ("cpu_min_confidence", limits.cpu_min_confidence, 0.1, 1.0),
            ("flood_calls_per_s", limits.flood_calls_per_s, 100.0, 1e9),
            ("flood_repeated_share", limits.flood_repeated_share, 0.1, 1.0),
            ("cool_down_ms", limits.cool_down_ms as f64, 1_000.0, 3_600_000.0),
            ("act_min_confidence", limits.act_min_confidence, 0.1, 1.0),
        ];
        for (field, value, lowest, highest) in ranges {
            // Also refuses what is not a number.
            if !(lowest..=highest).contains(&value) {
                return Err(SettingsError::OutOfRange { field, value, lowest, highest });
            }
        }
        Ok(Self(limits))
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0
    }

    /// Whether a finding of this rule leads to acts once it is severe and sure enough. CPU alone
    /// does not, nor do calls, unless it is asked for: ordinary work may look the same. Nor does
    /// `left-control`: it is what many agents are made to do.
    #[must_use]
    pub fn leads_to_acts(&self, rule: &str) -> bool {
        match rule {
            CPU_SPIN => self.0.cpu_leads_to_acts,
            CALL_FLOOD => self.0.flood_leads_to_acts,
            LEFT_CONTROL => false,
            _ => true,
        }
    }

    /// The longest time that a detector looks back.
    pub(crate) fn longest_horizon_ns(&self) -> u64 {
        ns(self.0.storm_horizon_ms.max(self.0.exec_loop_hold_ms).max(self.0.cpu_hold_ms))
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
        settings.0
    }
}

/// Why thresholds were refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error("setting `{field}` is {value}; set it to a number from {lowest} to {highest}")]
    OutOfRange { field: &'static str, value: f64, lowest: f64, highest: f64 },
}

/// Milliseconds of a checked setting as nanoseconds.
pub(crate) fn ns(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::new(Limits::default()), Ok(Settings::default()));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let error = Settings::new(Limits { cpu_hold_ms: 5, ..Limits::default() }).unwrap_err();
        assert_eq!(error.to_string(), "setting `cpu_hold_ms` is 5; set it to a number from 500 to 30000");
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Settings::new(Limits { cpu_min_cores: value, ..Limits::default() }).is_err());
        }
    }

    #[test]
    fn files_are_checked_on_the_way_in() {
        let read = |text| serde_json::from_str::<Settings>(text);
        assert_eq!(read("{}").unwrap(), Settings::default());
        assert_eq!(read(r#"{"cpu_hold_ms": 2000}"#).unwrap().limits().cpu_hold_ms, 2000);
        assert!(read(r#"{"cpu_hold": 2000}"#).unwrap_err().to_string().contains("unknown field `cpu_hold`"));
        assert!(read(r#"{"cpu_leads_to_acts": true}"#).unwrap().leads_to_acts(CPU_SPIN));
        assert!(read(r#"{"cpu_leads_to_acts": 1}"#).unwrap_err().to_string().contains("expected a boolean"));
        assert!(read(r#"{"cool_down_ms": 1}"#).unwrap_err().to_string().contains("cool_down_ms"));
        let written = serde_json::to_string(&Settings::default()).unwrap();
        assert_eq!(read(&written).unwrap(), Settings::default());
    }
}
