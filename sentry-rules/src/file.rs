//! A file of rules as typed.

use std::{collections::BTreeMap, fmt};

use sentry_detect::runaway::Severity;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use crate::time::Time;

/// What is wrong, and where.
pub(crate) type Wrong = Vec<(Location, String)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    #[serde(rename = "version")]
    pub(crate) _version: Version,
    #[serde(default)]
    pub(crate) rules: Vec<RuleFile>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Version;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFile {
    pub(crate) id: Spanned<String>,
    pub(crate) title: Spanned<String>,
    pub(crate) on: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) agents: Vec<Spanned<String>>,
    #[serde(default, rename = "match")]
    pub(crate) matches: Vec<MatchFile>,
    pub(crate) when: Option<Spanned<String>>,
    pub(crate) window: Option<WindowFile>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) severity: Option<Spanned<Severity>>,
    pub(crate) confidence: Option<Spanned<f64>>,
    pub(crate) act: Option<Spanned<ActFile>>,
    #[serde(default)]
    pub(crate) tags: Vec<Spanned<String>>,
    pub(crate) again: Option<Time>,
    pub(crate) next: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) cases: Vec<CaseFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchFile {
    pub(crate) field: Spanned<String>,
    #[serde(default)]
    pub(crate) regex: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) phrase: Vec<Spanned<String>>,
    #[serde(default)]
    pub(crate) except: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowFile {
    pub(crate) count: Spanned<u64>,
    pub(crate) within: Time,
    pub(crate) by: Option<Spanned<String>>,
    pub(crate) distinct: Option<Spanned<String>>,
}

/// What a rule says of an event that it matches; of several rules, the strictest one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Allow,
    Warn,
    Block,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ActFile {
    None,
    Freeze,
    Kill,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    pub(crate) name: Spanned<String>,
    pub(crate) agent: Option<String>,
    pub(crate) event: BTreeMap<String, Spanned<CaseValue>>,
    pub(crate) times: Option<Spanned<u64>>,
    pub(crate) every: Option<Time>,
    pub(crate) verdict: CaseVerdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CaseVerdict {
    None,
    Allow,
    Warn,
    Block,
}

/// What a case gives a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CaseValue {
    Text(String),
    List(Vec<String>),
    Number(i64),
    Flag(bool),
}

// === impl Verdict ===

impl Verdict {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Block => "block",
        }
    }
}

// === impl CaseVerdict ===

impl CaseVerdict {
    pub(crate) const fn verdict(self) -> Option<Verdict> {
        match self {
            Self::None => None,
            Self::Allow => Some(Verdict::Allow),
            Self::Warn => Some(Verdict::Warn),
            Self::Block => Some(Verdict::Block),
        }
    }
}

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("version {other} of the format is not known here; write `version: 1`")),
        }
    }
}

impl<'de> Deserialize<'de> for CaseValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = CaseValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number, true or false, or a list of texts")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<CaseValue, E> {
                Ok(CaseValue::Flag(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<CaseValue, E> {
                Ok(CaseValue::Number(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<CaseValue, E> {
                let too_large = |_too_large| E::custom(format!("{number} is too large"));
                i64::try_from(number).map(CaseValue::Number).map_err(too_large)
            }

            fn visit_str<E>(self, text: &str) -> Result<CaseValue, E> {
                Ok(CaseValue::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CaseValue, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(CaseValue::List(texts))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
