//! Ways to a program. Each is executed in a child, which is waited for.

use std::{
    ffi::{CString, OsString},
    fs::{self, File},
    io::Write as _,
    os::{
        fd::AsRawFd as _,
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, process::CommandExt as _},
    },
    path::Path,
    process::Command,
};

use super::{
    Table, Words,
    raw::{self, in_child},
};
use crate::work::Failure;

pub(super) const ACTS: Table = &[
    ("exec", exec),
    ("exec-as", exec_as),
    ("copy-program", copy_program),
    ("exec-scripts", exec_scripts),
    ("exec-memory", exec_memory),
    ("exec-deleted", exec_deleted),
    ("exec-empty-path", exec_empty_path),
    ("exec-from-thread", exec_from_thread),
    ("exec-refused", exec_refused),
    ("exec-no-arguments", exec_no_arguments),
    ("exec-long-arguments", exec_long_arguments),
];

/// `PROGRAM [ARGUMENT…]`.
fn exec(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, arguments) = (words.path()?, words.rest());
    in_child(|| Err(Command::new(program).args(arguments).exec().into()))
}

/// `PROGRAM NAME [ARGUMENT…]`: NAME as its argument 0.
fn exec_as(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, name, arguments) = (words.path()?, words.word()?, words.rest());
    in_child(|| Err(Command::new(program).arg0(name).args(arguments).exec().into()))
}

/// `FROM TO`, executable.
fn copy_program(words: &mut Words<'_>) -> Result<(), Failure> {
    copy(&words.path()?, &words.path()?)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
}

/// `DEPTH INTERPRETER`: a script whose interpreter is a script, so many deep, in the working
/// directory: `script-1` is the one that is executed.
fn exec_scripts(words: &mut Words<'_>) -> Result<(), Failure> {
    let (depth, last) = (words.number::<u32>()?, words.path()?);
    let dir = std::env::current_dir()?;
    for number in 1..=depth {
        let next = if number == depth { last.clone() } else { dir.join(format!("script-{}", number + 1)) };
        let script = dir.join(format!("script-{number}"));
        fs::write(&script, format!("#!{}\n", next.display()))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    }
    in_child(|| Err(Command::new(dir.join("script-1")).exec().into()))
}

/// `PROGRAM`: a copy of it in memory.
fn exec_memory(words: &mut Words<'_>) -> Result<(), Failure> {
    let program = fs::read(words.path()?)?;
    // SAFETY: the name is a constant.
    let memory = raw::owned(unsafe { raw::call(libc::SYS_memfd_create, &[c"scene".as_ptr() as usize, 0]) }?)?;
    File::from(memory.try_clone()?).write_all(&program)?;
    in_child(|| Err(Command::new(format!("/proc/self/fd/{}", memory.as_raw_fd())).exec().into()))
}

/// `PROGRAM COPY`: the copy is removed before it is executed.
fn exec_deleted(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, path) = (words.path()?, words.path()?);
    copy(&program, &path)?;
    let file = File::open(&path)?;
    fs::remove_file(&path)?;
    in_child(|| Err(Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).exec().into()))
}

/// Pointers to the texts, with the null pointer that ends a list.
fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// `PROGRAM [ARGUMENT…]`: by a descriptor and no path.
fn exec_empty_path(words: &mut Words<'_>) -> Result<(), Failure> {
    let file = File::open(words.path()?)?;
    let arguments = [vec![OsString::from("by-descriptor")], words.rest()].concat();
    let arguments: Vec<CString> =
        arguments.iter().map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?;
    let arguments = pointers(&arguments);
    let flags = libc::AT_EMPTY_PATH as usize;
    let empty = c"".as_ptr() as usize;
    let nothing = [std::ptr::null::<libc::c_char>()];
    let number = raw::number(file.as_raw_fd());
    let args = [number, empty, arguments.as_ptr() as usize, nothing.as_ptr() as usize, flags];
    // SAFETY: the lists end with a null pointer and live until the call is over.
    in_child(|| Err(unsafe { raw::call(libc::SYS_execveat, &args) }.err().ok_or("it came back")?.into()))
}

/// `PROGRAM [ARGUMENT…]`: by a thread that is not the first one.
fn exec_from_thread(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, arguments) = (words.path()?, words.rest());
    in_child(|| {
        let thread = std::thread::spawn(move || Command::new(program).args(arguments).exec());
        Err(thread.join().map_err(|_panic| "the thread panicked")?.into())
    })
}

/// `PROGRAM`: has to fail.
fn exec_refused(words: &mut Words<'_>) -> Result<(), Failure> {
    let program = words.path()?;
    in_child(|| {
        let error = Command::new(program).exec();
        if error.raw_os_error().is_some() { Ok(()) } else { Err(error.into()) }
    })
}

/// `PROGRAM`: with null pointers for arguments and environment. Since Linux 5.18 it gets an empty
/// argument 0.
fn exec_no_arguments(words: &mut Words<'_>) -> Result<(), Failure> {
    let program = words.c()?;
    in_child(|| {
        // SAFETY: the path lives until the call is over, and a null list is what is tried here.
        let result = unsafe { raw::call(libc::SYS_execve, &[program.as_ptr() as usize, 0, 0]) };
        Err(result.err().ok_or("it came back")?.into())
    })
}

/// `PROGRAM BYTES`: one argument so long, after `nothing`.
fn exec_long_arguments(words: &mut Words<'_>) -> Result<(), Failure> {
    let (program, bytes) = (words.path()?, words.number()?);
    in_child(|| Err(Command::new(program).args(["nothing".to_owned(), "x".repeat(bytes)]).exec().into()))
}
