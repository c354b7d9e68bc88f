//! containers/storage: what Podman and CRI-O keep in `<root>/<driver>-containers`.

use serde::Deserialize;

use super::{
    Facts,
    oci::Config,
    roots::{FileError, Roots, read_json, text},
};

/// Drivers of containers/storage; each has directories of its own.
const DRIVERS: [&str; 4] = ["overlay", "vfs", "btrfs", "zfs"];

/// An entry of `containers.json`, which is written before the container is started.
#[derive(Deserialize)]
struct Container {
    id: String,
    names: Option<Vec<String>>,
    image: Option<String>,
    metadata: Option<String>,
}

/// In `metadata`, as JSON in a string.
#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    #[serde(rename = "image-name")]
    image_name: Option<String>,
}

/// An entry of `images.json`.
#[derive(Deserialize)]
struct Image {
    id: String,
    digest: Option<String>,
}

/// The OCI configuration of the container.
pub(super) fn configuration(id: &str, roots: &Roots) -> Result<Option<Config>, FileError> {
    for root in &roots.storage {
        for driver in DRIVERS {
            let containers = root.join(format!("{driver}-containers"));
            let config = read_json(&containers, &[id, "userdata", "config.json"])?;
            if config.is_some() {
                return Ok(config);
            }
        }
    }
    Ok(None)
}

/// Names of container and image, and the image's digest, where the configuration had none.
pub(super) fn add_names(facts: &mut Facts, id: &str, roots: &Roots) -> Result<(), FileError> {
    for root in &roots.storage {
        for driver in DRIVERS {
            let containers = root.join(format!("{driver}-containers"));
            let Some(all) = read_json::<Vec<Container>>(&containers, &["containers.json"])? else {
                continue;
            };
            let Some(container) = all.into_iter().find(|container| container.id == id) else { continue };
            let metadata = container.metadata.as_deref().map(serde_json::from_str::<Metadata>);
            let metadata = metadata.and_then(Result::ok).unwrap_or_default();
            let name = metadata.name.or_else(|| container.names.and_then(|names| names.into_iter().next()));
            facts.container_name = facts.container_name.take().or_else(|| name.and_then(text));
            facts.image = facts.image.take().or_else(|| metadata.image_name.and_then(text));
            let images = root.join(format!("{driver}-images"));
            if let Some(images) = read_json::<Vec<Image>>(&images, &["images.json"])? {
                let image = images.into_iter().find(|image| Some(&image.id) == container.image.as_ref());
                facts.image_digest = image.and_then(|image| image.digest).and_then(text);
            }
            return Ok(());
        }
    }
    Ok(())
}
