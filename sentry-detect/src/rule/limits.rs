//! How a rule declares the thresholds that it is judged by: each once, with its type, default,
//! range and meaning. Reading a configuration, writing one, checking it and the table in
//! `docs/configuration.md` follow from the declaration.

use serde::{
    de::{DeserializeOwned, MapAccess},
    ser::SerializeStruct,
};

/// One threshold as the configuration has it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// e.g. `storm_horizon_ms`.
    pub name: &'static str,
    /// What a finding needs of it, for a person.
    pub meaning: &'static str,
    /// As it stands in the documentation.
    pub default: &'static str,
}

/// Why thresholds were refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum SettingsError {
    #[error("setting `{field}` is {value}; set it to a number from {lowest} to {highest}")]
    OutOfRange { field: &'static str, value: f64, lowest: f64, highest: f64 },
}

/// The thresholds of one rule. [`limits`] implements it.
pub(crate) trait Section: Default {
    const KEYS: &'static [Key];

    /// Reads the value of the key with this number.
    fn read<'de, A: MapAccess<'de>>(&mut self, key: usize, map: &mut A) -> Result<(), A::Error>;

    /// Writes all keys, in their order.
    fn write<S: SerializeStruct>(&self, to: &mut S) -> Result<(), S::Error>;

    /// The first that is out of its range.
    fn check(&self) -> Result<(), SettingsError>;
}

/// What a threshold can be.
pub(crate) trait Threshold: Copy + DeserializeOwned + serde::Serialize {
    /// To be held against a range.
    fn number(self) -> f64;
}

impl Threshold for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Threshold for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Threshold for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}

/// Whether a threshold is within its range; what is no number is not.
pub(crate) fn in_range<T: Threshold>(
    field: &'static str,
    value: T,
    (lowest, highest): (f64, f64),
) -> Result<(), SettingsError> {
    let value = value.number();
    if (lowest..=highest).contains(&value) {
        Ok(())
    } else {
        Err(SettingsError::OutOfRange { field, value, lowest, highest })
    }
}

/// Declares the thresholds of a rule: `prefix` and field make the key, the comment is its meaning,
/// and a number has a range.
macro_rules! limits {
    (
        $(#[$meta:meta])*
        $name:ident, $prefix:literal {
            $($(#[doc = $meaning:literal])+ $field:ident: $type:ty = $default:literal $(in $lowest:literal..=$highest:literal)?;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $meaning])+ pub $field: $type),*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl $crate::rule::limits::Section for $name {
            const KEYS: &'static [$crate::rule::limits::Key] = &[$($crate::rule::limits::Key {
                name: concat!($prefix, stringify!($field)),
                meaning: concat!($($meaning),+),
                default: stringify!($default),
            }),*];

            fn read<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: usize,
                map: &mut A,
            ) -> Result<(), A::Error> {
                let name = Self::KEYS[key].name;
                $(if name == concat!($prefix, stringify!($field)) {
                    self.$field = map.next_value()?;
                })*
                Ok(())
            }

            fn write<S: serde::ser::SerializeStruct>(&self, to: &mut S) -> Result<(), S::Error> {
                $(to.serialize_field(concat!($prefix, stringify!($field)), &self.$field)?;)*
                Ok(())
            }

            fn check(&self) -> Result<(), $crate::rule::limits::SettingsError> {
                $($($crate::rule::limits::in_range(
                    concat!($prefix, stringify!($field)),
                    self.$field,
                    ($lowest, $highest),
                )?;)?)*
                Ok(())
            }
        }
    };
}

pub(crate) use limits;

/// For a rule that has no thresholds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NoLimits;

impl Section for NoLimits {
    const KEYS: &'static [Key] = &[];

    fn read<'de, A: MapAccess<'de>>(&mut self, _key: usize, _map: &mut A) -> Result<(), A::Error> {
        Ok(())
    }

    fn write<S: SerializeStruct>(&self, _to: &mut S) -> Result<(), S::Error> {
        Ok(())
    }

    fn check(&self) -> Result<(), SettingsError> {
        Ok(())
    }
}
