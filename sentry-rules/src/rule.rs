//! A rule as typed → a rule that is checked; or all that is wrong with it.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use sentry_detect::{
    finding::Reach,
    runaway::{ACT_SEVERITY, RuleId, Severity},
};
use sentry_yaml::nearest;
use serde_saphyr::{Location, Spanned};

use crate::{
    case::Case,
    expression::{self, EvalError, Expression},
    field::{Facts, Field, Kind},
    file::{ActFile, MatchFile, RuleFile, Verdict, WindowFile, Wrong},
    kind::{self, Types, Verb},
    pattern::{self, MOST_PATTERNS, Match},
    tag,
    time::Time,
};

const NAMESPACE: &str = "own/";
const MOST_ID_BYTES: usize = 64;
const MOST_TEXT_BYTES: usize = 256;
/// Most events that a window counts.
pub(crate) const MOST_COUNT: u64 = 256;
const MOST_CASES: usize = 64;
const AGAIN_NS: u64 = 30_000_000_000;
const CONFIDENCE: f64 = 0.9;

/// A rule of somebody's own.
#[derive(Debug)]
pub struct Rule {
    pub id: RuleId,
    pub title: String,
    /// The file that it stands in.
    pub file: String,
    /// The types of events that it asks for.
    pub types: Vec<String>,
    pub verdict: Verdict,
    pub severity: Severity,
    pub confidence: f64,
    /// How far the sensor goes where a run is enforced.
    pub reach: Reach,
    pub tags: Vec<String>,
    /// What a person does about a finding; may be empty.
    pub next: String,
    pub(crate) on: Types,
    agents: Option<GlobSet>,
    pub(crate) matches: Vec<Match>,
    pub(crate) when: Option<Expression>,
    pub(crate) window: Option<Window>,
    pub(crate) again_ns: u64,
    pub(crate) cases: Vec<Case>,
}

/// How many events make a finding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) count: usize,
    pub(crate) within: Time,
    /// Counted apart for each value of it.
    pub(crate) by: Option<Field>,
    /// Its different values are counted, not the events.
    pub(crate) distinct: Option<Field>,
}

impl Rule {
    /// `name`: of the file.
    pub(crate) fn new(file: RuleFile, name: &str) -> Result<Self, Wrong> {
        let mut wrong = Wrong::new();
        let id_at = file.id.referenced;
        id(&file.id, &mut wrong);
        text("title", &file.title, &mut wrong);
        file.next.iter().for_each(|next| text("next", next, &mut wrong));
        let (on, verbs) = types(&file.on, id_at, &mut wrong);
        let agents = agents(&file.agents, &mut wrong);
        let matches = matches(&file.matches, &verbs, &mut wrong);
        let when = file.when.as_ref().and_then(|when| {
            let made = Expression::new(&when.value, &verbs);
            made.map_err(|all| wrong.extend(all.into_iter().map(|what| (when.referenced, what)))).ok()
        });
        if file.matches.is_empty() && file.when.is_none() {
            wrong.push((id_at, "the rule has no condition; give `match`, `when` or both".to_owned()));
        }
        let window = file.window.as_ref().and_then(|typed| window(typed, &verbs, &mut wrong));
        let verdict = file.verdict.unwrap_or(Verdict::Warn);
        let (severity, reach) = reaction(&file, verdict, &mut wrong);
        let confidence = confidence(file.confidence.as_ref(), &mut wrong);
        for tag in file.tags.iter().filter(|tag| !tag::is_tag(&tag.value)) {
            let what = format!(
                "{:?} is not a tag; write one such as attack:T1059.004, atlas:AML.T0086 or owasp-asi:ASI02",
                tag.value
            );
            wrong.push((tag.referenced, what));
        }
        if file.cases.len() > MOST_CASES {
            wrong.push((id_at, format!("{} cases; at most {MOST_CASES} are taken", file.cases.len())));
        }
        // Without its types nothing can be said about the events of its cases.
        let is_known = verbs.len() == file.on.len();
        let cases: Vec<Case> = file
            .cases
            .into_iter()
            .filter(|_| is_known)
            .filter_map(|case| Case::new(case, &file.on).map_err(|all| wrong.extend(all)).ok())
            .collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            id: RuleId::from(file.id.value),
            title: file.title.value,
            file: name.to_owned(),
            types: file.on.into_iter().map(|on| on.value).collect(),
            verdict,
            severity,
            confidence,
            reach,
            tags: file.tags.into_iter().map(|tag| tag.value).collect(),
            next: file.next.map(|next| next.value).unwrap_or_default(),
            on,
            agents,
            matches,
            when,
            window,
            again_ns: file.again.map_or(AGAIN_NS, Time::ns),
            cases,
        })
    }

    /// How far it goes, as a file says it.
    #[must_use]
    pub const fn act(&self) -> &'static str {
        match self.reach {
            Reach::Observe => "none",
            Reach::Freeze => "freeze",
            Reach::Kill => "kill",
        }
    }

    /// As a file says it.
    #[must_use]
    pub const fn severity_name(&self) -> &'static str {
        match self.severity {
            Severity::Informational => "informational",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// How many cases stand beside it.
    #[must_use]
    pub fn case_count(&self) -> usize {
        self.cases.len()
    }

    /// Whether it holds for runs of this agent.
    #[must_use]
    pub fn is_for(&self, agent: &str) -> bool {
        self.agents.as_ref().is_none_or(|agents| agents.is_match(agent))
    }

    /// Whether its conditions hold for an event that it asks for.
    pub(crate) fn holds(&self, facts: &dyn Facts) -> Result<bool, EvalError> {
        if !self.matches.iter().all(|one| one.holds(facts)) {
            return Ok(false);
        }
        self.when.as_ref().map_or(Ok(true), |when| when.holds(facts))
    }
}

