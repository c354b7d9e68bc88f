//! Which cgroups are agents: the configured selectors, what the kernel needs to know of them, and
//! the decision. No I/O.
//!
//! ```text
//! kernel: a name, user or file that may be meant (rows) → watched in a slot in reserve
//!   → stage::select asks Selection::decide → a run, or the slot is in reserve again
//! ```
//!
//! - `answer`: whether a condition holds.
//! - `pattern`: text with wildcards.
//! - `selector`: conditions on cgroup, user and executable.
//! - `container`: conditions on container and pod.
//! - `rows`: what the kernel compares before it asks.
//! - `known`: executables of well-known agents.

mod answer;

pub mod container;

pub mod known;

pub mod pattern;

pub mod rows;

pub mod selector;

pub use answer::Answer;
pub use rows::rows;
pub use selector::{Execution, Selector, file_id};

use crate::{AgentName, container::Facts};

/// What to do about agents that nobody selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discover {
    Off,
    #[default]
    Report,
    /// Watch the cgroup they are in.
    Tag,
}

impl Discover {
    /// The selectors as configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Tag => "tag",
        }
    }
}

/// The label of a pod whose value names the agent that it is.
pub const POD_LABEL: &str = "agentsentry.io/agent";

/// An agent and the selectors that make cgroups its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    pub agent: String,
    pub selectors: Vec<Selector>,
}

/// All selectors, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub agents: Vec<Selected>,
    /// A pod with the label [`POD_LABEL`] is the agent that its value names.
    pub labelled_pods: bool,
}

/// What a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A cgroup that no selector matches.
    Unselected,
    Selected {
        agent: String,
        /// For a person.
        why: String,
    },
    /// More has to become known of its container.
    Later,
}

impl Selection {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.labelled_pods && self.agents.iter().all(|agent| agent.selectors.is_empty())
    }

    /// Whether a decision may depend on the container.
    #[must_use]
    pub fn asks_for_containers(&self) -> bool {
        let asks = |selector: &Selector| selector.container.is_some() || selector.pod.is_some();
        self.labelled_pods || self.agents.iter().any(|agent| agent.selectors.iter().any(asks))
    }

    /// What the cgroup at `path` is, with what is executed in it (`None`: nothing yet). The first
    /// selector that holds decides; one that may hold later stops those behind it from deciding.
    #[must_use]
    pub fn decide(&self, path: &str, execution: Option<&Execution<'_>>, container: &Facts) -> Decision {
        for Selected { agent, selectors } in &self.agents {
            for selector in selectors {
                match selector.holds(path, execution, container) {
                    Answer::No => {}
                    Answer::Later => return Decision::Later,
                    Answer::Yes => {
                        let why = selector.to_string();
                        return Decision::Selected { agent: agent.clone(), why };
                    }
                }
            }
        }
        if self.labelled_pods && execution.is_none() {
            self.labelled(container)
        } else {
            Decision::Unselected
        }
    }

    /// The pod's own word.
    fn labelled(&self, container: &Facts) -> Decision {
        let Some(pod) = &container.pod else { return Decision::Unselected };
        if container.container_id.is_none() || container.is_sandbox {
            return Decision::Unselected;
        }
        match pod.labels.get(POD_LABEL) {
            Some(agent) if AgentName::try_from(agent.clone()).is_ok() => {
                Decision::Selected { agent: agent.clone(), why: format!("pod label {POD_LABEL}={agent}") }
            }
            Some(_no_name) => Decision::Unselected,
            None if container.complete => Decision::Unselected,
            None => Decision::Later,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::{pattern::Pattern, *};
    use crate::container::Pod;

    fn unit(text: &str) -> Selector {
        Selector { unit: Some(Pattern::new(text).unwrap()), ..Selector::default() }
    }

    fn selection(agents: &[(&str, &str)]) -> Selection {
        let agents = agents
            .iter()
            .map(|(agent, text)| Selected { agent: (*agent).into(), selectors: vec![unit(text)] });
        Selection { agents: agents.collect(), labelled_pods: false }
    }

    #[test]
    fn the_first_selector_that_holds_decides() {
        let selection = selection(&[("a", "x*.service"), ("b", "xy.service"), ("c", "z.service")]);
        let of = |path| selection.decide(path, None, &Facts::default());
        let selected = |agent: &str, why: &str| Decision::Selected { agent: agent.into(), why: why.into() };
        assert_eq!(of("/s/xy.service"), selected("a", "unit x*.service"));
        assert_eq!(of("/s/z.service"), selected("c", "unit z.service"));
        assert_eq!(of("/s/y.service"), Decision::Unselected);
    }

    #[test]
    fn a_pod_may_name_its_agent() {
        let labelled = Selection { labelled_pods: true, ..selection(&[("claude", "x.service")]) };
        let facts = |agent: Option<&str>, complete| Facts {
            container_id: Some("c1".into()),
            pod: Some(Pod {
                labels: agent.map(|agent| (POD_LABEL.to_owned(), agent.to_owned())).into_iter().collect(),
                ..Pod::default()
            }),
            complete,
            ..Facts::default()
        };
        let of = |facts: &Facts| labelled.decide("/kubepods/pod1/c1", None, facts);
        let why = "pod label agentsentry.io/agent=claude".to_owned();
        let selected = Decision::Selected { agent: "claude".into(), why };
        assert_eq!(of(&facts(Some("claude"), true)), selected);
        assert_eq!(of(&facts(Some("not\ta name"), true)), Decision::Unselected);
        assert_eq!(of(&facts(None, true)), Decision::Unselected);
        assert_eq!(of(&facts(None, false)), Decision::Later);
        assert_eq!(of(&Facts { is_sandbox: true, ..facts(Some("claude"), true) }), Decision::Unselected);
    }
}
