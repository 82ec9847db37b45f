//! Disks that are full or not to be written, for one run alone: a mount namespace, which goes with the run.

use super::{Output, Sandbox, skipped};

/// The status of a run whose mounts could not be made.
const NO_MOUNTS: i32 = 99;

impl Sandbox {
    /// Runs the program where `mounts` (shell) were made for it alone. `None`, and a line that says so, where this
    /// machine allows no mounts. A temporary directory that was mounted must be tidy at the end: nobody can look later.
    pub(crate) fn run_with_mounts(&self, mounts: &str, arguments: &[&str]) -> Option<Output> {
        self.run_between_mounts(mounts, arguments, "")
    }

    /// The same, with some shell after the run, before the mounts go.
    pub(crate) fn run_between_mounts(
        &self,
        mounts: &str,
        arguments: &[&str],
        after: &str,
    ) -> Option<Output> {
        let tmp = self.path("tmp");
        let script = format!(
            "({mounts}) || exit {NO_MOUNTS}\n\"$@\"\nstatus=$?\n{after}\n\
             mountpoint -q {tmp} && [ -n \"$(find {tmp} -name '*fractary*')\" ] && exit 98\nexit $status",
            tmp = tmp.display()
        );
        let mut command = self.command("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let path = format!("PATH={}", self.program_path());
        command.args(["--mount", "sh", "-c", &script, "sh", "env", &path]);
        command
            .arg(env!("CARGO_BIN_EXE_fractary-codex"))
            .args(arguments);
        let output = self.finish(command);
        // `unshare` itself ends with 1 where it may not.
        if output.code == Some(NO_MOUNTS) || output.stderr.starts_with("unshare: ") {
            skipped(&format!("no mounts can be made: {}", output.stderr));
            return None;
        }
        Some(output)
    }
}
