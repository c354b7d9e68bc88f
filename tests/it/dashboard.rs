//! The dashboard, as a person uses it: a real browser, a real sensor, a real runaway.
//!
//! With `UPDATE_DOCS=1` the pictures of `docs/dashboard` are made anew by the same run.

use std::{fs, path::PathBuf, process::Command};

use sentry_tests::{
    browser::Browser, collector::Collector, http, manifests, procs, programs, require, scratch::Scratch,
    sensor::Setup, supervised::Order, wait,
};
use serde_json::Value;

use crate::workload;

/// A machine that is shared with other work gives a spinner less than a core.
const QUICK_TO_FIND: &str = "detect: {cpu_hold_ms: 1000, cpu_min_cores: 0.05}";
const WIDE: (u32, u32) = (1280, 800);
const NARROW: (u32, u32) = (360, 740);
/// Bytes of a committed picture.
const PICTURE_BYTES: usize = 150 << 10;

fn checkout() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn web() -> PathBuf {
    checkout().join("sentry-collector/web")
}

/// A person at a browser, with a collector behind it.
struct Person<'a> {
    browser: &'a Browser,
    collector: &'a Collector,
    axe: String,
}

impl Person<'_> {
    fn go(&self, path: &str) {
        self.browser.open(&format!("http://{}{path}", self.collector.http));
    }

    /// With the admin key.
    fn log_in(&self) {
        self.go("/login");
        self.browser.enter("//input[@name='key']", self.collector.key().trim());
        self.browser.click("//form//button[@type='submit']");
        self.browser.has("//nav");
    }

    /// The page is in order at both sizes; keeps a picture of it.
    fn look(&self, name: &str) {
        for (size, (width, height)) in [("phone", NARROW), ("desk", WIDE)] {
            self.browser.resize(width, height);
            let wider = self
                .browser
                .run("const root = document.scrollingElement; return root.scrollWidth - root.clientWidth");
            assert_eq!(wider, 0, "{name} does not fit on a {size}");
            self.has_no_serious_fault(&format!("{name} on a {size}"));
        }
        assert_eq!(self.browser.errors(), [] as [&str; 0], "{name}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            self.keep(name);
        }
    }

    fn keep(&self, name: &str) {
        let page = fs::read_to_string(checkout().join("docs/dashboard.md")).unwrap();
        if !page.contains(&format!("dashboard/{name}.png")) {
            return;
        }
        let picture = self.browser.picture();
        assert!(picture.len() <= PICTURE_BYTES, "{name}: {} bytes", picture.len());
        let folder = checkout().join("docs/dashboard");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }

    /// What axe-core calls serious or critical.
    fn has_no_serious_fault(&self, place: &str) {
        let _defined = self.browser.run(&self.axe);
        let found = self.browser.run_async(
            "const done = arguments[arguments.length - 1];
             axe.run(document, { resultTypes: ['violations'] }).then((result) => done(result.violations
                 .filter((fault) => ['serious', 'critical'].includes(fault.impact))
                 .map((fault) => fault.id + ': ' + fault.nodes.map((node) => node.html + ' ' + node.failureSummary)
                     .slice(0, 3).join(' | '))))",
        );
        assert_eq!(found, Value::Array(Vec::new()), "{place}");
    }

    /// Orders an act at the stop console that is open, and waits for its receipt.
    fn stop(&self, act: &str, reason: &str) {
        self.browser.click(&format!("//input[@name='act'][@value='{act}']"));
        self.browser.enter("//input[@name='reason']", reason);
        self.browser.click("//section[h2 or div/h2]//form//button[@type='submit']");
        self.browser.click("//section//form//button[@type='submit'][starts-with(normalize-space(), 'Yes')]");
        self.browser.see(&format!("{act} at "));
        self.browser.see("applied");
    }
}

