//! Lays out the files of a package below `target/package/NAME/root`, as they will be on the host,
//! and beside that what package managers run: `scripts`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    Programs, changelog,
    contents::{AREA, Package},
    files::{empty, make_above, read},
    licences,
    manifest::{maintainer, version},
    time::Time,
};
use crate::{paths, step};

/// Where completions belong: the file that the program writes, and its place.
const COMPLETIONS: [(&str, &str); 3] = [
    ("PROGRAM.bash", "usr/share/bash-completion/completions/PROGRAM"),
    ("_PROGRAM", "usr/share/zsh/vendor-completions/_PROGRAM"),
    ("PROGRAM.fish", "usr/share/fish/vendor_completions.d/PROGRAM.fish"),
];

/// What every package has in `usr/share/doc`.
const DOCUMENTS: [&str; 1] = ["README.md"];

pub(super) fn stage(package: &Package, programs: Programs, time: &Time) -> Result<()> {
    let dir = package.stage();
    empty(&dir)?;
    let root = dir.join("root");
    let program = root.join("usr/bin").join(package.program);
    strip(&programs.dir().join(package.program), &program)?;
    let made = dir.join("made");
    let mut packaging = Command::new(&program);
    packaging.arg("packaging").arg(&made);
    step::run(
        AREA,
        &format!("manual pages and completions of {}", package.name),
        "package-made",
        &mut packaging,
    )?;

    let documents = format!("usr/share/doc/{}", package.name);
    for (file, place) in package.files.iter().copied().chain(DOCUMENTS.map(|file| (file, documents.as_str())))
    {
        let file = paths::root().join(file);
        let name = file.file_name().context("a file without a name")?;
        copy(&file, &root.join(place).join(name))?;
    }
    let notices = licences::notices(package)?;
    compress(notices.as_bytes(), &root.join(&documents).join("third-party.txt.gz"))?;
    for page in entries(&made.join("man"))? {
        let name = page.file_name().context("a page without a name")?;
        let name = format!("{}.gz", name.to_string_lossy());
        compress(&fs::read(&page)?, &root.join("usr/share/man/man1").join(name))?;
    }
    for (made_as, place) in COMPLETIONS {
        let of = |template: &str| template.replace("PROGRAM", package.program);
        copy(&made.join("completions").join(of(made_as)), &root.join(of(place)))?;
    }
    scripts(package, &dir, read(&made.join("format"))?.trim())?;
    let history = changelog::debian(
        &read(&paths::root().join("CHANGELOG.md"))?,
        package.name,
        &version(package)?,
        &maintainer(package)?,
        &time.mail,
    );
    compress(history.as_bytes(), &dir.join("changelog.gz"))
}

/// What package managers run, with the format that this version writes.
fn scripts(package: &Package, dir: &Path, format: &str) -> Result<()> {
    let scripts = dir.join("scripts");
    fs::create_dir_all(&scripts)?;
    let postrm = format!("debian/{}.postrm", package.name);
    let templates = [
        ("preinst", "debian/preinst"),
        ("postrm", &postrm),
        ("rpm-pre", "debian/preinst"),
        ("rpm-post", "rpm/post"),
        ("rpm-preun", "rpm/preun"),
        ("rpm-postun", "rpm/postun"),
    ];
    for (name, template) in templates {
        let mut text = read(&paths::root().join("deploy").join(template))?;
        if name.starts_with("rpm") {
            text = text.replace("#DEBHELPER#\n", "");
        }
        let text = text
            .replace("#NAME#", package.name)
            .replace("#STATE#", package.state)
            .replace("#FORMAT#", format);
        fs::write(scripts.join(name), text)?;
    }
    Ok(())
}

/// Copies a program without what only debuggers read.
pub(crate) fn strip(from: &Path, to: &Path) -> Result<()> {
    if !from.is_file() {
        bail!("there is no {}", paths::short(from));
    }
    make_above(to)?;
    step::capture(Command::new("strip").arg("--strip-all").arg("-o").arg(to).arg(from)).map(drop)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    make_above(to)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// As Debian wants pages and histories: as small as gzip can, without name and time.
fn compress(content: &[u8], to: &Path) -> Result<()> {
    make_above(to)?;
    let plain = to.with_extension("");
    fs::write(&plain, content).with_context(|| format!("cannot write {}", plain.display()))?;
    step::capture(Command::new("gzip").args(["-9", "--no-name"]).arg(&plain)).map(drop)
}

/// The files in a directory, by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}
