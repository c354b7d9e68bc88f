//! Containers as the JSON of command line, collector and ledger.

use serde_json::{Value, json};

use crate::v1;

/// A container with the members of [`v1::Container`]; what is not known is null.
#[must_use]
pub fn json(container: &v1::Container) -> Value {
    let v1::Container { engine, id, name, image, image_digest, pod, node, runtime, rung, sandboxed } =
        container;
    json!({
        "engine": engine,
        "id": known(id),
        "name": known(name),
        "image": known(image),
        "image_digest": known(image_digest),
        "pod": pod.as_ref().map(|pod| json!({
            "uid": pod.uid,
            "name": known(&pod.name),
            "namespace": known(&pod.namespace),
            "service_account": known(&pod.service_account),
        })),
        "node": known(node),
        "runtime": known(runtime),
        "rung": rung,
        "sandboxed": known(sandboxed),
    })
}

fn known(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