fn id(id: &Spanned<String>, wrong: &mut Wrong) {
    let name = id.value.strip_prefix(NAMESPACE).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > MOST_ID_BYTES || !name.chars().all(is_plain) {
        let what = format!(
            "{:?} is not an id; write `{NAMESPACE}` and a name of lowercase letters, digits and `-`, such as \
             own/paste-sites",
            id.value
        );
        wrong.push((id.referenced, what));
    }
}

fn text(key: &str, text: &Spanned<String>, wrong: &mut Wrong) {
    let is_bad = text.value.trim().is_empty() || text.value.len() > MOST_TEXT_BYTES;
    if is_bad || text.value.chars().any(char::is_control) {
        wrong.push((text.referenced, format!("`{key}` has to be one line of 1 to {MOST_TEXT_BYTES} bytes")));
    }
}

fn types(names: &[Spanned<String>], id_at: Location, wrong: &mut Wrong) -> (Types, Vec<Verb>) {
    let (mut types, mut verbs) = (Types::default(), Vec::new());
    if names.is_empty() {
        wrong.push((id_at, "`on` names no type of event, such as exec".to_owned()));
    }
    for name in names {
        match kind::named(&name.value) {
            Some(named) => {
                types = types.with(Types::asked(named));
                verbs.push(named.0);
            }
            None => {
                let what = match nearest(&name.value, kind::names()) {
                    Some(meant) => {
                        format!("there is no type of event `{}`; did you mean `{meant}`?", name.value)
                    }
                    None => format!(
                        "there is no type of event `{}`; `sentry rules fields` lists them",
                        name.value
                    ),
                };
                wrong.push((name.referenced, what));
            }
        }
    }
    (types, verbs)
}

fn agents(globs: &[Spanned<String>], wrong: &mut Wrong) -> Option<GlobSet> {
    if globs.is_empty() {
        return None;
    }
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        match GlobBuilder::new(&glob.value).build() {
            Ok(built) => {
                set.add(built);
            }
            Err(error) => {
                wrong.push((glob.referenced, format!("{:?} is not a pattern: {}", glob.value, error.kind())));
            }
        }
    }
    set.build().ok()
}

