//! What the processes of known coding agents look like (`agents.toml` of `sentry-detect`).

use globset::GlobSet;
use regex::{Regex, RegexSet};
use sentry_detect::agents::{AGENTS, KnownAgents};
use sentry_view::KnownAgent;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    error::DataError,
    places::globs,
    text::{shell_script, unquote},
};

/// The known agents.
#[derive(Clone, Debug)]
pub struct Shapes {
    agents: Vec<Shape>,
    mcp_server: Regex,
}

/// One agent.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) known: KnownAgent,
    pub(crate) state: GlobSet,
    command: Vec<Regex>,
    wrapper: RegexSet,
    direct: bool,
    own: RegexSet,
    /// In the list.
    number: usize,
}

/// What a child of the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Child {
    /// A tool call, with its command.
    Call(String),
    /// A tool call whose command is in a later execution of the same process.
    Wrapper,
    McpServer(String),
    /// The agent's own business.
    Own,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    agent: Vec<AgentData>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentData {
    name: String,
    title: String,
    /// These two are the detector's to read.
    #[serde(default, rename = "program")]
    _program: IgnoredAny,
    #[serde(default, rename = "script")]
    _script: IgnoredAny,
    #[serde(default)]
    state: Vec<String>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    wrapper: Vec<String>,
    #[serde(default)]
    direct: bool,
    #[serde(default)]
    own: Vec<String>,
}

const FILE: &str = "agents.toml";

/// How MCP servers are usually named: `@modelcontextprotocol/server-filesystem`, `mcp-server-git`,
/// `github-mcp`.
const MCP_SERVER: &str = r"(?i)(?:^|[/@\s_-])(?:mcp(?:[-_]server)?[-_/]\S|\S*[-_]mcp(?:[-_]server)?(?:\s|@|\.|$)|@modelcontextprotocol/server)";

impl Shapes {
    /// The agents that come with the program.
    ///
    /// # Errors
    ///
    /// The data file is broken; a test excludes that.
    pub fn built_in() -> Result<Self, DataError> {
        let data: Data = toml::from_str(AGENTS).map_err(|source| DataError::Toml { file: FILE, source })?;
        let mcp_server = Regex::new(MCP_SERVER).map_err(|source| DataError::Regex {
            file: FILE,
            of: "MCP servers".to_owned(),
            source,
        })?;
        let agents = data.agent.into_iter().enumerate().map(|(number, data)| Shape::new(number, data));
        Ok(Self { agents: agents.collect::<Result<_, _>>()?, mcp_server })
    }

    /// The agent that this program is.
    pub(crate) fn agent(&self, executable: Option<&str>, argv: &[String]) -> Option<&Shape> {
        self.agents.get(KnownAgents::shared().number_of(executable, argv)?)
    }

    /// What a child of an agent is, by what it executed.
    pub(crate) fn child(&self, agent: &Shape, executable: Option<&str>, argv: &[String]) -> Child {
        if agent.is_wrapper(argv) {
            return Child::Wrapper;
        }
        let line = argv.join(" ");
        let Some(script) = shell_script(executable, argv) else {
            return if self.mcp_server.is_match(&line) { Child::McpServer(line) } else { Child::Own };
        };
        for form in &agent.command {
            let Some(found) = form.captures(&script) else { continue };
            if let Some(command) = found.name("command") {
                return Child::Call(command.as_str().to_owned());
            }
            if let Some(quoted) = found.name("quoted") {
                return Child::Call(unquote(quoted.as_str()));
            }
        }
        if agent.direct && !agent.own.is_match(&script) { Child::Call(script) } else { Child::Own }
    }
}

impl Shape {
    fn new(number: usize, data: AgentData) -> Result<Self, DataError> {
        let of = data.name.clone();
        let error = |source| DataError::Regex { file: FILE, of: of.clone(), source };
        Ok(Self {
            state: globs(FILE, &of, &data.state)?,
            command: data
                .command
                .iter()
                .map(|form| Regex::new(form))
                .collect::<Result<_, _>>()
                .map_err(error)?,
            wrapper: RegexSet::new(&data.wrapper).map_err(error)?,
            own: RegexSet::new(&data.own).map_err(error)?,
            direct: data.direct,
            number,
            known: KnownAgent { name: data.name, title: data.title },
        })
    }

    /// Whether the process becomes the command of a call by a later execution.
    pub(crate) fn is_wrapper(&self, argv: &[String]) -> bool {
        argv.iter().any(|argument| self.wrapper.is_match(argument))
    }

