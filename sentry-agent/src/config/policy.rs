//! What holds for runs, compiled from the configuration: modes, thresholds, and which cgroups are
//! agents. It is replaced as a whole while runs live.

use std::{collections::BTreeMap, sync::Arc};

use sentry_detect::{
    rule::settings::Settings,
    run::Mode,
    sensitive::{OwnClass, SensitiveFiles},
};
use sentry_rules::RuleSet;
use sentry_view::KeyChange;
use serde_json::Value;

use super::Agent;
use crate::select::{Discover, Selected, Selection};

/// Modes, thresholds and selectors that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Thresholds for agents without their own.
    pub detect: Settings,
    pub agents: Vec<Agent>,
    /// A pod with the label [`crate::select::POD_LABEL`] is the agent that its value names.
    pub labelled_pods: bool,
    pub discover: Discover,
    /// Which cgroups are agents.
    pub selection: Arc<Selection>,
    /// Rules of somebody's own.
    pub own: Arc<RuleSet>,
}

impl Policy {
    #[must_use]
    pub fn new(detect: Settings, agents: Vec<Agent>, labelled_pods: bool, discover: Discover) -> Self {
        let selected = agents
            .iter()
            .map(|agent| Selected { agent: agent.name.clone().into(), selectors: agent.selectors.clone() });
        let selection = Arc::new(Selection { agents: selected.collect(), labelled_pods });
        Self { detect, agents, labelled_pods, discover, selection, own: Arc::default() }
    }

    /// The same, with rules of somebody's own.
    #[must_use]
    pub fn with_own(self, own: RuleSet) -> Self {
        Self { own: Arc::new(own), ..self }
    }

    /// What holds for an agent of this name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name.as_str() == name)
    }

    /// Thresholds for the runs of an agent.
    #[must_use]
    pub fn settings_of(&self, agent: &str) -> &Settings {
        self.agent(agent).map_or(&self.detect, |agent| &agent.settings)
    }

    /// The mode of a run of an agent that somebody asked to be watched in `asked`: what the
    /// administrator configured to be enforced cannot be relaxed by the caller.
    #[must_use]
    pub fn mode_of(&self, agent: &str, asked: Mode) -> Mode {
        let configured = self.agent(agent).map(|agent| agent.mode);
        if configured == Some(Mode::Enforce) { Mode::Enforce } else { asked }
    }

    /// What holds for a run whose agent is not known: any of the configured ones may be meant.
    #[must_use]
    pub fn strictest_mode(&self) -> Mode {
        let enforced = self.agents.iter().any(|agent| agent.mode == Mode::Enforce);
        if enforced { Mode::Enforce } else { Mode::Observe }
    }

    /// Each value that is another one than in `before`, by its key.
    #[must_use]
    pub fn changes_since(&self, before: &Self) -> Vec<KeyChange> {
        let mut changes = Vec::new();
        let (old, new) = (limits(&before.detect), limits(&self.detect));
        for (key, now) in &new {
            note(&mut changes, &format!("detect.{key}"), old.get(key), Some(now));
        }
        note(
            &mut changes,
            "sensitive",
            Some(classes(before.detect.sensitive())),
            Some(classes(self.detect.sensitive())),
        );
        note(&mut changes, "rules", Some(rules(&before.own)), Some(rules(&self.own)));
        for agent in &self.agents {
            match before.agent(agent.name.as_str()) {
                None => note(&mut changes, &key_of(agent, ""), None, Some(mode(agent.mode))),
                Some(was) => self.changes_of_agent(agent, before, was, &mut changes),
            }
        }
        for agent in before.agents.iter().filter(|agent| self.agent(agent.name.as_str()).is_none()) {
            note(&mut changes, &key_of(agent, ""), Some(mode(agent.mode)), None);
        }
        let (was, is) = (before.labelled_pods.to_string(), self.labelled_pods.to_string());
        note(&mut changes, "pods.labelled", Some(was), Some(is));
        note(&mut changes, "discover", Some(before.discover.name()), Some(self.discover.name()));
        changes
    }

    fn changes_of_agent(&self, agent: &Agent, before: &Self, was: &Agent, changes: &mut Vec<KeyChange>) {
        note(changes, &key_of(agent, ".mode"), Some(mode(was.mode)), Some(mode(agent.mode)));
        let of_all = (limits(&before.detect), limits(&self.detect));
        let own = (limits(&was.settings), limits(&agent.settings));
        for key in own.1.keys() {
            // What only follows `detect` stands there.
            let follows = own.0.get(key) == of_all.0.get(key) && own.1.get(key) == of_all.1.get(key);
            if !follows {
                note(changes, &key_of(agent, &format!(".limits.{key}")), own.0.get(key), own.1.get(key));
            }
        }
        note(changes, &key_of(agent, ".match"), Some(selectors(was)), Some(selectors(agent)));
    }
}

fn key_of(agent: &Agent, rest: &str) -> String {
    format!("agents.{}{rest}", agent.name.as_str())
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Enforce => "enforce",
    }
}

/// All thresholds, by their keys, as the configuration has them.
fn limits(settings: &Settings) -> BTreeMap<String, Value> {
    let limits = serde_json::to_value(settings.limits()).unwrap_or_default();
    limits.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The classes of sensitive files that are added, with what is in them.
fn classes(files: &SensitiveFiles) -> String {
    let class = |OwnClass { name, title, severity, paths, except }: &OwnClass| {
        format!("{name} ({title}, {severity:?}): {} but {}", paths.join(" "), except.join(" "))
    };
    files.own().iter().map(class).collect::<Vec<_>>().join("; ")
}

/// How many there are, and the digest that changes with each of them.
fn rules(own: &RuleSet) -> String {
    match own.rules().len() {
        0 => "none".to_owned(),
        count => format!("{count} in {} of digest {}", files(own.files()), own.digest()),
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn selectors(agent: &Agent) -> String {
    let selectors: Vec<String> = agent.selectors.iter().map(ToString::to_string).collect();
    selectors.join("; ")
}

fn note<T: ToString>(changes: &mut Vec<KeyChange>, key: &str, before: Option<T>, after: Option<T>) {
    let (before, after) = (before.map(|value| value.to_string()), after.map(|value| value.to_string()));
    if before != after {
        changes.push(KeyChange { key: key.to_owned(), before, after });
    }
}
