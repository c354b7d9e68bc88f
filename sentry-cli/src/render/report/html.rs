//! The report as one page for a browser, with everything in it: no script, no file beside it, and
//! no request to anywhere. What an agent wrote is text in it, never markup.

use std::fmt::Write as _;

use sentry_view::{Activity, Change, ChangeKind, Exit, Place, Report, Tally, time};

use super::{super::duration, words};

/// Colours by name of the reader's own light or dark scheme.
const STYLE: &str = "\
:root{color-scheme:light dark;--bg:light-dark(#fff,#16181c);--fg:light-dark(#1b1f24,#e6e8eb);\
--dim:light-dark(#5c6670,#9aa4af);--line:light-dark(#d9dee3,#2e343b);--bad:light-dark(#b3261e,#ff8a80);\
--good:light-dark(#1a6b34,#7fd49a);--warn:light-dark(#8a5300,#ffc46b);--bar:light-dark(#3b6fb6,#6ea3e8)}\
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem \
auto;padding:0 1rem}\
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}code,td.c,pre{font:13px/1.5 \
ui-monospace,monospace}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .75rem \
.25rem 0;\
border-bottom:1px solid var(--line);overflow-wrap:anywhere}th{color:var(--dim);font-weight:500}\
.dim{color:var(--dim)}.bad{color:var(--bad)}.good{color:var(--good)}.warn{color:var(--warn)}\
.lane{position:relative;height:1rem;background:var(--line);border-radius:.2rem;min-width:12rem}\
.lane i{position:absolute;top:0;bottom:0;min-width:2px;background:var(--bar);border-radius:.2rem}\
.lane i.bad{background:var(--bad)}";

/// The whole page.
pub(crate) fn page(report: &Report, head: &str) -> String {
    let nothing = Activity::default();
    let activity = report.activity.as_ref().unwrap_or(&nothing);
    let mut lines = head.lines();
    let title = lines.next().unwrap_or_default();
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        title = escape(title)
    );
    for line in lines {
        put(&mut out, format_args!("<div class=\"dim\">{}</div>\n", escape(line)));
    }
    findings(&mut out, report);
    changes(&mut out, activity);
    calls(&mut out, report, activity);
    sensitive(&mut out, activity);
    network(&mut out, activity);
    left(&mut out, activity);
    processes(&mut out, activity);
    own(&mut out, &activity.own_programs);
    out.push_str("</body>\n</html>\n");
    out
}

/// Writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in super::super::safe(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A heading, and a table with these columns; the cells are markup.
fn table(out: &mut String, title: &str, columns: &[&str], rows: &[Vec<String>]) {
    put(out, format_args!("<h2>{} <span class=\"dim\">{}</span></h2>\n", escape(title), rows.len()));
    if rows.is_empty() {
        out.push_str("<div class=\"dim\">none</div>\n");
        return;
    }
    out.push_str("<table>\n<tr>");
    columns.iter().for_each(|column| put(out, format_args!("<th>{}</th>", escape(column))));
    out.push_str("</tr>\n");
    for row in rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| put(out, format_args!("<td class=\"c\">{cell}</td>")));
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn findings(out: &mut String, report: &Report) {
    let row = |found: &sentry_view::Finding| {
        vec![
            escape(&time::utc(found.time_unix_ns.0)),
            format!("<span class=\"warn\">{}</span>", escape(&found.rule)),
            escape(&found.summary),
        ]
    };
    table(out, "Findings", &["time", "rule", "what"], &report.found.iter().map(row).collect::<Vec<_>>());
}

fn changes(out: &mut String, activity: &Activity) {
    let row = |change: &Change| {
        let (class, letter) = match change.kind {
            ChangeKind::Added => ("good", "A"),
            ChangeKind::Modified => ("warn", "M"),
            ChangeKind::Deleted => ("bad", "D"),
            ChangeKind::Renamed => ("warn", "R"),
            ChangeKind::Written => ("warn", "W"),
        };
        let from = change.from.as_deref().map(|from| format!("{} → ", escape(from))).unwrap_or_default();
        let mode = change.mode.map(|mode| format!(" (mode {mode:04o})")).unwrap_or_default();
        vec![
            format!("<span class=\"{class}\">{letter}</span>"),
            format!("{from}{}{mode}", escape(&change.path)),
            escape(&words::by(&change.by, activity.agent.as_ref())),
        ]
    };
    // What the agent was asked to work on comes first.
    let (here, other): (Vec<&Change>, Vec<&Change>) =
        activity.changes.iter().partition(|change| change.place == Place::Directory);
    let rows: Vec<_> = here.into_iter().chain(other).map(row).collect();
    table(out, "Changed files", &["", "path", "by"], &rows);
}

