//! The ladder: from a place to facts.

use super::{
    Engine, Facts, Place, Rung, Sandbox, bundle, docker,
    roots::{FileError, Roots},
};

/// What is known of `place` now. Reads at most some dozen small files, and asks nobody: the
/// kubelet's list is fetched aside. Call it where blocking is allowed. A file that cannot be read
/// is logged, and leaves the facts of the path.
#[must_use]
pub fn look_up(place: &Place, roots: &Roots) -> Facts {
    let mut facts = by_files(place, roots);
    // A pod within a container is a claim of that container's.
    if let Some(pods) = roots.pods.as_ref().filter(|_| !place.nested) {
        let described = pods.add_to(&mut facts);
        facts.complete = described && (facts.complete || facts.container_name.is_some());
    }
    facts
}

fn by_files(place: &Place, roots: &Roots) -> Facts {
    let by_path = Facts { node: roots.node.clone(), ..Facts::from(place) };
    let Some(id) = place.container_id.as_deref().filter(|_| has_files_here(place)) else {
        return Facts { complete: true, ..by_path };
    };
    let mut facts = by_path.clone();
    match add_files(&mut facts, place, id, roots) {
        Ok(true) => {
            facts.rung = Rung::Files;
            facts.complete = true;
            facts.sandboxed = facts.runtime.as_deref().and_then(Sandbox::of_runtime);
            if facts.image_digest.is_none() {
                facts.image_digest = facts.image.as_deref().and_then(digest_in_name);
            }
            facts
        }
        // Without an engine's directory there will be no file.
        Ok(false) => Facts { complete: !roots.are_there(), ..by_path },
        Err(error) => {
            roots.complain(id, &error);
            by_path
        }
    }
}

/// Engines in another container keep their files there. Machined and LXC have none that say more.
fn has_files_here(place: &Place) -> bool {
    !place.nested && !matches!(place.engine, Engine::Machined | Engine::Lxc)
}

fn add_files(facts: &mut Facts, place: &Place, id: &str, roots: &Roots) -> Result<bool, FileError> {
    match place.engine {
        Engine::Docker => docker::add(facts, id, roots),
        Engine::Containerd => bundle::of_containerd(facts, id, place.namespace.as_deref(), roots),
        Engine::Crio | Engine::Podman => bundle::of_storage(facts, id, roots),
        // Docker before containerd, which holds Docker's containers too, without their names.
        Engine::Unknown | Engine::Machined | Engine::Lxc => Ok(docker::add(facts, id, roots)?
            || bundle::of_containerd(facts, id, None, roots)?
            || bundle::of_storage(facts, id, roots)?),
    }
}

/// `registry/name@sha256:…`
fn digest_in_name(image: &str) -> Option<String> {
    image.split_once('@').map(|(_, digest)| digest.to_owned()).filter(|digest| digest.contains(':'))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
