//! What an agent may be called: the one rule, wherever the name comes from.

use serde::Deserialize;

const MAX_BYTES: usize = 128;

/// The name of an agent: 1 to 128 bytes without control characters, and not like the id of a run,
/// because a command that names a run takes both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AgentName(String);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "an agent name has 1 to {MAX_BYTES} bytes and no control characters, {0:?} does not; choose another"
    )]
    Form(String),
    #[error("an agent cannot be called like a run id, as {0:?} is; choose another name")]
    RunId(String),
}

impl AgentName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AgentName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return Err(NameError::Form(text));
        }
        if uuid::Uuid::try_parse(&text).is_ok() {
            return Err(NameError::RunId(text));
        }
        Ok(Self(text))
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, NameError> {
        AgentName::try_from(text.to_owned()).map(String::from)
    }

    #[test]
    fn a_name_is_what_a_person_may_call_an_agent() {
        let longest = "n".repeat(128);
        for name in ["claude", "my agent", "Ägent/7", "-x", &longest] {
            assert_eq!(parsed(name).as_deref(), Ok(name));
        }
        for wrong in ["", "a\nb", "a\u{1b}[2J", &"n".repeat(129)] {
            assert_eq!(parsed(wrong), Err(NameError::Form(wrong.to_owned())));
        }
        let run = "019a2f3c-7a10-7c44-9b52-0d5f2c1e8a11";
        assert_eq!(parsed(run), Err(NameError::RunId(run.to_owned())));
    }
}
