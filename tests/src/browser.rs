//! A real browser: Debian's Chromium, driven by its own driver over the WebDriver protocol, which
//! is JSON over HTTP. Nothing of it reaches the network: what a page asked for elsewhere shows in
//! [`Browser::requests`].

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{scratch::Scratch, wait};

/// The key under which the protocol names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const ARGUMENTS: [&str; 12] = [
    "--headless=new",
    // It ends with its driver, whose end closes the pipe.
    "--remote-debugging-pipe",
    // The tests run as root, which the sandbox refuses.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
];

/// A browser with one page; closed when the value goes.
pub struct Browser {
    driver: Child,
    address: String,
    session: String,
    _profile: Scratch,
}

impl Browser {
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let profile = Scratch::new();
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", profile.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        // What it says later goes nowhere, but must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            address: format!("127.0.0.1:{}", port.unwrap()),
            session: String::new(),
            _profile: profile,
        };
        let profile = format!("--user-data-dir={}", browser._profile.join("profile").display());
        let arguments: Vec<String> = ARGUMENTS.iter().map(|&text| text.to_owned()).chain([profile]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let made = browser.ask("POST", "/session", &wanted);
        browser.session = made["sessionId"].as_str().unwrap().to_owned();
        browser
    }

    /// The size of the page, in CSS pixels; a narrow one is a phone.
    pub fn resize(&self, width: u32, height: u32) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}),
        );
    }

    /// What the system of the user prefers: `prefers-color-scheme` and others.
    pub fn prefer(&self, feature: &str, value: &str) {
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": feature, "value": value}]}),
        );
    }

    pub fn open(&self, url: &str) {
        self.of_session("POST", "/url", &json!({ "url": url }));
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.of_session("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// What a script returns.
    #[must_use]
    pub fn run(&self, script: &str) -> Value {
        self.of_session("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// What a script gives to its callback, the last argument.
    #[must_use]
    pub fn run_async(&self, script: &str) -> Value {
        self.of_session("POST", "/execute/async", &json!({"script": script, "args": []}))
    }

    /// The text of the page, as it is seen.
    #[must_use]
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says this.
    pub fn see(&self, text: &str) {
        wait::until(&format!("the page says {text:?}"), || {
            let seen = self.text();
            if seen.contains(text) { Ok(()) } else { Err(format!("{}: {seen}", self.url())) }
        });
    }

    /// Waits until the page has such an element, by XPath.
    pub fn has(&self, path: &str) {
        self.element(path);
    }

    fn element(&self, path: &str) -> String {
        wait::until(&format!("the page has {path}"), || {
            let found = self.of_session("POST", "/elements", &json!({"using": "xpath", "value": path}));
            let first = found[0][ELEMENT].as_str().map(str::to_owned);
            first.ok_or_else(|| format!("{}: {}", self.url(), self.text()))
        })
    }

    /// Clicks on it as a person does: it has to be in sight and uncovered.
    pub fn click(&self, path: &str) {
        wait::until(&format!("{path} can be clicked"), || {
            let element = self.element(path);
            let (status, answer) =
                self.exchange("POST", &self.path(&format!("/element/{element}/click")), &json!({}));
            if status == 200 { Ok(()) } else { Err(answer.to_string()) }
        });
    }

    /// Types into it.
    pub fn enter(&self, path: &str, text: &str) {
        let element = self.element(path);
        self.of_session("POST", &format!("/element/{element}/clear"), &json!({}));
        self.of_session("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses these keys, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]});
        self.of_session("POST", "/actions", &actions);
    }

    pub fn back(&self) {
        self.of_session("POST", "/back", &json!({}));
    }

    /// The page as a PNG.
    #[must_use]
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.of_session("GET", "/screenshot", &Value::Null);
        BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    /// Errors on the console since the last look: those of scripts, of the page's policy, and of
    /// what could not be loaded. Whether somebody is logged in is a question with an answer, also
    /// where that is no.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let log = self.of_session("POST", "/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().unwrap().iter().filter(|entry| entry["level"] == "SEVERE");
        let messages = entries.map(|entry| entry["message"].as_str().unwrap().to_owned());
        messages.filter(|message| !message.contains("/api/v1/session - ")).collect()
    }

    /// The addresses that pages asked for since the last look; not those of the browser's pages.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = self.of_session("POST", "/se/log", &json!({"type": "performance"}));
        let messages = log.as_array().unwrap().iter().map(|entry| entry["message"].as_str().unwrap());
        let urls = messages
            .map(|message| serde_json::from_str::<Value>(message).unwrap()["message"].take())
            .filter(|message| message["method"] == "Network.requestWillBeSent")
            .map(|message| message["params"]["request"]["url"].as_str().unwrap().to_owned());
        urls.filter(|url| !url.starts_with("chrome:")).collect()
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.of_session("POST", "/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    fn path(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session)
    }

    fn of_session(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &self.path(path), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.exchange(method, path, body);
        assert_eq!(status, 200, "{method} {path} {body}: {answer:#}");
        answer
    }

    /// Status and value.
    fn exchange(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // On a busy machine a browser takes longer than anything else that a test waits for.
        stream.set_read_timeout(Some(wait::patience() * 4)).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap().parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        (status, serde_json::from_slice::<Value>(&answer).unwrap()["value"].take())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends the browser; without an answer the driver's end does.
        if !self.session.is_empty() && !std::thread::panicking() {
            self.of_session("DELETE", "", &Value::Null);
        }
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
