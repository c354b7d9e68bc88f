//! Which pieces of a YAML text can be taken out so that the rest is still one: pairs of maps and
//! items of lists.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Marker, Parser, Span, StrInput, StructureStyle};

/// A configuration is not nested deeper.
const DEEPEST: usize = 64;

/// A pair of a map, or an item of a list. Offsets are bytes.
#[derive(Debug)]
pub(super) struct Entry {
    /// The one whose value it is in; `None`: at the top.
    pub(super) parent: Option<usize>,
    /// Of a pair.
    pub(super) key: Option<String>,
    pub(super) range: Range<usize>,
    /// Within braces or brackets, where commas stand between.
    is_flow: bool,
}

/// Every entry of the text, each after the one that it is in; `None` where the text is not YAML, or
/// nested too deep.
pub(super) fn entries(text: &str) -> Option<Vec<Entry>> {
    let parser = Parser::new_from_str(text);
    let mut walk = Walk { text, parser, entries: Vec::new(), depth: 0, is_broken: false };
    while let Some((event, span)) = walk.next() {
        walk.node(&event, &span, None);
    }
    (!walk.is_broken).then_some(walk.entries)
}

/// Puts spaces where an entry is, so that everything else stays where it stands.
pub(super) fn blank(text: &mut String, entry: &Entry) {
    let mut range = entry.range.clone();
    let rest = text.get(range.end..).unwrap_or_default();
    let next = rest.trim_start();
    if entry.is_flow && next.starts_with(',') {
        range.end += rest.len() - next.len() + 1;
    }
    let piece = text.get(range.clone()).unwrap_or_default();
    // As many bytes as before.
    let spaces: String = piece.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    text.replace_range(range, &spaces);
}

struct Walk<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    entries: Vec<Entry>,
    depth: usize,
    is_broken: bool,
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        if self.is_broken {
            return None;
        }
        let event = self.parser.next_event()?;
        self.is_broken = event.is_err();
        event.ok()
    }

    /// What the node that begins with this event takes.
    fn node(&mut self, event: &Event<'_>, span: &Span, parent: Option<usize>) -> Range<usize> {
        let start = offset(span.start);
        let (is_map, style) = match event {
            Event::MappingStart(style, ..) => (true, *style),
            Event::SequenceStart(style, ..) => (false, *style),
            _ => return start..offset(span.end).max(start),
        };
        self.depth += 1;
        self.is_broken |= self.depth > DEEPEST;
        let is_flow = style == StructureStyle::Flow;
        let mut range = start..start;
        while let Some((event, span)) = self.next() {
            if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
                if is_flow {
                    range.end = offset(span.end);
                }
                break;
            }
            let taken = self.entry(&event, &span, parent, (is_map, is_flow));
            range.end = range.end.max(taken.end);
        }
        self.depth -= 1;
        range
    }

    /// What the pair or item that begins with this event takes.
    fn entry(
        &mut self,
        event: &Event<'_>,
        span: &Span,
        parent: Option<usize>,
        (is_map, is_flow): (bool, bool),
    ) -> Range<usize> {
        let key = match event {
            Event::Scalar(key, ..) if is_map => Some(key.clone().into_owned()),
            _ => None,
        };
        let place = self.entries.len();
        self.entries.push(Entry { parent, key, range: 0..0, is_flow });
        let mut range = self.node(event, span, Some(place));
        if is_map {
            range.end = self.end_of_pair(range.end, place);
        } else {
            let before = self.text.get(..range.start).unwrap_or_default().trim_end();
            if !is_flow && before.ends_with('-') {
                range.start = before.len() - 1;
            }
        }
        if let Some(entry) = self.entries.get_mut(place) {
            entry.range = range.clone();
        }
        range
    }

    /// Reads the value of the pair whose key ends at `end`.
    fn end_of_pair(&mut self, end: usize, place: usize) -> usize {
        let rest = self.text.get(end..).unwrap_or_default();
        let colon = rest.trim_start();
        let end = if colon.starts_with(':') { end + rest.len() - colon.len() + 1 } else { end };
        let Some((event, span)) = self.next() else { return end };
        let value = self.node(&event, &span, Some(place));
        if value.is_empty() { end } else { end.max(value.end) }
    }
}

fn offset(at: Marker) -> usize {
    at.byte_offset().unwrap_or_default()
}
