//! One measurement: a process of its own, pinned, that ends in time.

use std::io::{self, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Result, within};
use crate::meter::Measured;
use crate::plan::Job;

/// A process that takes longer is ended, and its measurement left out.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs a job with so many operations.
pub(crate) fn measure(job: &Job, n: u64) -> Result<Measured> {
    let mut command = Command::new(&job.entrant.program);
    pin(&mut command, job.family.cpus);
    command.args(arguments(job, n));
    let output = run(&mut command)?;
    let measured = Measured::parse(&output.out)?;
    if measured.ops == 0 {
        return Err("did nothing".into());
    }
    Ok(measured)
}

/// What the job's program is called with.
pub(crate) fn arguments(job: &Job, n: u64) -> [String; 4] {
    ["--measure".to_owned(), job.entrant.inside.clone(), job.bench.clone(), n.to_string()]
}

/// What a process wrote.
pub(crate) struct Output {
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it to its end; an exit status other than 0 is an error with the last that it said.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(within(&name))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let errors = thread::spawn(move || read(&mut stderr));
    let (done, wait) = mpsc::channel::<()>();
    let pid = child.id();
    let watchdog = thread::spawn(move || {
        let late = wait.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            kill(pid);
        }
        late
    });
    let out = read(&mut stdout);
    let err = errors.join().map_err(|_| "cannot read what it said")?;
    drop(done);
    // It is still there for the watchdog, dead or alive: nobody has waited for it yet.
    let late = watchdog.join().is_ok_and(|late| late);
    let status = child.wait().map_err(within(&name))?;
    if late {
        return Err(format!("took longer than {} s", LIMIT.as_secs()).into());
    }
    if !status.success() {
        return Err(failure(status, &err).into());
    }
    Ok(Output { out: out?, err: err? })
}

fn read(stream: &mut Option<impl Read>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// In a line.
fn failure(status: ExitStatus, err: &io::Result<String>) -> String {
    let said = err.as_ref().map_or("", String::as_str);
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    match lines.next() {
        None => format!("ended with {status}"),
        Some(first) => {
            let second = if first.contains("panicked at") { lines.next() } else { None };
            let line: String = second.unwrap_or(first).chars().take(160).collect();
            format!("ended with {status}: {line}")
        }
    }
}

#[cfg(unix)]
fn kill(pid: u32) {
    // SAFETY: the child is ours and has not been waited for, so the number is still its own.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

#[cfg(not(unix))]
fn kill(_: u32) {}

/// The CPUs that measurements are pinned to: the last ones that this process may use.
#[cfg(target_os = "linux")]
pub(crate) fn cpus(count: usize) -> Vec<usize> {
    // SAFETY: a set of CPUs is plain numbers, and the call fills it.
    let allowed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
        set
    };
    // SAFETY: each number is below the set's size.
    let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
    let mut cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect();
    cpus.split_off(cpus.len().saturating_sub(count))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cpus(_: usize) -> Vec<usize> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn pin(command: &mut Command, count: usize) {
    use std::os::unix::process::CommandExt;

    let cpus = cpus(count);
    // SAFETY: between fork and exec this only makes one system call.
    unsafe {
        command.pre_exec(move || {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            for &cpu in &cpus {
                libc::CPU_SET(cpu, &mut set);
            }
            match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn pin(_: &mut Command, _: usize) {}

#[cfg(all(test, unix))]
mod tests {
    use super::{cpus, run};
    use std::process::Command;

    #[test]
    fn what_a_child_writes_is_read_and_its_failure_told() {
        let output = run(Command::new("echo").arg("12 34")).expect("echo");
        assert_eq!(output.out, "12 34\n");
        let mut fails = Command::new("sh");
        let Err(error) = run(fails.args(["-c", "echo no memory >&2; exit 3"])) else {
            panic!("it failed");
        };
        assert_eq!(error.to_string(), "ended with exit status: 3: no memory");
        let missing = run(&mut Command::new("windlass-no-such-program"));
        assert!(missing.is_err_and(|error| error.to_string().starts_with("windlass-no-such-program")));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_child_is_pinned() {
        let mut child = Command::new("sh");
        super::pin(&mut child, 1);
        let script = "grep Cpus_allowed_list /proc/self/status";
        let said = run(child.args(["-c", script])).expect("a shell").out;
        assert_eq!(said.split_whitespace().last(), Some(cpus(1)[0].to_string().as_str()));
    }
}
