//! Full and read-only disks for a single run, in a mount namespace that ends with the run.

use super::{Output, Sandbox, skipped};

/// The exit status if the mounts could not be made.
const NO_MOUNTS: i32 = 99;

impl Sandbox {
    /// Runs the program in a namespace with the mounts of the shell script `mounts`. Reports that
    /// the test is skipped and returns `None` if the machine does not allow mounts.
    ///
    /// If the temporary directory is a mount, it is checked for leftovers here, because the test
    /// cannot do so later.
    pub(crate) fn run_with_mounts(&self, mounts: &str, arguments: &[&str]) -> Option<Output> {
        self.run_between_mounts(mounts, arguments, "")
    }

    /// Like [`run_with_mounts`](Self::run_with_mounts), with a shell script `after` that runs
    /// before the mounts are removed.
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
        command.args(["--mount", "sh", "-c", &script, "sh"]);
        command
            .arg(env!("CARGO_BIN_EXE_fractary-codex"))
            .args(arguments);
        let output = self.finish(command);
        // `unshare` exits with 1 if it is not permitted.
        if output.code == Some(NO_MOUNTS) || output.stderr.starts_with("unshare: ") {
            skipped(&format!("no mounts can be made: {}", output.stderr));
            return None;
        }
        Some(output)
    }
}