fn matches(typed: &[MatchFile], verbs: &[Verb], wrong: &mut Wrong) -> Vec<Match> {
    let mut made = Vec::new();
    let count: usize = typed.iter().map(|one| one.regex.len() + one.phrase.len() + one.except.len()).sum();
    if count > MOST_PATTERNS
        && let Some(first) = typed.first()
    {
        wrong.push((first.field.referenced, format!("{count} patterns; a rule may have {MOST_PATTERNS}")));
        return made;
    }
    for MatchFile { field, regex, phrase, except } in typed {
        let before = wrong.len();
        let at = field.referenced;
        let known = expression::field(&field.value, verbs).map_err(|what| wrong.push((at, what))).ok();
        if let Some(known) = known
            && matches!(known.kind(), Kind::Number | Kind::Flag)
        {
            let what = format!(
                "`{}` is {}, and has no text to match; compare it in `when`",
                field.value,
                known.kind().name()
            );
            wrong.push((at, what));
        }
        if regex.is_empty() && phrase.is_empty() {
            wrong.push((at, format!("nothing is looked for in `{}`; give `regex` or `phrase`", field.value)));
        }
        for pattern in regex.iter().chain(except) {
            wrong.extend(pattern::check(&pattern.value).err().map(|what| (pattern.referenced, what)));
        }
        for phrase in phrase {
            if phrase.value.is_empty() || phrase.value.len() > pattern::MOST_PATTERN_BYTES {
                let most = pattern::MOST_PATTERN_BYTES;
                wrong.push((phrase.referenced, format!("a phrase has 1 to {most} bytes")));
            }
        }
        let Some(known) = known.filter(|_| wrong.len() == before) else { continue };
        match Match::new(known, &texts(regex), &texts(phrase), &texts(except)) {
            Ok(one) => made.push(one),
            Err(what) => wrong.push((at, what)),
        }
    }
    made
}

fn texts(all: &[Spanned<String>]) -> Vec<&str> {
    all.iter().map(|one| one.value.as_str()).collect()
}

fn window(typed: &WindowFile, verbs: &[Verb], wrong: &mut Wrong) -> Option<Window> {
    let before = wrong.len();
    let count = &typed.count;
    if !(2..=MOST_COUNT).contains(&count.value) {
        wrong.push((count.referenced, format!("`count` is {}; give 2 to {MOST_COUNT}", count.value)));
    }
    let mut field = |typed: &Option<Spanned<String>>| {
        let typed = typed.as_ref()?;
        let known = expression::field(&typed.value, verbs);
        known.map_err(|what| wrong.push((typed.referenced, what))).ok()
    };
    let (by, distinct) = (field(&typed.by), field(&typed.distinct));
    let count = usize::try_from(typed.count.value).unwrap_or(usize::MAX);
    (wrong.len() == before).then_some(Window { count, within: typed.within, by, distinct })
}

/// How severe a finding is, and how far it leads.
fn reaction(file: &RuleFile, verdict: Verdict, wrong: &mut Wrong) -> (Severity, Reach) {
    let is_block = verdict == Verdict::Block;
    let otherwise = if is_block { Severity::High } else { Severity::Medium };
    let severity = file.severity.as_ref().map_or(otherwise, |severity| severity.value);
    let reach = match file.act.as_ref().map(|act| act.value) {
        None if is_block => Reach::Freeze,
        None | Some(ActFile::None) => Reach::Observe,
        Some(ActFile::Freeze) => Reach::Freeze,
        Some(ActFile::Kill) => Reach::Kill,
    };
    if let Some(typed) = &file.severity
        && reach != Reach::Observe
        && severity < ACT_SEVERITY
    {
        let what = "the rule leads to an act, and only a finding of severity high or critical does; raise \
                    `severity`, or write `verdict: warn` and `act: none`";
        wrong.push((typed.referenced, what.to_owned()));
    }
    if let Some(act) = &file.act {
        let what = match (verdict, act.value) {
            (Verdict::Block, ActFile::None) => {
                Some("`verdict: block` leads to an act; write `verdict: warn`")
            }
            (Verdict::Allow, ActFile::Freeze | ActFile::Kill) => {
                Some("`verdict: allow` finds nothing that could lead to an act")
            }
            (Verdict::Warn, ActFile::Freeze | ActFile::Kill) if file.severity.is_none() => {
                Some("the rule leads to an act; give it `severity: high`, or write `verdict: block`")
            }
            _ => None,
        };
        wrong.extend(what.map(|what| (act.referenced, what.to_owned())));
    }
    (severity, reach)
}

fn confidence(typed: Option<&Spanned<f64>>, wrong: &mut Wrong) -> f64 {
    let Some(typed) = typed else { return CONFIDENCE };
    if !(0.0..=1.0).contains(&typed.value) {
        wrong.push((typed.referenced, format!("`confidence` is {}; give 0 to 1", typed.value)));
    }
    typed.value
}
