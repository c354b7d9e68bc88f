//! The container of a run: `container` of the acting process, resources of a finding.

use serde_json::{Map, Value, json};

use super::object::put_known;
use crate::v1;

/// The profile that gives a process its container.
pub(super) const PROFILE: &str = "container";

/// Adds the run's container to a rendered event: to the actor's process as OCSF has it, and whole
/// under `unmapped`.
pub(super) fn add_to_event(event: &mut Map<String, Value>, container: &v1::Container) {
    if let Some(object) = object(container) {
        event["actor"]["process"]["container"] = object;
        if let Some(profiles) = event["metadata"]["profiles"].as_array_mut() {
            profiles.insert(1, PROFILE.into());
        }
    }
    event["unmapped"]["container"] = json!(sentry_view::Container::from(container));
}

/// Adds the run's container and its pod to a rendered finding as affected resources.
pub(super) fn add_to_finding(finding: &mut Map<String, Value>, container: &v1::Container) {
    let resources: Vec<Value> =
        [resource(container), container.pod.as_ref().map(pod)].into_iter().flatten().collect();
    finding.insert("resources".to_owned(), resources.into());
    finding["unmapped"]["container"] = json!(sentry_view::Container::from(container));
}

/// `None` for a pod as a whole: OCSF has a container's name or id.
fn object(container: &v1::Container) -> Option<Value> {
    let mut object = named(&container.id, &container.name)?;
    put_known(&mut object, "runtime", &container.runtime);
    // OCSF wants an image's id: its digest, or else the name that it was asked for by.
    let image = [&container.image_digest, &container.image].into_iter().find(|text| !text.is_empty());
    if let Some(uid) = image {
        let mut image = Map::from_iter([("uid".to_owned(), uid.as_str().into())]);
        put_known(&mut image, "name", &container.image);
        object.insert("image".to_owned(), image.into());
    }
    if let Some(pod) = &container.pod {
        put_known(&mut object, "pod_uuid", &pod.uid);
        put_known(&mut object, "orchestrator", "Kubernetes");
    }
    Some(object.into())
}

fn resource(container: &v1::Container) -> Option<Value> {
    let mut resource = named(&container.id, &container.name)?;
    put_known(&mut resource, "type", "container");
    Some(resource.into())
}

fn pod(pod: &v1::Pod) -> Value {
    let mut resource = json!({ "type": "pod", "uid": pod.uid });
    if let Some(resource) = resource.as_object_mut() {
        put_known(resource, "name", &pod.name);
        put_known(resource, "namespace", &pod.namespace);
    }
    resource
}

fn named(id: &str, name: &str) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    put_known(&mut object, "uid", id);
    put_known(&mut object, "name", name);
    (!object.is_empty()).then_some(object)
}
