//! What a run did, as a person asks for it: its tool calls, the files that differ from before, the
//! sensitive files that it opened, its destinations by name, and what it left behind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Exact, Tally, type_of::type_of};

type_of!(
    /// `type` of an [`Activity`].
    ActivityType { Activity }
);

/// What a run did, folded from its events by `sentry-story`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Activity {
    #[serde(rename = "type")]
    pub of: ActivityType,
    /// How the first process of the run ended; null while it lives, or where its end was not seen.
    pub ended: Option<Exit>,
    /// Working directory of the run's first program.
    pub directory: Option<String>,
    /// The coding agent that was recognized by its program.
    pub agent: Option<KnownAgent>,
    /// In the order of their starts.
    pub calls: Vec<Call>,
    /// Files whose content, name or mode differs from before the run, in the order of their paths.
    pub changes: Vec<Change>,
    /// Files that the run made and removed again.
    pub temporary: u64,
    pub sensitive: Vec<Sensitive>,
    pub destinations: Vec<Destination>,
    pub lookups: Vec<Lookup>,
    pub listeners: Vec<Listener>,
    /// Processes that outlived the first process of the run.
    pub left: Vec<Left>,
    /// What the agent itself executed, outside of its tool calls; the most frequent first.
    pub own_programs: Vec<Tally>,
    /// Processes outside of the tool calls.
    pub own_processes: u64,
    /// All processes, where the tree was asked for: each before its children.
    pub processes: Vec<ProcessRow>,
    /// Entries of the lists above that found no room.
    pub unlisted: u64,
}

/// A process in a tree of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessRow {
    /// 0 for a root; one more than the parent's, which is the last row before with a smaller depth.
    pub depth: u32,
    pub pid: u32,
    pub program: Option<String>,
    /// Arguments of what it executed last; of its parent, where it executed nothing.
    pub command: Vec<String>,
    pub executions: u64,
    pub call: Option<u32>,
    pub started: String,
    pub started_unix_ns: Exact,
    pub lasted_ns: Option<Exact>,
    pub exit: Option<Exit>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exit {
    pub code: Option<u32>,
    pub signal: Option<u32>,
}

impl Exit {
    /// Whether it ended with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self { code: Some(0), signal: None }
    }
}

/// A coding agent whose ways are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KnownAgent {
    /// `claude-code`.
    pub name: String,
    /// `Claude Code`.
    pub title: String,
}

/// What a [`Call`] was recognized by. It is a claim that rests on what the agent's processes look
/// like; the agent did not confirm it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallSource {
    /// The arguments of the shell that a known agent runs its tools with.
    ProcessArguments,
    /// The process is a child of the run's first process: the agent is not known.
    #[default]
    DirectChild,
}

/// What a tool call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A command.
    #[default]
    Command,
    /// An MCP server that the agent started: its tools are called over a pipe.
    McpServer,
}

/// A command that the agent ran, with all its processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Call {
    /// From 1, in the order of their starts.
    pub number: u32,
    pub kind: CallKind,
    pub source: CallSource,
    /// As the agent asked for it, without what the agent wraps around it.
    pub command: String,
    pub pid: u32,
    pub started: String,
    pub started_unix_ns: Exact,
    /// Until its first process ended, in nanoseconds.
    pub lasted_ns: Option<Exact>,
    pub exit: Option<Exit>,
    /// Processes that it consisted of.
    pub processes: u64,
    /// Programs that it executed; the most frequent first.
    pub programs: Vec<Tally>,
    /// Paths in the order of their first reading, without libraries and system files.
    pub read: Vec<String>,
    /// Paths that it read beyond those listed.
    pub read_unlisted: u64,
    /// Ids of the findings whose evidence is of this call.
    pub findings: Vec<String>,
}

/// What became of a file, as `git status` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    /// It was there before.
    Modified,
    Deleted,
    /// It stood at `from` before.
    Renamed,
    /// New content; whether it was there before is not known.
    #[default]
    Written,
}

/// Where a changed file is, as far as a reader is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Below the run's working directory.
    Directory,
    /// What git keeps of a repository (`.git`).
    Git,
    /// The agent's own state, such as `~/.claude`.
    AgentState,
    /// Caches and build output.
    Cache,
    /// Below `/tmp`, `/var/tmp` or `/dev/shm`.
    Temporary,
    #[default]
    Elsewhere,
}

/// A file that differs from before the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    pub kind: ChangeKind,
    pub path: String,
    /// Where a renamed file stood before.
    pub from: Option<String>,
    pub is_directory: bool,
    /// The new permission bits, where they were changed.
    pub mode: Option<u32>,
    pub place: Place,
    pub by: By,
}

/// Who did something: the call and the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct By {
    /// Number of the call; null for the agent itself.
    pub call: Option<u32>,
    /// Path of the program.
    pub program: Option<String>,
    pub pid: u32,
}

/// A sensitive file that the run opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sensitive {
    /// `cloud`, `ssh`, …
    pub class: String,
    /// `cloud credentials`.
    pub title: String,
    pub path: String,
    pub reads: u64,
    pub writes: u64,
    /// Who opened it first.
    pub by: By,
}

/// The other side of connections and datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Destination {
    /// `192.0.2.1:443 tcp`.
    pub remote: String,
    /// The name that the process looked up for the address, or that it named in TLS.
    pub name: Option<String>,
    /// Connections asked for, and datagrams sent.
    pub attempts: u64,
    /// Connections that failed.
    pub failed: u64,
    /// errno of the last failure.
    pub error: Option<u32>,
    /// Of the whole run, where packets are counted.
    pub bytes_out: Option<u64>,
    pub bytes_in: Option<u64>,
    /// Who asked for it, in the order of their first use.
    pub by: Vec<By>,
}

/// A name that was looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Lookup {
    pub name: String,
    pub count: u64,
    /// Answers that were seen.
    pub addresses: Vec<String>,
    /// The code of an answer without an address, such as `NXDOMAIN`.
    pub failure: Option<String>,
    pub by: By,
}

/// A socket that took connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Listener {
    /// `127.0.0.1:8080 tcp`.
    pub local: String,
    pub by: By,
    /// Its process lives.
    pub is_open: bool,
}

/// A process that outlived the first process of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Left {
    pub pid: u32,
    pub command: Vec<String>,
    pub call: Option<u32>,
    /// Addresses that it takes connections at.
    pub listens: Vec<String>,
    /// It lives.
    pub is_running: bool,
}
