//! `sentry events`: what runs did, and the part of it that a person looks for.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::unistd::User;
use sentry_proto::v1::{self, ItemKind, item::Item};
use sentry_story::{Knowledge, Lineage, Search, Story};
use sentry_view::time;

use super::{
    args::{EventFormat, EventsArgs},
    error::CliError,
    exit::Exit,
    out,
    query::{each, request},
    render::{
        self, event,
        json::{self, Origin},
        nothing,
    },
    when,
};

pub(super) fn events(args: &EventsArgs) -> Result<Exit, CliError> {
    let format = if args.history.ask.json { EventFormat::Json } else { args.format };
    let (socket, as_json) = (&args.history.ask.socket, format == EventFormat::Json);
    let mut request = request(&args.history, &[ItemKind::Event, ItemKind::Gap]);
    let search = search(args)?;
    let mut list = List { format, day: String::new() };
    if format == EventFormat::Csv {
        out::print(event::CSV_HEAD)?;
    }
    let is_searched = search != v1::Search::default() || args.call.or(args.tree).is_some();
    let of = (args.history.run.as_deref(), args.history.agent.as_deref());
    let finish = |is_empty: bool| {
        if is_empty && matches!(format, EventFormat::Compact | EventFormat::Long) {
            out::note(&nothing::events(of, is_searched));
        }
        Ok(Exit::Ok)
    };
    let mut is_empty = true;
    if args.call.is_none() && args.tree.is_none() {
        request.search = Some(search);
        each(socket, as_json, request, |origin, item| {
            is_empty = false;
            out::print(&list.text(origin, &item))
        })?;
        return finish(is_empty);
    }
    // Which call or process an event belongs to follows from all events before it.
    let knowledge = Knowledge::built_in()?;
    let mut narrow = Narrow {
        call: args.call.map(|number| (number, Story::new(&knowledge, &[]))),
        lineage: args.tree.map(Lineage::of),
        search: Search::new(&search)?,
    };
    let limit = usize::try_from(std::mem::take(&mut request.limit)).unwrap_or(usize::MAX);
    let mut newest = VecDeque::new();
    each(socket, as_json, request, |origin, item| {
        if matches!(&item, Item::Event(event) if !narrow.contains(event)) {
            return Ok(());
        }
        is_empty = false;
        let text = list.text(origin, &item);
        if args.history.follow || limit == 0 {
            return out::print(&text);
        }
        newest.push_back(text);
        let beyond = newest.len().saturating_sub(limit);
        newest.drain(..beyond);
        Ok(())
    })?;
    newest.iter().try_for_each(|text| out::print(text))?;
    finish(is_empty)
}

/// The part of the conditions that an event fulfils by itself.
fn search(args: &EventsArgs) -> Result<v1::Search, CliError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let moment = |text: &Option<String>| {
        let parsed = text.as_ref().map(|text| when::parse(text, now)).transpose();
        parsed.map_err(|what| CliError::Other { what, exit: Exit::Usage })
    };
    Ok(v1::Search {
        since_unix_ns: moment(&args.since)?,
        until_unix_ns: moment(&args.until)?,
        types: args.types.clone(),
        paths: args.path.clone(),
        programs: args.exe.clone(),
        destinations: args.dest.clone(),
        pids: args.pid.clone(),
        uids: args.user.iter().map(|user| uid(user)).collect::<Result<_, _>>()?,
        without_libraries: args.no_libs,
    })
}

fn uid(user: &str) -> Result<u32, CliError> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let known = User::from_name(user).ok().flatten().map(|known| known.uid.as_raw());
    known.ok_or_else(|| CliError::Other {
        what: format!("there is no user `{user}` on this host; a uid is taken too"),
        exit: Exit::NoInput,
    })
}

/// Conditions that need all events before.
struct Narrow<'a> {
    call: Option<(u32, Story<'a>)>,
    lineage: Option<Lineage>,
    search: Search,
}

impl Narrow<'_> {
    fn contains(&mut self, event: &v1::Event) -> bool {
        let is_of_call = self.call.as_mut().is_none_or(|(number, story)| {
            // The end of a call's process is still of the call.
            let before = story.call_of(event);
            story.event(event);
            [before, story.call_of(event)].contains(&Some(*number))
        });
        let is_of_tree = self.lineage.as_mut().is_none_or(|lineage| lineage.contains(event));
        let is_found = self.search.matches(event);
        is_of_call && is_of_tree && is_found
    }
}

/// Items as text, in their order.
struct List {
    format: EventFormat,
    /// The day of the newest event.
    day: String,
}

impl List {
    fn text(&mut self, origin: &Origin, item: &Item) -> String {
        match (item, self.format) {
            (Item::Event(event), EventFormat::Json) => json::line(&origin.event(event)),
            (Item::Event(event), EventFormat::Csv) => event::csv(event),
            (Item::Event(event), EventFormat::Long) => event::long(event),
            (Item::Event(event), EventFormat::Compact) => self.day(event) + &event::line(event),
            (Item::Gap(gap), EventFormat::Json) => json::line(&json::gap(gap)),
            // A reader of records takes no other lines.
            (Item::Gap(_), EventFormat::Csv) => String::new(),
            (Item::Gap(gap), EventFormat::Long | EventFormat::Compact) => gap_line(gap),
            // Not asked for; and a sensor hands out events one by one.
            (Item::Finding(_) | Item::Decision(_) | Item::Outcome(_) | Item::Run(_) | Item::Block(_), _) => {
                String::new()
            }
        }
    }

    /// The date, where it is another than that of the event before.
    fn day(&mut self, event: &v1::Event) -> String {
        let moment = time::utc(event.time_unix_ns);
        let day = moment.split(' ').next().unwrap_or_default();
        if day == self.day {
            return String::new();
        }
        day.clone_into(&mut self.day);
        format!("{}\n", render::paint(render::DIM, &format!("{day} UTC")))
    }
}

/// A hole in what is kept is shown where it is.
fn gap_line(gap: &v1::Gap) -> String {
    let count = gap.last.saturating_sub(gap.first) + 1;
    let (items, are) = if count == 1 { ("item", "is") } else { ("items", "are") };
    let text = format!("{count} {items} {are} missing here: {}", render::safe(&gap.reason));
    format!("{}\n", render::paint(render::YELLOW, &text))
}
