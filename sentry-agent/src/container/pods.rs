//! The pods of this node, as the kubelet last listed them.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Facts, Pod, Rung};

/// Most pods that are kept; a node has some hundreds.
const LIMIT: usize = 4096;

/// A pod as the kubelet describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    pub pod: Pod,
    pub node: Option<String>,
    pub containers: Vec<Container>,
}

/// A container of a pod, by its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: Option<String>,
    pub image: Option<String>,
    pub image_digest: Option<String>,
}

/// The last list, by uid; filled by the task that asks the kubelet.
#[derive(Debug, Default)]
pub struct Pods {
    known: Mutex<HashMap<String, Described>>,
    wanted: Notify,
}

impl Pods {
    /// Adds what is known of the facts' pod. `false` when it is in no list yet: it is asked for.
    pub(super) fn add_to(&self, facts: &mut Facts) -> bool {
        let Some(uid) = facts.pod.as_ref().map(|pod| &pod.uid) else { return true };
        let known = self.known.lock();
        let Some(described) = known.get(uid) else {
            self.wanted.notify_one();
            return false;
        };
        facts.pod = Some(described.pod.clone());
        facts.node = described.node.clone().or(facts.node.take());
        facts.rung = Rung::Kubelet;
        let status =
            described.containers.iter().find(|status| Some(&status.id) == facts.container_id.as_ref());
        if let Some(status) = status {
            facts.container_name = facts.container_name.take().or_else(|| status.name.clone());
            facts.image = facts.image.take().or_else(|| status.image.clone());
            facts.image_digest = facts.image_digest.take().or_else(|| status.image_digest.clone());
        }
        true
    }

    /// Puts a new list in the place of the last one.
    pub fn replace(&self, pods: Vec<Described>) {
        let by_uid = pods.into_iter().take(LIMIT).map(|pod| (pod.pod.uid.clone(), pod)).collect();
        *self.known.lock() = by_uid;
    }

    /// Ends when somebody has asked for a pod that is not in the list.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