    /// Whether this program is the agent.
    pub(crate) fn is(&self, executable: Option<&str>, argv: &[String]) -> bool {
        KnownAgents::shared().number_of(executable, argv) == Some(self.number)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn words(argv: &[&str]) -> Vec<String> {
        argv.iter().map(|&argument| argument.to_owned()).collect()
    }

    fn child(agent: &str, argv: &[&str]) -> Child {
        let shapes = Shapes::built_in().unwrap();
        let agent = shapes.agents.iter().find(|shape| shape.known.name == agent).unwrap();
        shapes.child(agent, Some(argv[0]), &words(argv))
    }

    #[test]
    fn known_agents_are_recognized_by_program_or_script() {
        let shapes = Shapes::built_in().unwrap();
        let name = |executable, argv: &[&str]| {
            shapes.agent(Some(executable), &words(argv)).map(|agent| agent.known.name.clone())
        };
        assert_eq!(name("/usr/local/bin/claude", &["claude"]).as_deref(), Some("claude-code"));
        let cli = "/usr/lib/node_modules/@anthropic-ai/claude-code/cli.js";
        assert_eq!(name("/usr/bin/node", &["node", cli]).as_deref(), Some("claude-code"));
        assert_eq!(name("/usr/bin/env", &["env", "node", cli]), None);
        let gemini = "/opt/node_modules/.bin/gemini";
        let argv = ["node", "--max-old-space-size=4096", gemini, "-p", "x"];
        assert_eq!(name("/usr/bin/node", &argv).as_deref(), Some("gemini-cli"));
        assert_eq!(name("/usr/bin/vim", &["vim", "claude.txt"]), None);
    }

    #[test]
    fn the_command_of_a_claude_shell_is_what_the_agent_asked_for() {
        let script = r"source /home/u/.claude/shell-snapshots/s.sh 2>/dev/null || true && eval 'echo '\''a b'\'' && ls' < /dev/null && pwd -P >| /tmp/claude-1-cwd";
        assert_eq!(
            child("claude-code", &["/bin/bash", "-c", script]),
            Child::Call("echo 'a b' && ls".into())
        );
        assert_eq!(child("claude-code", &["/bin/bash", "-c", "-l", "SNAPSHOT_FILE=x"]), Child::Own);
        assert_eq!(child("claude-code", &["/usr/bin/git", "status"]), Child::Own);
    }

    #[test]
    fn the_command_of_a_gemini_shell_has_one_of_two_forms() {
        let new = "shopt -u promptvars nullglob; _bgpids_file=/tmp/x\n(\n  trap 'jobs -p \
            > \"$_bgpids_file\"' EXIT\nls\necho x\n)\n__code=$?\nexit $__code";
        assert_eq!(child("gemini-cli", &["/bin/bash", "-c", new]), Child::Call("ls\necho x".into()));
        let old =
            "shopt -u promptvars nullglob; { ls -l; }; __code=$?; pgrep -g 0 >/tmp/x 2>&1; exit $__code;";
        assert_eq!(child("gemini-cli", &["/bin/bash", "-c", old]), Child::Call("ls -l".into()));
    }

    #[test]
    fn a_codex_command_comes_behind_its_wrapper() {
        let argv = ["/proc/self/exe", "--codex-run-as-process-setup", "44", "/bin/bash", "-c", "x"];
        assert_eq!(child("codex", &argv), Child::Wrapper);
        assert_eq!(child("codex", &["/bin/bash", "-c", "__CODEX_SNAPSHOT_OVERRIDE_0=x"]), Child::Wrapper);
        assert_eq!(child("codex", &["/bin/bash", "-lc", "ls"]), Child::Call("ls".into()));
        assert_eq!(child("codex", &["/bin/bash", "-lc", "echo '# Snapshot file'"]), Child::Own);
    }

    #[test]
    fn mcp_servers_are_recognized_by_their_names() {
        let line = |argv: &[&str]| matches!(child("claude-code", argv), Child::McpServer(_));
        assert!(line(&["/usr/bin/npx", "npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv"]));
        assert!(line(&["/usr/bin/uvx", "uvx", "mcp-server-git"]));
        assert!(
            line(&["/usr/bin/node", "node", "/opt/github-mcp/index.js"])
                || line(&["/usr/bin/node", "node", "github-mcp"])
        );
        assert!(!line(&["/usr/bin/git", "git", "status"]));
    }
}
