//! What follows from the list of all rules: their thresholds as one table, and what a run holds of
//! them.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeStruct as _,
};

use super::{
    common::Common,
    contract::{About, Rule, Seen},
    judged::{Judged, Verdicts},
    limits::{Key, Section, SettingsError},
    past::Past,
};
use crate::runaway::RuleId;

macro_rules! table {
    ($($module:ident: $rule:ident,)+) => {
        /// Every rule.
        pub const RULES: &[About] = &[$(<super::$module::$rule as Rule>::ABOUT),+];

        /// Most findings of one reading.
        pub const MOST_FINDINGS: usize = 0$( + <super::$module::$rule as Rule>::SUBJECTS)+;

        /// All thresholds as a person writes them, under one key each; a missing one has its
        /// default, an unknown one is refused.
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct Limits {
            $(pub $module: super::$module::Limits,)+
            pub common: Common,
        }

        const SECTIONS: &[&[Key]] =
            &[$(<super::$module::Limits as Section>::KEYS,)+ <Common as Section>::KEYS];

        impl Limits {
            /// The longest time that a rule looks back.
            pub(crate) fn looks_back_ms(&self) -> u64 {
                0$(.max(<super::$module::$rule as Rule>::looks_back_ms(&self.$module)))+
            }

            /// The default reaction of a rule; one that is not known here is not held back.
            pub(crate) fn leads_to_acts(&self, rule: &RuleId) -> bool {
                $(if *rule == <super::$module::$rule as Rule>::ABOUT.id {
                    return <super::$module::$rule as Rule>::leads_to_acts(&self.$module);
                })+
                true
            }

            pub(crate) fn check(&self) -> Result<(), SettingsError> {
                $(self.$module.check()?;)+
                self.common.check()
            }

            fn read<'de, A: MapAccess<'de>>(&mut self, mut key: usize, map: &mut A) -> Result<(), A::Error> {
                $(
                    let keys = <super::$module::Limits as Section>::KEYS.len();
                    if key < keys {
                        return self.$module.read(key, map);
                    }
                    key -= keys;
                )+
                self.common.read(key, map)
            }
        }

        impl Serialize for Limits {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut all = serializer.serialize_struct("Limits", NAMES.len())?;
                $(self.$module.write(&mut all)?;)+
                self.common.write(&mut all)?;
                all.end()
            }
        }

        /// The rules in one run.
        pub(crate) struct Rules {
            $($module: Judged<super::$module::$rule>,)+
        }

        impl Rules {
            pub(crate) fn new(limits: &Limits, now_unix_ns: u64) -> Self {
                Self { $($module: Judged::new(&limits.$module, now_unix_ns),)+ }
            }

            pub(crate) fn set(&mut self, before: &Limits, limits: &Limits, now_unix_ns: u64) {
                $(self.$module.set(&before.$module, &limits.$module, now_unix_ns);)+
            }

            pub(crate) fn event(&mut self, seen: &Seen<'_>) {
                $(self.$module.event(seen);)+
            }

            pub(crate) fn advance(&mut self, now_unix_ns: u64) {
                $(self.$module.advance(now_unix_ns);)+
            }

            /// Judges the newest reading; the most urgent verdict first.
            pub(crate) fn judge(&mut self, now_unix_ns: u64, past: &Past, limits: &Limits) -> Verdicts {
                let mut verdicts = Verdicts::new();
                $(
                    let covered_by = <super::$module::$rule as Rule>::COVERED_BY;
                    if covered_by.is_some_and(|rule| self.holds(&rule, now_unix_ns, &limits.common)) {
                        self.$module.covered();
                    } else {
                        let (own, common) = (&limits.$module, &limits.common);
                        self.$module.judge(now_unix_ns, past, own, common, &mut verdicts);
                    }
                )+
                verdicts.sort_by_key(|(urgency, _)| *urgency);
                verdicts
            }

            fn holds(&self, rule: &RuleId, now_unix_ns: u64, common: &Common) -> bool {
                $(if *rule == <super::$module::$rule as Rule>::ABOUT.id {
                    return self.$module.holds(now_unix_ns, common);
                })+
                false
            }

            pub(crate) fn again(&mut self) {
                $(self.$module.again();)+
            }

            pub(crate) fn acted(&mut self) {
                $(self.$module.acted();)+
            }
        }
    };
}

rules!(table);

const COUNT: usize = {
    let (mut section, mut count) = (0, 0);
    while section < SECTIONS.len() {
        count += SECTIONS[section].len();
        section += 1;
    }
    count
};

const NAMES: [&str; COUNT] = {
    let mut names = [""; COUNT];
    let (mut section, mut name) = (0, 0);
    while section < SECTIONS.len() {
        let mut key = 0;
        while key < SECTIONS[section].len() {
            names[name] = SECTIONS[section][key].name;
            name += 1;
            key += 1;
        }
        section += 1;
    }
    names
};

impl Limits {
    /// Every threshold, in the order of the configuration.
    pub fn keys() -> impl Iterator<Item = &'static Key> {
        SECTIONS.iter().copied().flatten()
    }
}

impl Limits {
    /// The thresholds of a rule alone.
    #[must_use]
    pub fn keys_of(rule: &RuleId) -> &'static [Key] {
        let place = RULES.iter().position(|about| about.id == *rule);
        place.map_or(&[], |place| SECTIONS[place])
    }
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("Limits", &NAMES, All)
    }
}

struct All;

impl<'de> Visitor<'de> for All {
    type Value = Limits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thresholds")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Limits, A::Error> {
        let (mut limits, mut seen) = (Limits::default(), [false; COUNT]);
        while let Some(Name(key)) = map.next_key()? {
            if std::mem::replace(&mut seen[key], true) {
                return Err(A::Error::duplicate_field(NAMES[key]));
            }
            limits.read(key, &mut map)?;
        }
        Ok(limits)
    }
}

/// The number of a key in [`NAMES`].
struct Name(usize);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOf;
        impl Visitor<'_> for OneOf {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a threshold")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name, E> {
                let key = NAMES.iter().position(|known| *known == name);
                key.map(Name).ok_or_else(|| E::unknown_field(name, &NAMES))
            }
        }
        deserializer.deserialize_identifier(OneOf)
    }
}