/// Each call with its place on the run's time.
fn calls(out: &mut String, report: &Report, activity: &Activity) {
    let starts = activity.calls.iter().map(|call| call.started_unix_ns.0);
    let ends = activity.calls.iter().map(|call| call.started_unix_ns.0 + call.lasted_ns.map_or(0, |ns| ns.0));
    let run = report.run.as_ref();
    let begin = run.map(|run| run.started_unix_ns.0).into_iter().chain(starts).min().unwrap_or(0);
    let end =
        run.and_then(|run| run.ended_unix_ns).map(|end| end.0).into_iter().chain(ends).max().unwrap_or(0);
    let whole = end.saturating_sub(begin).max(1) as f64;
    let part = |ns: u64| 100.0 * ns as f64 / whole;
    let row = |call: &sentry_view::Call| {
        let lasted = call.lasted_ns.map_or(0, |ns| ns.0);
        let is_good = call.exit.is_none_or(Exit::is_success);
        let class = if is_good { "" } else { "bad" };
        let left = part(call.started_unix_ns.0.saturating_sub(begin)).min(99.8);
        vec![
            call.number.to_string(),
            escape(&time::clock(call.started_unix_ns.0)),
            escape(&duration(lasted)),
            format!("<span class=\"{class}\">{}</span>", escape(&words::exit(call.exit))),
            escape(&call.command),
            format!(
                "<div class=\"lane\"><i class=\"{class}\" style=\"left:{left:.2}%;width:{:.2}%\"></i></div>",
                part(lasted).min(100.0 - left)
            ),
        ]
    };
    let columns = ["", "start", "length", "exit", "command", "on the run's time"];
    table(out, "Calls", &columns, &activity.calls.iter().map(row).collect::<Vec<_>>());
}

fn sensitive(out: &mut String, activity: &Activity) {
    let row = |file: &sentry_view::Sensitive| {
        vec![
            format!("<span class=\"warn\">{}</span>", escape(&file.path)),
            escape(&file.title),
            file.reads.to_string(),
            file.writes.to_string(),
            escape(&words::by(&file.by, activity.agent.as_ref())),
        ]
    };
    let rows: Vec<_> = activity.sensitive.iter().map(row).collect();
    table(out, "Sensitive files", &["path", "class", "reads", "writes", "first by"], &rows);
}

fn network(out: &mut String, activity: &Activity) {
    let row = |one: &sentry_view::Destination| {
        let mut by: Vec<String> = Vec::new();
        for who in one.by.iter().map(|by| words::by(by, activity.agent.as_ref())) {
            if !by.contains(&who) {
                by.push(who);
            }
        }
        let moved = |bytes: Option<u64>| bytes.map(words::bytes).unwrap_or_default();
        vec![
            escape(one.name.as_deref().unwrap_or_default()),
            escape(&one.remote),
            one.attempts.to_string(),
            if one.failed > 0 { format!("<span class=\"bad\">{}</span>", one.failed) } else { String::new() },
            moved(one.bytes_out),
            moved(one.bytes_in),
            escape(&by.join(", ")),
        ]
    };
    let rows: Vec<_> = activity.destinations.iter().map(row).collect();
    table(out, "Destinations", &["name", "address", "attempts", "failed", "out", "in", "by"], &rows);
    let row = |lookup: &sentry_view::Lookup| {
        let answer = lookup.failure.clone().unwrap_or_else(|| lookup.addresses.join(", "));
        vec![escape(&lookup.name), escape(&answer), lookup.count.to_string()]
    };
    let rows: Vec<_> = activity.lookups.iter().map(row).collect();
    table(out, "Names looked up", &["name", "answer", "times"], &rows);
}

fn left(out: &mut String, activity: &Activity) {
    let row = |left: &sentry_view::Left| {
        let state = if left.is_running { "still running" } else { "ended later" };
        vec![
            left.pid.to_string(),
            escape(&left.command.join(" ")),
            escape(&left.listens.join(", ")),
            state.into(),
        ]
    };
    let rows: Vec<_> = activity.left.iter().map(row).collect();
    table(out, "Left behind", &["pid", "command", "listens on", ""], &rows);
}

fn processes(out: &mut String, activity: &Activity) {
    if activity.processes.is_empty() {
        return;
    }
    put(
        out,
        format_args!(
            "<h2>Processes <span class=\"dim\">{}</span></h2>\n<details><summary>the tree</summary><pre>",
            activity.processes.len()
        ),
    );
    for row in &activity.processes {
        let indent = "  ".repeat(row.depth.min(40) as usize);
        let call = row.call.map(|call| format!("[{call}] ")).unwrap_or_default();
        let command = words::cut(&row.command.join(" "), 160);
        put(
            out,
            format_args!(
                "{indent}{} {call}{}  {}\n",
                row.pid,
                escape(&command),
                escape(&words::exit(row.exit))
            ),
        );
    }
    out.push_str("</pre></details>\n");
}

fn own(out: &mut String, programs: &[Tally]) {
    let row = |tally: &Tally| vec![tally.count.to_string(), escape(&tally.what)];
    table(
        out,
        "Programs outside of the calls",
        &["times", "program"],
        &programs.iter().map(row).collect::<Vec<_>>(),
    );
}

#[cfg(test)]
mod tests {
    use sentry_view::{Call, Exact};

    use super::*;

    #[test]
    fn what_an_agent_wrote_is_never_markup() {
        let call = Call {
            command: "<script>alert('x')</script> \"&\" \u{1b}[1m".into(),
            started_unix_ns: Exact(5),
            ..Call::default()
        };
        let activity = Some(Activity { calls: vec![call], ..Activity::default() });
        let page = page(&Report { activity, ..Report::default() }, "a <b> ended 0\nrun x");
        assert!(page.contains("<h1>a &lt;b&gt; ended 0</h1>"), "{page}");
        let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &quot;&amp;&quot; \\u{1b}[1m";
        assert!(page.contains(escaped), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_page_asks_nobody_for_anything() {
        let page = page(&Report::default(), "x");
        assert!(page.contains("default-src 'none'"), "{page}");
        for request in ["src=", "href=", "url(", "@import", "http:", "https:"] {
            assert!(!page.contains(request), "{request}");
        }
    }
}