#[test]
fn a_person_watches_a_runaway_stops_it_and_finds_what_it_did() {
    require!("root", "chromium");
    let collector = Collector::start();
    let sensor = Setup::default().config(QUICK_TO_FIND).collector(&collector.grpc).start();
    let browser = Browser::start();
    let person = Person { browser: &browser, collector: &collector, axe: manifests::axe().unwrap() };
    browser.resize(WIDE.0, WIDE.1);
    browser.prefer("prefers-color-scheme", "dark");

    // Nothing yet: each screen says how to get something.
    person.log_in();
    browser.see("No run yet");
    person.look("fleet-empty");

    let file = sensor.scratch().join("pid");
    let line = workload("workload_spin", &["2", file.to_str().unwrap()]);
    let run = Order::new(&sensor, "spinner").start(&line);
    let (id, pid) = (run.run(), wait::file(&file).parse::<u32>().unwrap());
    person.sees_the_run_and_its_finding();
    person.freezes_thaws_and_kills(pid);
    assert_eq!(run.wait().code(), Some(137));
    assert!(!procs::is_alive(pid));
    person.reads_what_it_did(&id);
    person.makes_a_key_and_revokes_it();
    person.looks_at_the_rest(&id);

    let own = format!("http://{}/", collector.http);
    let elsewhere: Vec<String> = browser
        .requests()
        .into_iter()
        .filter(|url| !url.starts_with(&own) && !url.starts_with("data:"))
        .collect();
    assert_eq!(elsewhere, [] as [&str; 0], "no request leaves the origin");
}

/// What the person does, one after the other.
impl Person<'_> {
    /// A run appears by itself, and then its finding, which is acknowledged.
    fn sees_the_run_and_its_finding(&self) {
        let browser = self.browser;
        browser.see("spinner");
        browser.see("running");
        browser.has("//main//*[contains(@class, 'found')]");
        self.look("fleet");
        browser.press("gi");
        browser.see("cpu-spin");
        self.look("findings");
        browser.press("j\u{E007}");
        browser.see("The arithmetic");
        browser.see("observe");
        self.look("finding");
        browser.press("a");
        browser.see("acknowledged");
        let findings = self.collector.all("findings");
        assert_eq!(findings[0]["unmapped"]["triage"]["state"], "acknowledged", "{findings:?}");
        self.look("finding-acknowledged");
    }

    /// Each with its receipt.
    fn freezes_thaws_and_kills(&self, pid: u32) {
        let browser = self.browser;
        browser.click("//a[normalize-space()='Stop…']");
        browser.see("What is held");
        browser.see("workload_spin");
        self.stop("freeze", "it spins");
        browser.has("//section//span[contains(@class, 'state frozen')]");
        self.look("stop");
        self.stop("thaw", "it may go on");
        browser.has("//section//span[contains(@class, 'state running')]");
        assert!(procs::is_alive(pid));
        self.stop("kill", "it spins again");
        browser.see("Survivors");
        browser.has("//section//span[contains(@class, 'state ended')]");
    }

    /// From a link alone, and by a search.
    fn reads_what_it_did(&self, run: &str) {
        let browser = self.browser;
        self.go(&format!("/runs/{run}"));
        browser.see("Timeline");
        browser.see("ended");
        browser.see("exec");
        self.look("run");
        for (tab, text) in
            [("processes", "Process tree"), ("files", "Changed files"), ("network", "Destinations")]
        {
            browser.click(&format!("//a[@id='tab-{tab}']"));
            browser.see(text);
            self.look(&format!("run-{tab}"));
        }
        browser.back();
        browser.see("Changed files");

        self.go("/search");
        browser.enter("//input[@name='path']", "workload_spin");
        browser.click("//form//button[@type='submit']");
        browser.has("//td[normalize-space()='exec']");
        assert!(browser.url().contains("path=workload_spin"), "{}", browser.url());
        self.look("search");
    }

    /// It opens the API until then.
    fn makes_a_key_and_revokes_it(&self) {
        let browser = self.browser;
        self.go("/settings");
        browser.enter("//input[@name='note']", "of the report");
        browser.click("//button[normalize-space()='Make a key']");
        browser.has("//output[@name='made']");
        let key = browser.run("return document.querySelector('output[name=made]').textContent");
        let key = key.as_str().unwrap();
        let status = |key: &str| http::get(&self.collector.http, "/api/v1/runs", key).unwrap().0;
        assert_eq!(status(key), 200);
        let prefix = key.split('_').nth(1).unwrap();
        browser.click(&format!("//button[@aria-label='Revoke {prefix}']"));
        browser.click(&format!("//button[normalize-space()='Yes, revoke {prefix}']"));
        browser.has(&format!("//tr[td[normalize-space()='{prefix}']]/td[starts-with(., 'revoked')]"));
        assert_eq!(status(key), 401);
        // Its secret is on no picture.
        self.look("settings");
    }

    fn looks_at_the_rest(&self, run: &str) {
        let others = [
            ("/agents", "spinner", "agents"),
            ("/honesty", "Tier", "honesty"),
            ("/stop", "Nothing to stop", "stop-empty"),
            ("/none", "Nothing here", "nothing"),
        ];
        for (path, text, name) in others {
            self.go(path);
            self.browser.see(text);
            self.look(name);
        }
        self.browser.prefer("prefers-color-scheme", "light");
        self.go(&format!("/runs/{run}"));
        self.browser.see("exec");
        self.look("run-light");
    }
}

