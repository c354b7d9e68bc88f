//! The loaded programs and their attachments.

use std::{
    any::Any,
    collections::HashMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aya::{
    Btf, Ebpf,
    maps::{MapData, RingBuf},
    programs::Iter,
};

use super::{
    LoadError,
    attach::{attach, load_programs, program},
    error::refused,
    hooks::{HOOKS, Hook, Tier},
    load::{Loader, RingSizes},
    lsm,
    objects::Object,
    offsets,
    selected::SelectedTables,
    tables::{Held, Tables},
};

/// The consumer ends of the rings.
pub struct Rings {
    pub critical: RingBuf<MapData>,
    pub bulk: RingBuf<MapData>,
}

/// Everything loaded. Dropping it detaches everything.
pub struct Programs {
    pub tables: Tables,
    pub selected: SelectedTables,
    tier: Tier,
    objects: HashMap<Object, Ebpf>,
    load_times: Vec<(Object, Duration)>,
    /// Hooks that this kernel lacks or refuses, and why.
    missing: Missing,
    cgroup_root: PathBuf,
    /// Attachments that exist while a run does, and ten seconds longer.
    armed: Links,
}

/// Hooks, and why each is not used.
type Missing = Vec<(&'static Hook, String)>;

/// Attachments of different kinds; dropping one detaches it, which waits for the kernel.
pub type Links = Vec<Box<dyn Any + Send + Sync>>;

impl Programs {
    /// Loads all objects and attaches the process and cgroup programs. The others are attached by
    /// [`Programs::arm`], while a run exists.
    ///
    /// # Errors
    /// When this kernel or this caller cannot run the programs that every run needs.
    pub fn load(
        btf_path: &Path,
        cgroup_root: &Path,
        rings: RingSizes,
    ) -> Result<(Self, Rings, Held), LoadError> {
        let result = Self::load_all(btf_path, cgroup_root, rings);
        match result {
            Err(error) if error.is_permission() => Err(LoadError::Permission),
            other => other,
        }
    }

    fn load_all(
        btf_path: &Path,
        cgroup_root: &Path,
        rings: RingSizes,
    ) -> Result<(Self, Rings, Held), LoadError> {
        if Object::Core.bytes().is_empty() {
            return Err(LoadError::NoPrograms);
        }
        let start = Instant::now();
        let step = |what| tracing::debug!(what, elapsed_ms = start.elapsed().as_millis(), "loading");
        let offsets = offsets::of_this_kernel(btf_path)?;
        step("offsets");
        if !offsets.missing.is_empty() {
            return Err(LoadError::MissingFields { missing: offsets.missing });
        }
        let btf = parse_btf(btf_path)?;
        step("type information");
        let loader = Loader::new(&btf, &offsets, rings)?;
        let loaded = load_tier(&loader, &btf)?;
        step("programs");
        drop(loader);
        let Loaded { tier, mut objects, missing, times } = loaded;
        let core = objects.get_mut(&Object::Core).ok_or(LoadError::NoPrograms)?;
        let tables = Tables::take(core)?;
        let selected = SelectedTables::take(core)?;
        let rings = Rings { critical: take_ring(core, "CRITICAL")?, bulk: take_ring(core, "BULK")? };
        let held = Held::take(core)?;
        let cgroup_root = cgroup_root.to_owned();
        let armed = Links::new();
        let mut programs =
            Self { tables, selected, tier, objects, load_times: times, missing, cgroup_root, armed };
        // These maps stay: the programs of the object hold them.
        programs.attach_where(|hook| hook.object == Object::Core)?.into_iter().for_each(std::mem::forget);
        step("attached");
        Ok((programs, rings, held))
    }

    /// The tier: how file facts are seen.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Hooks that this kernel lacks or refuses, and why.
    #[must_use]
    pub fn missing(&self) -> &[(&'static Hook, String)] {
        &self.missing
    }

    /// The kernel's number of a hook's program.
    pub(super) fn id_of(&self, hook: &Hook) -> Option<u32> {
        Some(self.objects.get(&hook.object)?.program(hook.program)?.info().ok()?.id())
    }

    pub(super) fn object(&self, object: Object) -> Option<&Ebpf> {
        self.objects.get(&object)
    }

    /// How long each object took to be made and verified.
    pub(super) fn load_times(&self) -> impl Iterator<Item = (Object, Duration)> {
        self.load_times.iter().copied()
    }

    /// Attaches all programs but the core's. They cost every process something, so they are
    /// attached only while a run exists.
    ///
    /// # Errors
    /// When the kernel refuses an attachment; nothing stays attached then.
    pub fn arm(&mut self) -> Result<(), LoadError> {
        if self.armed.is_empty() {
            self.armed = self.attach_where(|hook| hook.object != Object::Core)?;
            tracing::info!(links = self.armed.len(), "programs are attached");
        }
        Ok(())
    }

    /// Takes what [`Programs::arm`] attached. Drop it where nobody waits: detaching waits for the
    /// kernel.
    pub fn take_armed(&mut self) -> Links {
        std::mem::take(&mut self.armed)
    }

    fn attach_where(&mut self, wanted: impl Fn(&Hook) -> bool) -> Result<Links, LoadError> {
        // At the root of the hierarchy, not at the run's cgroup: a member that leaves its cgroup
        // must stay visible.
        let root = File::open(&self.cgroup_root)
            .map_err(|source| LoadError::CgroupRoot { path: self.cgroup_root.clone(), source })?;
        let mut links = Links::new();
        for hook in HOOKS.iter().filter(|hook| hook.is_on(self.tier) && wanted(hook)) {
            if self.missing.iter().any(|(missing, _)| std::ptr::eq(*missing, hook)) {
                continue;
            }
            let Some(object) = self.objects.get_mut(&hook.object) else { continue };
            match attach(object, hook, &root) {
                Ok(link) => links.extend(link),
                Err(error) if hook.required => return Err(error),
                Err(error) => self.missing.push((hook, sentry_service::error_chain(&error))),
            }
        }
        Ok(links)
    }

    /// A pass over all tasks that begins when the file is read: see [`newborns`].
    ///
    /// # Errors
    /// When the iterator cannot be made.
    pub fn seed_pass(&mut self) -> Result<File, LoadError> {
        let core = self.objects.get_mut(&Object::Core).ok_or(LoadError::NoPrograms)?;
        let program: &mut Iter = program(core, "core", "seed")?;
        let id = program.attach().map_err(refused("core", "seed"))?;
        let link = program.take_link(id).map_err(refused("core", "seed"))?;
        link.into_file().map_err(|source| LoadError::Seed { source: std::io::Error::other(source) })
    }
}

/// Makes a pass over all tasks. Returns the starts (`CLOCK_BOOTTIME` ns) of those that it left to
/// their fork records.
///
/// # Errors
/// When the iterator cannot be read.
pub fn newborns(mut pass: File) -> Result<Vec<u64>, LoadError> {
    let mut newborns = Vec::new();
    pass.read_to_end(&mut newborns).map_err(|source| LoadError::Seed { source })?;
    Ok(newborns.as_chunks().0.iter().map(|start| u64::from_ne_bytes(*start)).collect())
}

/// The result of loading one tier's programs.
pub(super) struct Loaded {
    pub(super) tier: Tier,
    pub(super) objects: HashMap<Object, Ebpf>,
    pub(super) missing: Missing,
    times: Vec<(Object, Duration)>,
}

/// Loads the objects of the best tier that works here.
pub(super) fn load_tier(loader: &Loader<'_>, btf: &Btf) -> Result<Loaded, LoadError> {
    let mut objects = HashMap::new();
    let mut missing = Vec::new();
    let mut times = Vec::new();
    let mut load = |object, on: Option<Tier>, missing: &mut Missing| -> Result<(), LoadError> {
        let start = Instant::now();
        let loaded = load_object(loader, btf, object, on, missing)?;
        times.push((object, start.elapsed()));
        objects.insert(object, loaded);
        Ok(())
    };
    load(Object::Core, None, &mut missing)?;
    load(Object::Network, None, &mut missing)?;
    let tier = if lsm::is_active() && load(Object::FileLsm, Some(Tier::A), &mut missing).is_ok() {
        Tier::A
    } else if load(Object::FileFentry, Some(Tier::B), &mut missing).is_ok() {
        Tier::B
    } else {
        load(Object::FileSyscall, Some(Tier::C), &mut missing)?;
        Tier::C
    };
    missing.retain(|(hook, _)| hook.is_on(tier));
    let loaded_before =
        [Object::Core, Object::Network, Object::FileLsm, Object::FileFentry, Object::FileSyscall];
    for object in Object::ALL.iter().copied().filter(|object| !loaded_before.contains(object)) {
        let hooks = || HOOKS.iter().filter(move |hook| hook.object == object && hook.is_on(tier));
        if hooks().next().is_none() {
            continue;
        }
        if let Err(error) = load(object, Some(tier), &mut missing) {
            missing.extend(hooks().map(|hook| (hook, sentry_service::error_chain(&error))));
        }
    }
    Ok(Loaded { tier, objects, missing, times })
}

/// Loads (not attaches) the programs of one object, of this tier or of all. Those that are not
/// required may be missing.
pub(super) fn load_object(
    loader: &Loader<'_>,
    btf: &Btf,
    object: Object,
    on: Option<Tier>,
    missing: &mut Missing,
) -> Result<Ebpf, LoadError> {
    let wanted = |hook: &&Hook| hook.object == object && on.is_none_or(|tier| hook.is_on(tier));
    let hooks: Vec<&'static Hook> = HOOKS.iter().filter(wanted).collect();
    let load = |typed| -> Result<_, LoadError> {
        let mut loaded = loader.load(object.name(), object.bytes(), typed)?;
        let results = load_programs(&mut loaded, &hooks, btf, |hook| loader.offsets.check(hook));
        Ok((loaded, results))
    };
    let (mut loaded, mut results) = load(true)?;
    if loader.can_be_typed()
        && results.iter().filter_map(|result| result.as_ref().err()).any(LoadError::is_by_verifier)
    {
        // The verifier may have refused a read by load: try again without.
        tracing::debug!(object = object.name(), "programs are refused; once more without typed loads");
        (loaded, results) = load(false)?;
    }
    for (hook, result) in hooks.into_iter().zip(results) {
        match result {
            Ok(()) => {}
            Err(error) if hook.required => return Err(error),
            Err(error) => missing.push((hook, sentry_service::error_chain(&error))),
        }
    }
    Ok(loaded)
}

fn take_ring(ebpf: &mut Ebpf, name: &'static str) -> Result<RingBuf<MapData>, LoadError> {
    let map = ebpf.take_map(name).ok_or(LoadError::Absent { object: "core", what: "map", name })?;
    RingBuf::try_from(map).map_err(|source| LoadError::Table {
        doing: "open",
        table: name,
        source: Box::new(source),
    })
}

pub(super) fn parse_btf(path: &Path) -> Result<Btf, LoadError> {
    Btf::parse_file(path, aya::Endianness::default())
        .map_err(|error| LoadError::BadBtf { path: path.to_owned(), reason: error.to_string() })
}
