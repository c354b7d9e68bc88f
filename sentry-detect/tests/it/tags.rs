//! Every tag of a rule is an id that its catalogue has.

use std::{fs, path::Path};

/// Techniques of MITRE ATT&CK Enterprise, v18.
const ATTACK: &[(&str, &str)] = &[
    ("T1003.007", "OS Credential Dumping: Proc Filesystem"),
    ("T1003.008", "OS Credential Dumping: /etc/passwd and /etc/shadow"),
    ("T1018", "Remote System Discovery"),
    ("T1021.004", "Remote Services: SSH"),
    ("T1037.004", "Boot or Logon Initialization Scripts: RC Scripts"),
    ("T1041", "Exfiltration Over C2 Channel"),
    ("T1046", "Network Service Discovery"),
    ("T1048", "Exfiltration Over Alternative Protocol"),
    ("T1053.002", "Scheduled Task/Job: At"),
    ("T1053.003", "Scheduled Task/Job: Cron"),
    ("T1053.006", "Scheduled Task/Job: Systemd Timers"),
    ("T1055.008", "Process Injection: Ptrace System Calls"),
    ("T1070.002", "Indicator Removal: Clear Linux or Mac System Logs"),
    ("T1070.003", "Indicator Removal: Clear Command History"),
    ("T1071.004", "Application Layer Protocol: DNS"),
    ("T1098", "Account Manipulation"),
    ("T1098.004", "Account Manipulation: SSH Authorized Keys"),
    ("T1485", "Data Destruction"),
    ("T1496", "Resource Hijacking"),
    ("T1496.001", "Resource Hijacking: Compute Hijacking"),
    ("T1498", "Network Denial of Service"),
    ("T1499", "Endpoint Denial of Service"),
    ("T1499.001", "Endpoint Denial of Service: OS Exhaustion Flood"),
    ("T1543.002", "Create or Modify System Process: Systemd Service"),
    ("T1546", "Event Triggered Execution"),
    ("T1546.004", "Event Triggered Execution: Unix Shell Configuration Modification"),
    ("T1546.016", "Event Triggered Execution: Installer Packages"),
    ("T1546.017", "Event Triggered Execution: Udev Rules"),
    ("T1546.018", "Event Triggered Execution: Python Startup Hooks"),
    ("T1547.006", "Boot or Logon Autostart Execution: Kernel Modules and Extensions"),
    ("T1547.013", "Boot or Logon Autostart Execution: XDG Autostart Entries"),
    ("T1548.003", "Abuse Elevation Control Mechanism: Sudo and Sudo Caching"),
    ("T1552", "Unsecured Credentials"),
    ("T1552.001", "Unsecured Credentials: Credentials In Files"),
    ("T1552.003", "Unsecured Credentials: Shell History"),
    ("T1552.004", "Unsecured Credentials: Private Keys"),
    ("T1552.005", "Unsecured Credentials: Cloud Instance Metadata API"),
    ("T1555", "Credentials from Password Stores"),
    ("T1555.003", "Credentials from Password Stores: Credentials from Web Browsers"),
    ("T1556.003", "Modify Authentication Process: Pluggable Authentication Modules"),
    ("T1559", "Inter-Process Communication"),
    ("T1562.001", "Impair Defenses: Disable or Modify Tools"),
    ("T1564.006", "Hide Artifacts: Run Virtual Instance"),
    ("T1569", "System Services"),
    ("T1574.006", "Hijack Execution Flow: Dynamic Linker Hijacking"),
    ("T1609", "Container Administration Command"),
    ("T1610", "Deploy Container"),
];

/// Techniques of MITRE ATLAS.
const ATLAS: &[(&str, &str)] = &[
    ("AML.T0081", "Modify AI Agent Configuration"),
    ("AML.T0086", "Exfiltration via AI Agent Tool Invocation"),
];

/// OWASP Top 10 for Agentic Applications, 2026.
const OWASP: &[(&str, &str)] = &[
    ("ASI02", "Tool Misuse and Exploitation"),
    ("ASI03", "Identity and Privilege Abuse"),
    ("ASI08", "Cascading Failures"),
    ("ASI10", "Rogue Agents"),
];

/// The tags in the text of all rules: `attack:…`, `atlas:…`, `owasp-asi:…` in quotes.
fn tags() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rule");
    let mut tags = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        tags.extend(text.split('"').filter_map(|quoted| {
            let (space, id) = quoted.split_once(':')?;
            matches!(space, "attack" | "atlas" | "owasp-asi").then(|| (space.to_owned(), id.to_owned()))
        }));
    }
    tags.sort();
    tags.dedup();
    tags
}

#[test]
fn every_tag_is_an_id_of_its_catalogue() {
    let all = tags();
    assert!(all.len() > 30, "{all:?}");
    for (space, id) in &all {
        let catalogue = match space.as_str() {
            "attack" => ATTACK,
            "atlas" => ATLAS,
            _ => OWASP,
        };
        assert!(catalogue.iter().any(|(known, _)| known == id), "{space}:{id} is not in the catalogue");
    }
}
