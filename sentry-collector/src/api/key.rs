//! Keys of query strings that narrow a listing. Each is declared once, with its condition on rows
//! and the form of its value.

use sentry_proto::v1::{self, Severity};
use sentry_story::Search;
use utoipa::{
    PartialSchema as _,
    openapi::{RefOr, Schema},
};

use super::answer::ApiError;
use crate::store::{Cell, Condition, FindingState};

/// Most values of one key.
const VALUES: usize = 100;

/// A key, for a column of the listed relation.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    says: Says,
}

/// The condition of a key on rows.
#[derive(Debug)]
enum Says {
    /// The column is this text.
    Text(&'static str),
    /// The other relation has a row of the same number with this text in the column.
    TextOf { relation: &'static str, column: &'static str },
    /// The column is this number.
    Number(&'static str),
    /// The column is this severity.
    Severity(&'static str),
    /// The column is this state of a finding.
    FindingState(&'static str),
    /// It is one that this value searches for.
    Searched(Part),
    /// The column is one of these texts, with commas in between.
    OneOf(&'static str),
    /// The column is at least this.
    From(&'static str),
    /// The column is less than this.
    Below(&'static str),
}

/// What a search has of a value of its key.
#[derive(Debug)]
enum Part {
    /// One pattern.
    Path,
    Program,
    Destination,
    /// With commas in between.
    Types,
    Pids,
    Uids,
    Libraries,
}

pub(crate) const RUN: Key = Key { name: "run", about: "Of this run.", says: Says::Text("run") };
pub(crate) const RUN_OF_GAP: Key = Key {
    name: "run",
    about: "That name this run.",
    says: Says::TextOf { relation: "runs_of_gaps", column: "run" },
};
pub(crate) const AGENT: Key = Key { name: "agent", about: "Of this agent.", says: Says::Text("agent") };
pub(crate) const SCOPE: Key = Key { name: "scope", about: "Of this scope.", says: Says::Text("scope") };
pub(crate) const WHO: Key = Key { name: "who", about: "By this one.", says: Says::Text("who") };
pub(crate) const ACTION: Key = Key { name: "action", about: "Of this action.", says: Says::Text("action") };
pub(crate) const SENSOR: Key = Key { name: "sensor", about: "From this sensor.", says: Says::Text("sensor") };
pub(crate) const SINCE: Key =
    Key { name: "since", about: "From this time on, in Unix milliseconds.", says: Says::From("time_ms") };
pub(crate) const UNTIL: Key =
    Key { name: "until", about: "Before this time, in Unix milliseconds.", says: Says::Below("time_ms") };
pub(crate) const CLASS: Key =
    Key { name: "class_uid", about: "Of this OCSF class.", says: Says::Number("class_uid") };
pub(crate) const ID: Key = Key {
    name: "id",
    about: "With one of these ids, up to 100, with commas in between.",
    says: Says::OneOf("id"),
};
pub(crate) const PATH: Key = Key {
    name: "path",
    about: "Of a file that this pattern matches: `/etc/shadow`, `*.pem`, `/home/**/.ssh/*`.",
    says: Says::Searched(Part::Path),
};
pub(crate) const PROGRAM: Key = Key {
    name: "program",
    about: "By a program that this pattern matches: `curl`, `/usr/bin/*`.",
    says: Says::Searched(Part::Program),
};
pub(crate) const DESTINATION: Key = Key {
    name: "destination",
    about: "To this address, network, port or name: `192.0.2.1`, `10.0.0.0/8`, `:443`, `*.example.com`. With \
        order=asc also to the addresses to which the name led before, on the same page.",
    says: Says::Searched(Part::Destination),
};
pub(crate) const TYPE: Key = Key {
    name: "type",
    about: "Of one of these types, with commas in between: those of `sentry events`, such as `exec,write`, \
        and acts, such as `chmod`.",
    says: Says::Searched(Part::Types),
};
pub(crate) const PID: Key = Key {
    name: "pid",
    about: "By one of these processes, with commas in between.",
    says: Says::Searched(Part::Pids),
};
pub(crate) const UID: Key = Key {
    name: "uid",
    about: "By one of these users, by number, with commas in between.",
    says: Says::Searched(Part::Uids),
};
pub(crate) const LIBRARIES: Key = Key {
    name: "libraries",
    about: "`no` leaves out what programs read to start: libraries, locales, name services.",
    says: Says::Searched(Part::Libraries),
};
pub(crate) const STATE: Key = Key {
    name: "state",
    about: "In this state: open, acknowledged, resolved or suppressed.",
    says: Says::FindingState("state"),
};
pub(crate) const RULE: Key = Key { name: "rule", about: "Of this rule.", says: Says::Text("rule") };
pub(crate) const SEVERITY: Key = Key {
    name: "severity",
    about: "Of this severity: informational, low, medium, high, critical, or 1 to 5.",
    says: Says::Severity("severity"),
};

// === impl Key ===

impl Key {
    /// The condition that the key and this value make.
    pub(crate) fn read(&self, value: String) -> Result<Condition, ApiError> {
        Ok(match self.says {
            Says::Text(column) => Condition::Is(column, Cell::Text(value)),
            Says::TextOf { relation, column } => {
                Condition::Has { relation, column, value: Cell::Text(value) }
            }
            Says::Number(column) => {
                Condition::Is(column, Cell::Integer(number::<u32>(self.name, &value)?.into()))
            }
            Says::Severity(column) => Condition::Is(column, Cell::Integer(severity(&value)?.into())),
            Says::FindingState(column) => {
                let state = FindingState::named(&value).ok_or_else(|| {
                    let known = FindingState::ALL.map(FindingState::name).join(", ");
                    ApiError::BadRequest(format!("state {value:?} is none of {known}"))
                })?;
                Condition::Is(column, Cell::Integer(state as i64))
            }
            Says::OneOf(column) => {
                let values: Vec<String> = value.split(',').map(str::to_owned).collect();
                if values.len() > VALUES {
                    return Err(ApiError::BadRequest(format!("{} names more than {VALUES}", self.name)));
                }
                Condition::IsOneOf(column, values)
            }
            Says::Searched(ref part) => {
                let search = part.read(self.name, value)?;
                // It is checked here, so that the store cannot fail with it.
                Search::new(&search).map_err(|error| ApiError::BadRequest(error.to_string()))?;
                Condition::Searched(search)
            }
            Says::From(column) => Condition::From(column, number(self.name, &value)?),
            Says::Below(column) => Condition::Below(column, number(self.name, &value)?),
        })
    }

    pub(crate) fn schema(&self) -> RefOr<Schema> {
        match self.says {
            Says::Text(_)
            | Says::TextOf { .. }
            | Says::Severity(_)
            | Says::FindingState(_)
            | Says::Searched(_)
            | Says::OneOf(_) => String::schema(),
            Says::Number(_) => u32::schema(),
            Says::From(_) | Says::Below(_) => i64::schema(),
        }
    }
}

// === impl Part ===

impl Part {
    fn read(&self, key: &str, value: String) -> Result<v1::Search, ApiError> {
        let mut search = v1::Search::default();
        let numbers = || -> Result<Vec<u32>, ApiError> {
            value.split(',').map(|number| self::number(key, number)).collect()
        };
        match self {
            Self::Path => search.paths.push(value),
            Self::Program => search.programs.push(value),
            Self::Destination => search.destinations.push(value),
            Self::Types => search.types = value.split(',').map(str::to_owned).collect(),
            Self::Pids => search.pids = numbers()?,
            Self::Uids => search.uids = numbers()?,
            Self::Libraries => {
                search.without_libraries = match value.as_str() {
                    "no" => true,
                    "yes" => false,
                    _ => {
                        return Err(ApiError::BadRequest(format!("{key} {value:?} is neither yes nor no")));
                    }
                }
            }
        }
        Ok(search)
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, ApiError> {
    value.parse().map_err(|_error| ApiError::BadRequest(format!("{key} {value:?} is not a number in range")))
}

/// By name or by OCSF's `severity_id`, which has the same numbers.
fn severity(value: &str) -> Result<i32, ApiError> {
    let named = Severity::from_str_name(&format!("SEVERITY_{}", value.to_ascii_uppercase()));
    let known = named.or_else(|| value.parse().ok().and_then(|number: i32| Severity::try_from(number).ok()));
    match known {
        Some(severity) if severity != Severity::Unspecified => Ok(severity as i32),
        Some(_) | None => Err(ApiError::BadRequest(format!(
            "severity {value:?} is none of informational, low, medium, high, critical or 1 to 5"
        ))),
    }
}
