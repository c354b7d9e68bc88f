//! Sensitive files, destinations by name, and sockets that take connections.

use sentry_view::{Activity, Destination, path::base_name};

use super::{
    super::{BOLD, DIM, LIST_ROWS, RED, YELLOW, paint, part::errno, safe},
    form::Form,
    words,
};

pub(super) fn sensitive(activity: &Activity, form: Form) -> String {
    let files = &activity.sensitive;
    if files.is_empty() {
        return format!("{}  {}\n", paint(BOLD, "Sensitive files"), paint(DIM, "none known was opened"));
    }
    let mut out = format!("{} ({})\n", paint(BOLD, "Sensitive files"), files.len());
    let rows = if form.all { files.len() } else { LIST_ROWS };
    for file in files.iter().take(rows) {
        let mut how = Vec::new();
        if file.reads > 0 {
            how.push(format!("read {}", times(file.reads)));
        }
        if file.writes > 0 {
            how.push(format!("opened for writing {}", times(file.writes)));
        }
        let program = file.by.program.as_deref().map(|path| format!(" by {}", safe(base_name(path))));
        let call = file.by.call.map(|call| format!(" in call {call}")).unwrap_or_default();
        out.push_str(&format!(
            "  {}  {}{}{call}  {}\n",
            paint(YELLOW, &safe(&file.path)),
            how.join(", "),
            program.unwrap_or_default(),
            paint(DIM, &safe(&file.title)),
        ));
    }
    if files.len() > rows {
        out.push_str(&format!(
            "  {}\n",
            paint(DIM, &format!("and {} more; --all lists them", files.len() - rows))
        ));
    }
    out
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

pub(super) fn text(activity: &Activity, form: Form) -> String {
    let title = paint(BOLD, "Network");
    let (destinations, lookups) = (&activity.destinations, &activity.lookups);
    if destinations.is_empty() && lookups.is_empty() && activity.listeners.is_empty() {
        return format!("{title}  {}\n", paint(DIM, "nothing"));
    }
    let mut out = format!("{title}\n");
    let rows = |len: usize| if form.all { len } else { LIST_ROWS };
    for destination in destinations.iter().take(rows(destinations.len())) {
        out.push_str(&row(destination, activity));
    }
    out.push_str(&more(destinations.len(), rows(destinations.len())));
    for lookup in lookups.iter().take(rows(lookups.len())) {
        let came = match &lookup.failure {
            Some(failure) => paint(RED, &safe(failure)),
            None if lookup.addresses.is_empty() => paint(DIM, "no answer seen"),
            None => safe(&lookup.addresses.join(", ")),
        };
        let by = words::by(&lookup.by, activity.agent.as_ref());
        out.push_str(&format!("  looked up {}  {came}  {}\n", safe(&lookup.name), paint(DIM, &by)));
    }
    out.push_str(&more(lookups.len(), rows(lookups.len())));
    for listener in &activity.listeners {
        let open = if listener.is_open { paint(YELLOW, "open") } else { paint(DIM, "closed") };
        let by = words::by(&listener.by, activity.agent.as_ref());
        out.push_str(&format!("  listened on {}  {open}  {}\n", safe(&listener.local), paint(DIM, &by)));
    }
    out
}

fn row(destination: &Destination, activity: &Activity) -> String {
    let name = match &destination.name {
        Some(name) => format!("{} ({})", safe(name), safe(&destination.remote)),
        None => safe(&destination.remote),
    };
    let mut parts = vec![times(destination.attempts)];
    if destination.failed > 0 {
        let error = destination.error.map(|error| format!(" ({})", errno(error))).unwrap_or_default();
        parts.push(paint(RED, &format!("{} failed{error}", destination.failed)));
    }
    if let (Some(sent), Some(got)) = (destination.bytes_out, destination.bytes_in) {
        parts.push(format!("{} out, {} in", words::bytes(sent), words::bytes(got)));
    }
    let mut by: Vec<String> =
        destination.by.iter().map(|by| words::by(by, activity.agent.as_ref())).collect();
    let mut known = std::collections::HashSet::new();
    by.retain(|name| known.insert(name.clone()));
    format!("  {name}  {}  {}\n", parts.join(", "), paint(DIM, &by.join(", ")))
}

fn more(len: usize, rows: usize) -> String {
    match len.checked_sub(rows) {
        Some(more) if more > 0 => {
            format!("  {}\n", paint(DIM, &format!("and {more} more; --all lists them")))
        }
        _ => String::new(),
    }
}
