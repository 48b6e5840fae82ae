//! Running other programs: found on `PATH`, shown as a line to repeat, bounded in time.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The first executable file called `name` on `PATH`.
pub fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

/// `PATH` with these directories in front.
pub fn path_with(dirs: &[PathBuf]) -> OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    let all = dirs.iter().cloned().chain(env::split_paths(&rest));
    // A directory whose name holds the separator cannot be in PATH at all.
    env::join_paths(all).unwrap_or(rest)
}

#[cfg(unix)]
fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &std::path::Path) -> bool {
    file.is_file()
}

/// The command as a line for a shell: its directory, the variables it sets, program and arguments.
pub fn line(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(dir) = command.get_current_dir() {
        words.push(format!("cd {} &&", quoted(dir.as_os_str())));
    }
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.to_string_lossy(), quoted(value)));
        }
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Runs the command with this process's standard streams; an exit status other than 0 is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    check(command, status)
}

/// Runs the command and returns what it wrote to standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| cannot_start(command, &e))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As [`output`], for asking a program that may be missing or may not know the answer.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs the command quietly for at most `limit`; whether it ended in time and well.
pub fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = quiet.spawn() else {
        return false;
    };
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => {
                // It has ended by itself if this fails; either way it is reaped below.
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// An error for a command that could not be started at all.
pub fn cannot_start(command: &Command, error: &std::io::Error) -> Error {
    Error::new(format!("cannot start {}: {error}", quoted(command.get_program())))
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("this ended with {status}:\n  {}", line(command))))
}

#[cfg(test)]
mod tests {
    use super::{line, succeeds_within, which};
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_line_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command
            .args(["test", "a b", "it's", ""])
            .env("RUSTFLAGS", "--cfg=x=\"y\"")
            .env_remove("CARGO")
            .current_dir("tests/bindgen");
        assert_eq!(
            line(&command),
            r#"cd tests/bindgen && RUSTFLAGS='--cfg=x="y"' cargo test 'a b' 'it'\''s' ''"#
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_hangs_is_ended() {
        let start = Instant::now();
        assert!(!succeeds_within(Command::new("sleep").arg("60"), Duration::from_millis(50)));
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(succeeds_within(&mut Command::new("true"), Duration::from_secs(30)));
    }

    #[test]
    fn a_missing_program_is_not_found() {
        assert_eq!(which("windlass-no-such-program"), None);
    }
}