/// A name that an agent chose is text, whatever it says.
#[test]
fn the_text_of_an_agent_is_never_markup() {
    require!("root", "chromium");
    let collector = Collector::start();
    let sensor = Setup::default().collector(&collector.grpc).start();
    let evil = "<img src=x onerror=document.title=7><script>document.title=7</script>";
    let ended = Order::new(&sensor, "evil").finish(&["true", evil]);
    let browser = Browser::start();
    let person = Person { browser: &browser, collector: &collector, axe: String::new() };
    person.log_in();
    for path in [
        "/".to_owned(),
        format!("/runs/{}", ended.run),
        format!("/runs/{}?tab=processes", ended.run),
        format!("/search?run={}", ended.run),
    ] {
        person.go(&path);
        browser.see(evil);
        let inside =
            browser.run("return document.querySelectorAll('main img, main script, body > script').length");
        assert_eq!(inside, 0, "{path}");
        assert_ne!(browser.run("return document.title"), "7", "{path}");
    }
    assert_eq!(browser.errors(), [] as [&str; 0]);
}

#[test]
fn the_committed_dashboard_is_what_a_build_gives() {
    require!("dashboard-tools");
    let scratch = Scratch::new();
    let node = |script: &str, arguments: &[&str]| {
        let mut command = Command::new("node");
        command.arg(web().join("node_modules").join(script)).args(arguments).current_dir(web());
        let output = programs::finish(&mut command);
        assert!(output.status.success(), "{}", programs::text(&output));
    };
    let types = scratch.join("schema.ts");
    let description = checkout().join("docs/openapi.json");
    node(
        "openapi-typescript/bin/cli.js",
        &[description.to_str().unwrap(), "--output", types.to_str().unwrap()],
    );
    let types = fs::read_to_string(types).unwrap();
    let committed = fs::read_to_string(web().join("src/lib/schema.ts")).unwrap();
    assert!(types == committed, "the API has changed: `npm run types` in sentry-collector/web");

    let made = scratch.join("dist");
    node("vite/bin/vite.js", &["build", "--outDir", made.to_str().unwrap(), "--emptyOutDir"]);
    let files = |root: PathBuf| {
        let mut command = Command::new("find");
        command.args([".", "-type", "f", "-exec", "sha256sum", "{}", "+"]).current_dir(root);
        let output = programs::finish(&mut command);
        let mut lines: Vec<String> = programs::text(&output).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (made, committed) = (files(made), files(web().join("dist")));
    assert!(made.len() > 2, "{made:?}");
    assert_eq!(made, committed, "`npm run build` in sentry-collector/web makes dist anew");
}
