//! Commands as an operator types them, shown with what they answer.

use std::{
    cell::RefCell,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{paths, setup, step};

/// Where typed commands go, and the record of them.
pub(super) struct Shell {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    record: RefCell<File>,
    ran: RefCell<Vec<String>>,
}

/// A program of the tools that check the manifests.
pub(super) fn deploy_tool(name: &str) -> PathBuf {
    paths::root().join(setup::DEPLOY_TOOLS).join("bin").join(name)
}

impl Shell {
    pub(super) fn new(kubectl: PathBuf, kubeconfig: PathBuf) -> Result<Self> {
        let path = step::log_path("kubernetes")?.with_extension("txt");
        let record = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { kubectl, kubeconfig, record: RefCell::new(record), ran: RefCell::default() })
    }

    /// Runs a line that begins with `kubectl` or `helm`, shows both, and returns the answer.
    pub(super) fn run(&self, line: &str) -> Result<String> {
        self.show(&format!("$ {line}\n"))?;
        let answer = self.quiet(line)?;
        self.show(&answer)?;
        self.ran.borrow_mut().push(line.to_owned());
        Ok(answer)
    }

    /// Commands of a page, in its `sh` blocks, that were not run.
    pub(super) fn not_run(&self, page: &str) -> Vec<String> {
        let ran = self.ran.borrow();
        documented(page).into_iter().filter(|line| !ran.contains(line)).collect()
    }

    /// As [`Self::run`], and shows nothing: for what is asked again and again.
    pub(super) fn quiet(&self, line: &str) -> Result<String> {
        let output = self.command(line)?.output().with_context(|| format!("cannot start {line}"))?;
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{line}: {}: {answer}{}", output.status, errors.trim());
        }
        Ok(answer)
    }

    /// Applies a file of the cluster's objects.
    pub(super) fn apply(&self, file: &Path) -> Result<()> {
        self.quiet(&format!("kubectl apply --filename {}", file.display())).map(drop)
    }

    /// Starts a line that goes on until its process is killed.
    pub(super) fn start(&self, line: &str) -> Result<std::process::Child> {
        self.show(&format!("$ {line} &\n"))?;
        let mut command = self.command(line)?;
        command.spawn().with_context(|| format!("cannot start {line}"))
    }

    pub(super) fn show(&self, text: &str) -> Result<()> {
        print!("{text}");
        self.record.borrow_mut().write_all(text.as_bytes()).context("cannot write the record")
    }

    /// Words are parted by blanks; one in single quotes is one word.
    fn command(&self, line: &str) -> Result<Command> {
        let words = words(line);
        let Some((program, args)) = words.split_first() else { bail!("an empty line") };
        let mut command = match program.as_str() {
            "kubectl" => Command::new(&self.kubectl),
            "helm" => {
                let mut helm = Command::new(deploy_tool("python"));
                helm.arg(paths::root().join("tests/deploy/helm.py"));
                helm
            }
            other => Command::new(other),
        };
        command.args(args).env("KUBECONFIG", &self.kubeconfig).current_dir(paths::root());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

fn documented(page: &str) -> Vec<String> {
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_pages_blocks_are_its_commands() {
        assert_eq!(documented("a\n```sh\nb c\nd\n```\n```text\ne\n```\n```sh\nf\n```\n"), ["b c", "d", "f"]);
    }

    #[test]
    fn what_is_in_quotes_is_one_word() {
        assert_eq!(
            words("kubectl exec a -- sh -c 'b; c' d"),
            ["kubectl", "exec", "a", "--", "sh", "-c", "b; c", "d"]
        );
    }
}
