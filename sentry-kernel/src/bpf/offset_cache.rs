//! Cache of what was found in the kernel's type information. Parsing that takes 0.1 s on a host and
//! seconds under emulation, and the result is the same until the next boot.
//!
//! One JSON file in the runtime directory, mode 0600. It is used only if it belongs to root alone,
//! is from this boot, and from a build that asks for the same fields; otherwise the type
//! information is parsed again. A cache that cannot be written costs only time.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::fs::OFlags;
use sentry_common::offset;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{prototypes, typed::TypeIds};

/// Path of the file.
pub(super) const PATH: &str = "/run/agentsentry/kernel-offsets.json";

/// Most bytes that are read; the file has some ten kilobytes.
const LIMIT_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cached {
    boot_id: String,
    /// SHA-256 over the fields and prototypes asked for, so that another build's file is not used.
    fields: String,
    values: Vec<u32>,
    /// Type numbers of the function that declares types, and of the fields' structures.
    ids: Option<(u32, Vec<u32>)>,
    misfits: Vec<(String, String)>,
}

/// The cached values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) values: [u32; offset::COUNT],
    pub(super) ids: Option<TypeIds>,
    /// Hooks that do not fit, with the difference.
    pub(super) misfits: Vec<(String, String)>,
}

/// The cached values, if the file is trustworthy.
pub(super) fn read(path: &Path) -> Option<Kept> {
    let mut file = open(fs::OpenOptions::new().read(true), path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.uid() != 0 || meta.mode() & 0o077 != 0 || meta.len() > LIMIT_BYTES {
        return None;
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).ok()?;
    let cached: Cached = serde_json::from_slice(&text).ok()?;
    if cached.boot_id != boot_id()? || cached.fields != fields() {
        return None;
    }
    let ids = match cached.ids {
        Some((function, of_fields)) => Some(TypeIds { function, of_fields: of_fields.try_into().ok()? }),
        None => None,
    };
    Some(Kept { values: cached.values.try_into().ok()?, ids, misfits: cached.misfits })
}

/// Writes the cache.
pub(super) fn write(path: &Path, kept: &Kept) {
    if let Err(error) = try_write(path, kept) {
        tracing::debug!(%error, path = %path.display(), "cannot keep kernel offsets");
    }
}

fn try_write(path: &Path, kept: &Kept) -> std::io::Result<()> {
    let cached = Cached {
        boot_id: boot_id().ok_or(std::io::ErrorKind::NotFound)?,
        fields: fields(),
        values: kept.values.to_vec(),
        ids: kept.ids.as_ref().map(|ids| (ids.function, ids.of_fields.to_vec())),
        misfits: kept.misfits.clone(),
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // Two sensors may write at once: each writes a file of its own, and the rename is atomic.
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    // Left by an earlier process with this id.
    drop(fs::remove_file(&draft));
    let mut file = open(fs::OpenOptions::new().write(true).create_new(true).mode(0o600), &draft)?;
    file.write_all(&serde_json::to_vec(&cached)?)?;
    fs::rename(draft, path)
}

/// Follows no link, and does not wait for the other end of a pipe.
fn open(options: &mut fs::OpenOptions, path: &Path) -> std::io::Result<fs::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

fn fields() -> String {
    let digest = Sha256::digest(format!("{:?}{:?}", offset::FIELDS, prototypes::PROTOTYPES));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn boot_id() -> Option<String> {
    Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_kept_is_read_until_anything_about_it_changes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("offsets.json");
        assert_eq!(read(&path), None);
        let kept = Kept {
            values: [7; offset::COUNT],
            ids: Some(TypeIds { function: 3, of_fields: [5; offset::COUNT] }),
            misfits: vec![("fexit/f".to_owned(), "it has 2 parameters, not 3".to_owned())],
        };
        write(&path, &kept);
        let believed = nix::unistd::geteuid().is_root().then_some(kept);
        assert_eq!(read(&path), believed);

        let text = fs::read_to_string(&path).unwrap();
        for spoiled in [
            text.replace(&boot_id().unwrap(), "another boot"),
            text.replace(&fields(), "another build"),
            text.replace("[7,", "["),
            text.replace("[5,", "["),
            text[..text.len() / 2].to_owned(),
        ] {
            fs::write(&path, spoiled).unwrap();
            assert_eq!(read(&path), None);
        }
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(&path), None);
    }
}
