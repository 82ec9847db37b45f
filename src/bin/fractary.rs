//! `fractary NAME …` runs `fractary-NAME …`, as cargo and git do for their subcommands. The tool is
//! searched for in the directory of this program, then on PATH. Arguments and exit status are
//! passed on unchanged.

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

`fractary NAME …` runs `fractary-NAME …` from the directory of this program or from PATH.

Options:
      --list     List the available commands
  -h, --help     Print help
  -V, --version  Print version
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
            let message = format!(
                "error: unknown option `{}`; see `fractary --help`\n",
                option.escape_debug()
            );
            finish(io::stderr(), &message, 2)
        }
        _ => dispatch(&name, arguments),
    }
}

/// Runs the tool `name`. The exit status is 2 if there is no such tool, and 126 if it cannot be
/// run.
fn dispatch(name: &OsString, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let tools = tools();
    let name = name.to_string_lossy();
    let Some(path) = tools.get(name.as_ref()) else {
        let hint = match closest(&tools, &name) {
            Some(tool) => format!("did you mean `fractary {tool}`?"),
            None => "run `fractary --list` to see available commands".to_owned(),
        };
        let name = name.escape_debug();
        let message = format!("error: unknown command `{name}`\n  hint: {hint}\n");
        return finish(io::stderr(), &message, 2);
    };

    match run(Command::new(path).args(arguments)) {
        Ok(status) => status,
        Err(error) => {
            // If the program exists, the file that the system did not find is its interpreter.
            let reason = if error.kind() == io::ErrorKind::NotFound && path.exists() {
                missing_interpreter(path)
            } else {
                error.to_string()
            };
            let message = format!("error: cannot run `{}`: {reason}\n", path.display());
            finish(io::stderr(), &message, 126)
        }
    }
}

/// The tool whose name is most similar to `name`, if one is similar enough to suggest it.
fn closest<'t>(tools: &'t BTreeMap<String, PathBuf>, name: &str) -> Option<&'t str> {
    let name = name.to_lowercase();
    tools
        .keys()
        .map(|tool| (strsim::jaro_winkler(&tool.to_lowercase(), &name), tool))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, tool)| tool.as_str())
}

/// A message that names the missing interpreter of the program at `path`.
fn missing_interpreter(path: &Path) -> String {
    let mut start = Vec::new();
    // Only the first line is needed, and the program may be large.
    let _ = std::fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut start));
    let line = start
        .strip_prefix(b"#!")
        .and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    match line {
        Some(line) => format!(
            "its interpreter `{}` is missing",
            String::from_utf8_lossy(line).trim().escape_debug()
        ),
        None => "its dynamic loader is missing".to_owned(),
    }
}

/// Replaces this process by the tool, so that signals and exit status do not have to be passed on.
/// Returns only on failure.
#[cfg(unix)]
fn run(command: &mut Command) -> io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

/// Runs the tool and returns its exit status. A console sends its signals to both processes.
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

/// Returns the path of each tool by its name. The directory of this program takes precedence over
/// PATH, and earlier directories of PATH over later ones.
fn tools() -> BTreeMap<String, PathBuf> {
    let own_path = env::current_exe()
        .ok()
        .and_then(|path| path.canonicalize().ok());
    let own_directory = own_path
        .as_deref()
        .and_then(Path::parent)
        .map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();

    let mut tools = BTreeMap::new();
    for directory in own_directory.into_iter().chain(env::split_paths(&path)) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let file = entry.file_name();
            let Some(name) = file.to_str().and_then(|file| {
                file.strip_suffix(env::consts::EXE_SUFFIX)?
                    .strip_prefix(PREFIX)
            }) else {
                continue;
            };
            // A link to this program would dispatch to itself endlessly.
            let is_self = path.canonicalize().ok() == own_path;
            if is_program(&path) && !is_self && !name.is_empty() {
                tools.entry(name.to_owned()).or_insert(path);
            }
        }
    }
    tools
}

/// Writes the text and returns `status`, or at least 1 if it cannot be written.
fn finish(mut stream: impl Write, text: &str, status: u8) -> ExitCode {
    match stream
        .write_all(text.as_bytes())
        .and_then(|()| stream.flush())
    {
        // A closed pipe is not an error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: the output cannot be written: {error}");
            ExitCode::from(status.max(1))
        }
        _ => ExitCode::from(status),
    }
}
