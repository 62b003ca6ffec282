//! Anonymous network namespaces, and nodes that have a `/run` of their own.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::sys;

/// A command on its way to the namespace's own thread, and the way back for it and its child.
struct Job {
    command: Command,
    reply: mpsc::Sender<(Command, io::Result<Child>)>,
}

/// A mount namespace, and what `/` was where it was made: entering one goes to its very root, out of a chroot.
#[derive(Debug)]
struct Mounts {
    namespace: OwnedFd,
    root: OwnedFd,
}

/// A network namespace without a name. It ends when this value, and every process inside, has ended.
#[derive(Debug)]
pub struct Namespace {
    network: OwnedFd,
    mounts: Option<Mounts>,
    keeper: mpsc::Sender<Job>,
    inode: u64,
}

impl Namespace {
    /// A new network namespace with only `lo`, which is up.
    pub fn new() -> io::Result<Self> {
        Self::unshared(false)
    }

    fn unshared(own_run: bool) -> io::Result<Self> {
        let (keeper, jobs) = mpsc::channel::<Job>();
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new().name("namespace".to_owned()).spawn(move || {
            let opened = enter_new(own_run);
            let failed = opened.is_err();
            if sender.send(opened).is_err() || failed {
                return;
            }
            // Children are spawned here, so that a thread lives as long as they may: the kernel kills those
            // that asked for it when the thread that spawned them ends.
            for mut job in jobs {
                let child = job.command.spawn();
                drop(job.reply.send((job.command, child)));
            }
        })?;
        let (network, mounts) =
            receiver.recv().map_err(|_| io::Error::other("the namespace's thread ended"))??;
        let inode = File::from(network.try_clone()?).metadata()?.st_ino();
        let namespace = Self { network, mounts, keeper, inode };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// The namespace's identity: the inode that `readlink /proc/PID/ns/net` shows.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// A path by which this namespace can be named to other programs while this process lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.network.as_raw_fd())
    }

    /// Runs `job` on a thread inside; sockets made there stay inside. A panic of `job` goes on in the caller.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let name = std::thread::current().name().unwrap_or("job").to_owned();
            let thread = std::thread::Builder::new().name(name).spawn_scoped(scope, || {
                self.enter().expect("a namespace that exists can be entered");
                job()
            });
            match thread.expect("a thread can be started").join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Moves the calling thread inside for good; in a [`Node`] its working directory is `/` then. For threads that live
    /// as long as the test.
    pub fn enter(&self) -> io::Result<()> {
        if let Some(mounts) = &self.mounts {
            sys::unshare(UnshareFlags::FS)?;
            move_into_link_name_space(mounts.namespace.as_fd(), Some(LinkNameSpaceType::Mount))?;
            rustix::process::fchdir(&mounts.root)?;
            rustix::process::chroot(".")?;
        }
        move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }

    /// Starts a command inside.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let (reply, answer) = mpsc::channel();
        let job = Job { command: std::mem::replace(command, Command::new("true")), reply };
        let ended = || io::Error::other("the namespace's thread ended");
        self.keeper.send(job).map_err(|_| ended())?;
        let (same, child) = answer.recv().map_err(|_| ended())?;
        *command = same;
        child
    }

    /// Runs a command inside to its end and collects what it prints.
    pub fn output(&self, command: &mut Command) -> io::Result<Output> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawn(command)?.wait_with_output()
    }

    /// Runs one `ip` command inside, given without the leading `ip`.
    pub fn ip(&self, arguments: &str) -> io::Result<()> {
        self.ip_batch([arguments])
    }

    /// Runs several `ip` commands in one process; the first that fails is the error.
    pub fn ip_batch<'a>(&self, commands: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        let commands: Vec<&str> = commands.into_iter().collect();
        let mut script = tempfile::tempfile()?;
        io::Write::write_all(&mut script, (commands.join("\n") + "\n").as_bytes())?;
        io::Seek::rewind(&mut script)?;
        let mut command = Command::new("ip");
        command.args(["-batch", "-"]).env("PATH", crate::need::search_path());
        command.stdin(script).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = self.spawn(&mut command)?.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("ip: {} ({})", said.trim(), commands.join("; "))))
    }

    /// Writes a sysctl of this namespace, named as a path below `/proc/sys` (`net/ipv4/ip_forward`).
    pub fn sysctl(&self, name: &str, value: &str) -> io::Result<()> {
        self.run(|| std::fs::write(format!("/proc/sys/{name}"), value))
    }

    /// The index of the interface `name`.
    pub fn link_index(&self, name: &str) -> io::Result<u32> {
        self.run(|| sys::link_index(name))
    }
}

/// Gives this thread a new network namespace (and a mount namespace with an empty `/run`) and opens it.
fn enter_new(own_run: bool) -> io::Result<(OwnedFd, Option<Mounts>)> {
    let mounts = if own_run { UnshareFlags::NEWNS } else { UnshareFlags::empty() };
    sys::unshare(UnshareFlags::NEWNET | mounts)?;
    let open = |path: &str| File::open(path).map(OwnedFd::from);
    let network = open("/proc/thread-self/ns/net")?;
    if !own_run {
        return Ok((network, None));
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("lab", "/run", "tmpfs", MountFlags::empty(), c"mode=755")?;
    Ok((network, Some(Mounts { namespace: open("/proc/thread-self/ns/mnt")?, root: open("/")? })))
}

/// A machine of the lab: a [`Namespace`] that also has an empty `/run` of its own.
#[derive(Debug)]
pub struct Node {
    namespace: Namespace,
}

impl Node {
    /// A new node with only `lo`, which is up.
    pub fn new() -> io::Result<Self> {
        Ok(Self { namespace: Namespace::unshared(true)? })
    }
}

impl Deref for Node {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}
