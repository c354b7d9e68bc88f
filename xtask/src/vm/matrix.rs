//! `tests/vm/matrix.toml`: which kernels are booted and what they promise.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail};
use toml::{Table, Value};

use crate::paths;

const KEYS: [&str; 9] =
    ["name", "suite", "package", "modules", "lsm", "arguments", "promised", "tests", "timeout_s"];
const DEFAULT_TIMEOUT_S: u64 = 900;

/// One way to boot one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    /// Debian suite whose archive has it.
    pub(crate) suite: String,
    /// Package name; one `*` stands for what changes from build to build.
    pub(crate) package: String,
    /// The same for the package of its modules, if that is another one.
    pub(crate) modules: Option<String>,
    /// Boot with BPF among the security modules.
    pub(crate) lsm: bool,
    /// More words of the kernel's command line.
    pub(crate) arguments: Vec<String>,
    /// Capabilities that a test may not skip on this kernel.
    pub(crate) promised: Vec<String>,
    /// Names, or parts of them, of the tests that run on it where nobody asked for certain ones.
    pub(crate) tests: Vec<String>,
    pub(crate) timeout: Duration,
    /// Its time is a count of its instructions, on one processor.
    pub(crate) counted: bool,
    /// It runs beside other tests, and gives way to them.
    pub(crate) beside: bool,
}

pub(super) struct Matrix {
    kernels: Vec<Kernel>,
}

impl Matrix {
    pub(super) fn read() -> Result<Self> {
        let path = paths::root().join("tests/vm/matrix.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not a kernel matrix", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse()?;
        if let Some(unknown) = table.keys().find(|key| !["kernel", "tests"].contains(&key.as_str())) {
            bail!("unknown key {unknown}; known are kernel and tests");
        }
        let kernels = table.get("kernel").and_then(Value::as_array).context("there is no [[kernel]]")?;
        let tests = strings(&table, "tests")?;
        let kernels = kernels
            .iter()
            .map(|kernel| Kernel::parse(kernel.as_table().context("[[kernel]] is no table")?, &tests))
            .collect::<Result<_>>()?;
        Ok(Self { kernels })
    }

    /// The kernels of these names, in the order of the file; all for no name.
    pub(super) fn select(self, names: &[String]) -> Result<Vec<Kernel>> {
        if let Some(unknown) =
            names.iter().find(|name| self.kernels.iter().all(|kernel| kernel.name != **name))
        {
            let known: Vec<&str> = self.kernels.iter().map(|kernel| kernel.name.as_str()).collect();
            bail!("there is no kernel {unknown} in tests/vm/matrix.toml; it has {}", known.join(", "));
        }
        Ok(self
            .kernels
            .into_iter()
            .filter(|kernel| names.is_empty() || names.contains(&kernel.name))
            .collect())
    }
}

impl Kernel {
    /// Boots without BPF among the security modules: tier B instead of A.
    pub(super) fn take_lsm_away(&mut self) {
        if self.lsm {
            self.lsm = false;
            self.name.push_str("-no-lsm");
            self.promised.retain(|capability| capability != "lsm" && capability != "tier-a");
            self.promised.push("tier-b".to_owned());
        }
    }

    /// Boots so that its time is a count of its instructions.
    pub(super) fn count_time(&mut self) {
        self.counted = true;
        self.promised.push("counted-time".to_owned());
        self.arguments.push("AGENTSENTRY_COUNTED_TIME=1".to_owned());
    }

    fn parse(table: &Table, tests: &[String]) -> Result<Self> {
        if let Some(unknown) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            bail!("unknown key {unknown}; known are {}", KEYS.join(", "));
        }
        let text = |key: &str| -> Result<String> {
            let value = table.get(key).and_then(Value::as_str);
            value.map(str::to_owned).with_context(|| format!("{key} has to be a string"))
        };
        let timeout = table.get("timeout_s").map(|value| {
            let seconds = value.as_integer().and_then(|seconds| u64::try_from(seconds).ok());
            seconds.context("timeout_s has to be a number of seconds")
        });
        Ok(Self {
            name: text("name")?,
            suite: text("suite")?,
            package: text("package")?,
            modules: if table.contains_key("modules") { Some(text("modules")?) } else { None },
            lsm: table.get("lsm").and_then(Value::as_bool).context("lsm has to be true or false")?,
            arguments: if table.contains_key("arguments") {
                strings(table, "arguments")?
            } else {
                Vec::new()
            },
            promised: strings(table, "promised")?,
            tests: if table.contains_key("tests") { strings(table, "tests")? } else { tests.to_vec() },
            timeout: Duration::from_secs(timeout.transpose()?.unwrap_or(DEFAULT_TIMEOUT_S)),
            counted: false,
            beside: false,
        })
    }
}

fn strings(table: &Table, key: &str) -> Result<Vec<String>> {
    let list = table.get(key).and_then(Value::as_array).with_context(|| format!("{key} has to be a list"))?;
    list.iter()
        .map(|word| word.as_str().map(str::to_owned).with_context(|| format!("{key} has to list strings")))
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const TWO: &str = r#"
tests = ["acts::"]

[[kernel]]
name = "old"
suite = "bookworm"
package = "linux-image-6.1.*-cloud-amd64"
lsm = true
promised = ["lsm", "tier-a", "trampoline"]

[[kernel]]
name = "new"
suite = "trixie"
package = "linux-image-6.12.*-cloud-amd64"
lsm = false
promised = []
tests = ["files::"]
timeout_s = 5
"#;

    #[test]
    fn selects_by_name_and_refuses_unknown_ones() {
        let all = Matrix::parse(TWO).unwrap().select(&[]).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[1].timeout, Duration::from_secs(5));
        assert_eq!(
            (&all[0].tests[..], &all[1].tests[..]),
            (&["acts::".to_owned()][..], &["files::".to_owned()][..])
        );
        let one = Matrix::parse(TWO).unwrap().select(&["new".to_owned()]).unwrap();
        assert_eq!(one[0].suite, "trixie");
        let error = Matrix::parse(TWO).unwrap().select(&["6.1".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("old, new"), "{error}");
    }

    #[test]
    fn a_kernel_without_lsm_promises_less() {
        let mut kernel = Matrix::parse(TWO).unwrap().select(&[]).unwrap().remove(0);
        kernel.take_lsm_away();
        assert_eq!(kernel.name, "old-no-lsm");
        assert_eq!(kernel.promised, ["trampoline", "tier-b"]);
    }

    #[test]
    fn refuses_unknown_keys_and_wrong_types() {
        let misspelt = TWO.replace("timeout_s", "timeout");
        assert!(Matrix::parse(&misspelt).is_err());
        assert!(Matrix::parse(&TWO.replacen("tests", "test", 1)).is_err());
        let wrong = TWO.replace("lsm = true", "lsm = \"yes\"");
        assert!(Matrix::parse(&wrong).is_err());
    }

    #[test]
    fn the_matrix_of_this_project_is_valid() {
        let matrix = Matrix::read().unwrap();
        assert!(
            matrix.kernels.iter().any(|kernel| kernel.lsm) && matrix.kernels.iter().any(|kernel| !kernel.lsm)
        );
    }
}
