//! `fractary NAME …` runs `fractary-NAME …`, the way cargo and git run their subcommands: looked for beside this
//! program first, then on PATH; arguments and exit status pass through untouched.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const PREFIX: &str = "fractary-";
const USAGE: &str = "\
Run a fractary tool

Usage: fractary [--list | --version] NAME [ARGUMENTS]…

`fractary NAME …` runs `fractary-NAME …`, found beside this program or on PATH.

Options:
      --list     List the tools that can be run
  -h, --help     Print this
  -V, --version  Print the version
";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(name) = arguments.next() else {
        return finish(io::stderr(), USAGE, 2);
    };
    match name.to_str() {
        Some("-h" | "--help") => finish(io::stdout(), USAGE, 0),
        Some("-V" | "--version") => finish(
            io::stdout(),
            &format!("fractary {}\n", env!("CARGO_PKG_VERSION")),
            0,
        ),
        Some("--list") => {
            let lines: String = tools()
                .iter()
                .map(|(name, path)| format!("{name}\t{}\n", path.display()))
                .collect();
            finish(io::stdout(), &lines, 0)
        }
        // `fractary help codex sync` is `fractary codex sync --help`.
        Some("help") => match arguments.next() {
            Some(name) => dispatch(&name, arguments.chain([OsString::from("--help")])),
            None => finish(io::stdout(), USAGE, 0),
        },
        Some(option) if option.starts_with('-') => {
            let told = format!(
                "error: unknown option `{}`; see `fractary --help`\n",
                option.escape_debug()
            );
            finish(io::stderr(), &told, 2)
        }
        _ => dispatch(&name, arguments),
    }
}

fn dispatch(name: &OsString, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let tools = tools();
    let text = name.to_string_lossy();
    let Some(path) = tools.get(text.as_ref()) else {
        let wanted = text.to_lowercase();
        let close = tools
            .keys()
            .map(|tool| (strsim::jaro_winkler(&tool.to_lowercase(), &wanted), tool));
        let close = close
            .filter(|(score, _)| *score > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let shown = text.escape_debug();
        let hint = match close {
            Some((_, tool)) => format!("did you mean `fractary {tool}`?"),
            None => "`fractary --list` shows the tools that are there".to_owned(),
        };
        return finish(
            io::stderr(),
            &format!("error: there is no `{PREFIX}{shown}` to run\n  hint: {hint}\n"),
            2,
        );
    };
    match run(Command::new(path).args(arguments)) {
        Ok(status) => status,
        Err(error) => {
            // A program that is there and still not found: what the system missed is what it is to be run by.
            let missing = error.kind() == io::ErrorKind::NotFound && path.exists();
            let why = if missing {
                interpreter(path)
            } else {
                error.to_string()
            };
            finish(
                io::stderr(),
                &format!("error: cannot run `{}`: {why}\n", path.display()),
                126,
            )
        }
    }
}

/// Whose absence keeps the program at `path` from running.
fn interpreter(path: &Path) -> String {
    let mut start = Vec::new();
    // Enough for a first line; a program may be large.
    let _ = std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut start));
    let line = start
        .strip_prefix(b"#!")
        .and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    match line {
        Some(line) => format!(
            "its interpreter `{}` is missing",
            String::from_utf8_lossy(line).trim().escape_debug()
        ),
        None => "the program that loads it is missing".to_owned(),
    }
}

/// The tool takes this process's place: signals and exit status need no passing on.
#[cfg(unix)]
fn run(command: &mut Command) -> io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

/// Runs the tool and ends as it does; a console sends its signals to both.
#[cfg(not(unix))]
fn run(command: &mut Command) -> io::Result<ExitCode> {
    let code = command
        .status()?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| {
        meta.is_file() && std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
    })
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// Every tool by name. What lies beside this program wins over PATH, and PATH's earlier directories over its later ones.
fn tools() -> BTreeMap<String, PathBuf> {
    let own = env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut tools = BTreeMap::new();
    for directory in beside.into_iter().chain(env::split_paths(&path)) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let file = entry.file_name();
            let Some(name) = file.to_str().and_then(|file| {
                file.strip_suffix(env::consts::EXE_SUFFIX)?
                    .strip_prefix(PREFIX)
            }) else {
                continue;
            };
            // A link to this very program would dispatch to itself for ever.
            let itself = path.canonicalize().ok() == own;
            if is_program(&path) && !itself && !name.is_empty() {
                tools.entry(name.to_owned()).or_insert(path);
            }
        }
    }
    tools
}

fn finish(mut stream: impl Write, text: &str, status: u8) -> ExitCode {
    match stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
    {
        // A reader that went away is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: the output cannot be written: {error}");
            ExitCode::from(status.max(1))
        }
        _ => ExitCode::from(status),
    }
}
