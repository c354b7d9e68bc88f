//! Programs without a name, with other rights than their caller, or with company.

use std::{
    ffi::{CString, OsStr},
    fs::{self, File},
    io::Write as _,
    os::{
        fd::{AsRawFd as _, RawFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{OpenOptionsExt as _, PermissionsExt as _},
            process::CommandExt as _,
        },
    },
    process::Command,
};

use nix::unistd::{Gid, Uid, setgid, setuid};

use super::{
    Table, Words,
    raw::{self, in_child},
};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("exec-memory-by-descriptor", memory_by_descriptor),
    ("exec-path-only", path_only),
    ("exec-nameless", nameless),
    ("exec-many-arguments", many_arguments),
    ("exec-from-last-thread", from_last_thread),
    ("exec-set-id", set_id),
    ("exec-with", with_variable),
    ("exec-preloaded", preloaded),
    ("spawn", spawn),
];

/// Executes what the descriptor is open at, by no path.
pub(super) fn exec_by(descriptor: RawFd, arguments: &[&OsStr]) -> Failure {
    let texts: Result<Vec<CString>, _> = arguments.iter().map(|word| CString::new(word.as_bytes())).collect();
    let texts = match texts {
        Ok(texts) => texts,
        Err(error) => return error.into(),
    };
    let arguments: Vec<*const libc::c_char> =
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
    let nothing = [std::ptr::null::<libc::c_char>()];
    let (empty, flags) = (c"".as_ptr() as usize, libc::AT_EMPTY_PATH as usize);
    let args =
        [raw::number(descriptor), empty, arguments.as_ptr() as usize, nothing.as_ptr() as usize, flags];
    // SAFETY: the lists end with a null pointer and live until the call is over.
    match unsafe { raw::call(libc::SYS_execveat, &args) } {
        Ok(_) => "it came back".into(),
        Err(error) => error.into(),
    }
}

/// `PROGRAM`: a copy in memory, by its descriptor.
fn memory_by_descriptor(words: &mut Words<'_>) -> Result<(), Failure> {
    let program = fs::read(words.path()?)?;
    // SAFETY: the name is a constant.
    let memory = raw::owned(unsafe { raw::call(libc::SYS_memfd_create, &[c"scene".as_ptr() as usize, 0]) }?)?;
    File::from(memory.try_clone()?).write_all(&program)?;
    in_child(|| Err(exec_by(memory.as_raw_fd(), &["from-memory".as_ref()])))
}

/// `PROGRAM`: by a descriptor that is for its path alone.
fn path_only(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(words.path()?)?;
    in_child(|| Err(exec_by(file.as_raw_fd(), &["by-path-only".as_ref()])))
}

/// `PROGRAM DIR`: a copy in DIR that never had a name.
fn nameless(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, dir) = (words.path()?, words.path()?);
    let mut made =
        File::options().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o700).open(dir)?;
    made.write_all(&fs::read(program)?)?;
    // What somebody may write to is not executed.
    let file = File::open(format!("/proc/self/fd/{}", made.as_raw_fd()))?;
    drop(made);
    in_child(|| Err(exec_by(file.as_raw_fd(), &["nameless".as_ref()])))
}

/// `PROGRAM COUNT`: so many short arguments after `nothing`.
fn many_arguments(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, count) = (words.path()?, words.number::<usize>()?);
    in_child(|| {
        let many = (0..count).map(|number| format!("{number:07}"));
        Err(Command::new(program).arg("nothing").args(many).exec().into())
    })
}

/// `PROGRAM`: by a thread whose process has no first thread any more.
fn from_last_thread(words: &mut Words<'_>) -> Result<(), Failure> {
    let program = words.path()?;
    in_child(|| {
        let first = std::process::id();
        std::thread::spawn(move || {
            let state = format!("/proc/self/task/{first}/stat");
            while !fs::read_to_string(&state).is_ok_and(|text| text.contains(") Z ")) {
                std::thread::yield_now();
            }
            let error = Command::new(program).arg("nothing").exec();
            eprintln!("exec: {error}");
            std::process::exit(1);
        });
        // SAFETY: ends this thread alone, which holds nothing that the other one uses.
        unsafe { raw::call(libc::SYS_exit, &[0]) }?;
        Err("it came back".into())
    })
}

/// `PROGRAM COPY OWNER CALLER`: the copy has the set-user-id bit and that owner, and the caller
/// becomes another user.
fn set_id(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, copy): (_, _) = (words.path()?, words.path()?);
    let (owner, caller) = (words.number()?, words.number()?);
    fs::copy(program, &copy)?;
    std::os::unix::fs::chown(&copy, Some(owner), None)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755))?;
    // The other user may not look into the directory.
    let file = File::options().read(true).custom_flags(libc::O_PATH).open(&copy)?;
    in_child(|| {
        setgid(Gid::from_raw(caller))?;
        setuid(Uid::from_raw(caller))?;
        Err(exec_by(file.as_raw_fd(), &["set-id".as_ref()]))
    })
}

/// `NAME VALUE PROGRAM [ARGUMENT…]`: with this environment variable. How the program ends does not
/// matter.
fn with_variable(words: &mut Words<'_>) -> Result<(), Failure> {
    let (name, value, program) = (words.word()?, words.word()?, words.path()?);
    Command::new(program).env(name, value).args(words.rest()).output()?;
    Ok(())
}

/// `COPY PROGRAM`: with a copy of a library of this program, which the linker has to load
/// first.
fn preloaded(words: &mut Words<'_>) -> Result<(), Failure> {
    let (copy, program) = (words.path()?, words.path()?);
    let maps = fs::read_to_string("/proc/self/maps")?;
    let library = maps.split_whitespace().find(|word| word.starts_with('/') && word.contains("/libc.so"));
    fs::copy(library.ok_or("no library")?, &copy)?;
    in_child(|| Err(Command::new(program).arg("nothing").env("LD_PRELOAD", &copy).exec().into()))
}

/// `PROGRAM [ARGUMENT…]`: by a child that shares this one's memory until then (vfork).
fn spawn(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, arguments) = (words.path()?, words.rest());
    // Without anything to be done in the child, the standard library takes posix_spawn.
    let status = Command::new(program).args(arguments).status()?;
    if status.success() { Ok(()) } else { Err(format!("it ended with {status}").into()) }
}
