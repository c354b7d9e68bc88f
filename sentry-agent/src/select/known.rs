//! Executables of well-known agents, to report those that nobody selected. A name is no proof: it
//! leads to a line for a person, and to a watch only where that is asked for.

use sentry_view::path::base_name;

/// File names of agents' commands.
const COMMANDS: &[(&str, &str)] = &[
    ("aider", "aider"),
    ("amp", "amp"),
    ("auggie", "auggie"),
    ("claude", "claude"),
    ("cline", "cline"),
    ("codex", "codex"),
    ("copilot", "copilot"),
    ("crush", "crush"),
    ("cursor-agent", "cursor-agent"),
    ("gemini", "gemini"),
    ("goose", "goose"),
    ("openhands", "openhands"),
    ("opencode", "opencode"),
    ("qwen", "qwen"),
];

/// Programs that run an agent given as a script.
const INTERPRETERS: &[&str] = &["node", "bun", "deno", "python", "python3"];

/// The agent that a command line runs: by the name of its program, or of the script that an
/// interpreter runs.
#[must_use]
pub fn agent(executable: &str, argv: &[String]) -> Option<&'static str> {
    let by_name = |path: &str| {
        let name = base_name(path);
        COMMANDS.iter().find(|(command, _)| *command == name).map(|(_, agent)| *agent)
    };
    let program = base_name(executable);
    let interprets = INTERPRETERS.iter().any(|interpreter| program.starts_with(interpreter));
    if !interprets {
        return by_name(executable);
    }
    // The first argument that is no option; what the process calls itself comes first.
    let script = argv.iter().skip(1).find(|argument| !argument.starts_with('-'));
    script.and_then(|script| by_name(script)).or_else(|| argv.first().and_then(|itself| by_name(itself)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(executable: &str, argv: &[&str]) -> Option<&'static str> {
        agent(executable, &argv.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_agent_is_known_by_its_program_or_its_script() {
        assert_eq!(of("/usr/local/bin/codex", &["codex", "exec"]), Some("codex"));
        assert_eq!(of("/usr/bin/node", &["node", "--no-warnings", "/usr/bin/claude"]), Some("claude"));
        assert_eq!(of("/usr/bin/node", &["claude"]), Some("claude"), "it renames itself");
        assert_eq!(of("/usr/bin/python3.11", &["python3", "/usr/bin/aider"]), Some("aider"));
        assert_eq!(of("/usr/bin/vim", &["vim", "claude"]), None, "an argument of another program");
        assert_eq!(of("/usr/bin/node", &["node", "server.js"]), None);
        assert_eq!(of("", &[]), None);
    }
}
