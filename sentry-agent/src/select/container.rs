//! Conditions on a container and on its pod.

use std::{collections::BTreeMap, fmt};

use super::{answer::Answer, pattern::Pattern};
use crate::container::Facts;

/// Of a container itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerMatch {
    pub name: Option<Pattern>,
    pub image: Option<Pattern>,
    pub labels: Labels,
}

/// Of the pod around a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodMatch {
    pub namespace: Option<Pattern>,
    pub name: Option<Pattern>,
    pub service_account: Option<Pattern>,
    pub labels: Labels,
    pub annotations: Labels,
}

/// Keys, and what their values have to match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, Pattern>);

impl ContainerMatch {
    pub(super) fn holds(&self, facts: &Facts) -> Answer {
        if facts.container_id.is_none() {
            return Answer::No;
        }
        let name = field(&self.name, &facts.container_name, facts.complete);
        let image = field(&self.image, &facts.image, facts.complete);
        name.and(image).and(self.labels.holds(&facts.labels, facts.complete))
    }
}

impl PodMatch {
    pub(super) fn holds(&self, facts: &Facts) -> Answer {
        // The cgroup of a pod itself, and the one that only holds its namespaces, run no agent.
        if facts.container_id.is_none() || facts.is_sandbox {
            return Answer::No;
        }
        let Some(pod) = &facts.pod else { return Answer::No };
        let fields = [
            field(&self.namespace, &pod.namespace, facts.complete),
            field(&self.name, &pod.name, facts.complete),
            field(&self.service_account, &pod.service_account, facts.complete),
            self.labels.holds(&pod.labels, facts.complete),
            self.annotations.holds(&pod.annotations, facts.complete),
        ];
        fields.into_iter().fold(Answer::Yes, Answer::and)
    }
}

impl Labels {
    fn holds(&self, there: &BTreeMap<String, String>, complete: bool) -> Answer {
        let wanted = self.0.iter();
        wanted.fold(Answer::Yes, |all, (key, pattern)| {
            all.and(match there.get(key) {
                Some(value) => pattern.is_match(value).into(),
                None => absent(complete),
            })
        })
    }
}

fn field(wanted: &Option<Pattern>, there: &Option<String>, complete: bool) -> Answer {
    match (wanted, there) {
        (None, _) => Answer::Yes,
        (Some(pattern), Some(text)) => pattern.is_match(text).into(),
        (Some(_), None) => absent(complete),
    }
}

fn absent(complete: bool) -> Answer {
    if complete { Answer::No } else { Answer::Later }
}

impl fmt::Display for ContainerMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        parts.extend(self.name.as_ref().map(|name| format!("container {}", name.text())));
        parts.extend(self.image.as_ref().map(|image| format!("image {}", image.text())));
        parts.extend(self.labels.describe("label"));
        f.write_str(if parts.is_empty() { "any container" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

impl fmt::Display for PodMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields =
            [("namespace", &self.namespace), ("pod", &self.name), ("service account", &self.service_account)];
        let mut parts: Vec<String> = fields
            .into_iter()
            .filter_map(|(key, pattern)| Some(format!("{key} {}", pattern.as_ref()?.text())))
            .collect();
        parts.extend(self.labels.describe("pod label"));
        parts.extend(self.annotations.describe("pod annotation"));
        f.write_str(if parts.is_empty() { "any pod" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

impl Labels {
    fn describe<'a>(&'a self, what: &'a str) -> impl Iterator<Item = String> + 'a {
        self.0.iter().map(move |(key, pattern)| format!("{what} {key}={}", pattern.text()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::container::Pod;

    fn pattern(text: &str) -> Option<Pattern> {
        Some(Pattern::new(text).unwrap())
    }

    fn labels(key: &str, value: &str) -> Labels {
        Labels([(key.to_owned(), Pattern::new(value).unwrap())].into())
    }

    fn facts() -> Facts {
        Facts {
            container_id: Some("c1".into()),
            container_name: Some("main".into()),
            image: Some("ghcr.io/acme/agent:1".into()),
            labels: [("tier".to_owned(), "gold".to_owned())].into(),
            pod: Some(Pod {
                namespace: Some("agents".into()),
                labels: [("agentsentry.io/agent".to_owned(), "claude".to_owned())].into(),
                ..Pod::default()
            }),
            complete: true,
            ..Facts::default()
        }
    }

    #[test]
    fn a_container_is_known_by_name_image_and_labels() {
        let wanted = ContainerMatch {
            name: pattern("main"),
            image: pattern("ghcr.io/acme/*"),
            labels: labels("tier", "gold"),
        };
        assert_eq!(wanted.holds(&facts()), Answer::Yes);
        assert_eq!(wanted.holds(&Facts { container_name: Some("side".into()), ..facts() }), Answer::No);
        assert_eq!(wanted.holds(&Facts { labels: BTreeMap::new(), ..facts() }), Answer::No);
        assert_eq!(wanted.holds(&Facts::default()), Answer::No, "no container at all");
        assert_eq!(wanted.to_string(), "container main, image ghcr.io/acme/*, label tier=gold");
    }

    #[test]
    fn a_pod_is_known_by_namespace_and_labels_and_its_sandbox_is_no_agent() {
        let wanted = PodMatch {
            namespace: pattern("agents"),
            labels: labels("agentsentry.io/agent", "*"),
            ..PodMatch::default()
        };
        assert_eq!(wanted.holds(&facts()), Answer::Yes);
        assert_eq!(wanted.holds(&Facts { is_sandbox: true, ..facts() }), Answer::No);
        assert_eq!(wanted.holds(&Facts { pod: None, ..facts() }), Answer::No);
    }

    #[test]
    fn what_may_become_known_is_asked_again() {
        let wanted = PodMatch { labels: labels("role", "agent"), ..PodMatch::default() };
        assert_eq!(wanted.holds(&Facts { complete: false, ..facts() }), Answer::Later);
        let elsewhere = PodMatch { namespace: pattern("other"), ..wanted.clone() };
        assert_eq!(
            elsewhere.holds(&Facts { complete: false, ..facts() }),
            Answer::No,
            "one says no for good"
        );
        assert_eq!(wanted.holds(&facts()), Answer::No);
    }
}
