//! Coding agents that are known by their program (`agents.toml`).

use std::sync::LazyLock;

use globset::{GlobSet, GlobSetBuilder};
use serde::Deserialize;

use crate::sensitive::glob;

/// The list, with all that its readers need.
pub const AGENTS: &str = include_str!("../agents.toml");

/// Arguments that may be the script, after the program's own.
const SCRIPT_WITHIN: usize = 4;

/// How known agents are recognized.
#[derive(Clone, Debug, Default)]
pub struct KnownAgents {
    /// The programs, and the scripts, of all: most programs are no agent's.
    any_program: GlobSet,
    any_script: GlobSet,
    known: Vec<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    title: String,
    program: GlobSet,
    script: GlobSet,
}

#[derive(Deserialize)]
struct Data {
    agent: Vec<KnownData>,
}

/// What is read of it here.
#[derive(Deserialize)]
struct KnownData {
    title: String,
    #[serde(default)]
    program: Vec<String>,
    #[serde(default)]
    script: Vec<String>,
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
enum AgentsError {
    #[error("read the known agents")]
    Toml(#[from] toml::de::Error),
    #[error("read the known agents: a pattern is broken")]
    Glob(#[from] globset::Error),
}

impl KnownAgents {
    /// Those that come with the program. A test excludes that they are broken.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<KnownAgents> =
            LazyLock::new(|| KnownAgents::parse(AGENTS).unwrap_or_default());
        &SHARED
    }

    /// The number of the agent that this program is, in the order of the list. A program that only
    /// has the agent's script among its arguments, such as `env`, becomes it later.
    #[must_use]
    pub fn number_of(&self, executable: Option<&str>, argv: &[String]) -> Option<usize> {
        let executable = executable?;
        let may_interpret = !executable.ends_with("/env");
        let arguments = || argv.iter().skip(1).take(SCRIPT_WITHIN);
        let any = self.any_program.is_match(executable)
            || may_interpret && arguments().any(|argument| self.any_script.is_match(argument));
        if !any {
            return None;
        }
        self.known.iter().position(|known| {
            known.program.is_match(executable)
                || may_interpret && arguments().any(|argument| known.script.is_match(argument))
        })
    }

    /// `Claude Code`.
    #[must_use]
    pub fn title(&self, number: usize) -> Option<&str> {
        self.known.get(number).map(|known| known.title.as_str())
    }

    fn parse(text: &str) -> Result<Self, AgentsError> {
        let data: Data = toml::from_str(text)?;
        let known = |data: KnownData| {
            Ok(Known { title: data.title, program: globs(&data.program)?, script: globs(&data.script)? })
        };
        Ok(Self {
            any_program: globs(data.agent.iter().flat_map(|agent| &agent.program))?,
            any_script: globs(data.agent.iter().flat_map(|agent| &agent.script))?,
            known: data.agent.into_iter().map(known).collect::<Result<_, AgentsError>>()?,
        })
    }
}

fn globs<'a>(texts: impl IntoIterator<Item = &'a String>) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(glob(text)?);
    }
    set.build()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_whole() {
        assert!(KnownAgents::parse(AGENTS).unwrap().known.len() >= 4);
    }

    #[test]
    fn an_agent_is_known_by_program_or_script() {
        let title = |executable, argv: &[&str]| {
            let argv: Vec<String> = argv.iter().map(|&argument| argument.to_owned()).collect();
            let known = KnownAgents::shared();
            known.number_of(Some(executable), &argv).and_then(|number| known.title(number))
        };
        assert_eq!(title("/usr/local/bin/claude", &["claude"]), Some("Claude Code"));
        let gemini = "/opt/node_modules/.bin/gemini";
        assert_eq!(title("/usr/bin/node", &["node", "--x", gemini, "-p"]), Some("Gemini CLI"));
        assert_eq!(title("/usr/bin/env", &["env", "node", gemini]), None);
        assert_eq!(title("/usr/bin/vim", &["vim", "claude.txt"]), None);
    }
}
