//! From a command in the configuration to a program that may be run: who runs it, where it is, whether it is safe.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use healthcheck::process::Program;
use keepalived_conf::{Command, Global};

use super::users::{Account, Users};

/// keepalived's, when it exists and nobody else is named.
const SCRIPT_USER: &str = "keepalived_script";
/// Can make any program do anything, so no script gets them.
const DANGEROUS: [&str; 3] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"];

/// Why a script is not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no program is named")]
    Empty,
    #[error("there is no user or group `{0}`")]
    NoUser(String),
    #[error("`{0}` is not there; write its whole path")]
    NotFound(String),
    #[error("{0} is not executable: chmod +x {0}")]
    NotExecutable(PathBuf),
    #[error(
        "{script} would run as root, and others than root can write {place}: chown root {place}; chmod go-w {place}",
        script = script.display(), place = place.display()
    )]
    Unsafe { script: PathBuf, place: PathBuf },
}

/// A program with everything that is needed to start it; arguments may follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Runnable {
    pub(crate) program: Program,
}

/// What the configuration says about all scripts.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    users: Users,
    default: Option<Account>,
    /// `enable_script_security`.
    secure: bool,
    path: Vec<PathBuf>,
}

impl Rules {
    pub(crate) fn of(global: &Global) -> Self {
        let users = Users::read();
        let text = |written: &Option<keepalived_conf::Spanned<String>>| {
            written.as_ref().map(|written| written.value.clone())
        };
        let default = match text(&global.script_user) {
            Some(name) => {
                let group = text(&global.script_group);
                users
                    .account(&name, group.as_deref())
                    .inspect_err(|name| log::warn!("script_user: there is no user or group `{name}`; scripts run as the user of this process"))
                    .ok()
            }
            None => users.account(SCRIPT_USER, None).ok(),
        };
        let secure = global.enable_script_security.is_some_and(|enabled| enabled.value);
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self { users, default, secure, path: std::env::split_paths(&path).collect() }
    }

    /// What is to be run for a command; its own user and group stand over the general ones.
    pub(crate) fn runnable(&self, command: &Command) -> Result<Runnable, Refused> {
        let name = |written: &Option<keepalived_conf::Spanned<String>>| {
            written.as_ref().map(|written| written.value.clone())
        };
        let account = match name(&command.user) {
            Some(user) => {
                let group = name(&command.group);
                let account = self.users.account(&user, group.as_deref());
                Some(account.map_err(|name| Refused::NoUser(name.to_owned()))?)
            }
            None => self.default.clone(),
        };
        let (first, rest) = command.words.split_first().ok_or(Refused::Empty)?;
        // As keepalived: what does not begin like a path or a name is for the shell.
        let program = if first
            .starts_with(|letter: char| letter.is_alphanumeric() || "/._".contains(letter))
        {
            let path = self.find(first)?;
            self.check(&path, account.as_ref())?;
            Program::new(path).arguments(rest)
        } else {
            Program::shell(command.words.join(" "))
        };
        Ok(Runnable { program: environment(program, account) })
    }

    fn find(&self, name: &str) -> Result<PathBuf, Refused> {
        let missing = || Refused::NotFound(name.to_owned());
        if name.contains('/') {
            return Path::new(name).exists().then(|| name.into()).ok_or_else(missing);
        }
        let mut candidates = self.path.iter().map(|directory| directory.join(name));
        candidates.find(|path| is_executable(path)).ok_or_else(missing)
    }

    fn check(&self, path: &Path, account: Option<&Account>) -> Result<(), Refused> {
        if !is_executable(path) {
            return Err(Refused::NotExecutable(path.into()));
        }
        let uid = account.map_or_else(|| rustix::process::getuid().as_raw(), |one| one.user.uid);
        if uid != 0 {
            return Ok(());
        }
        // What a link points at counts.
        let real = path.canonicalize().unwrap_or_else(|_| path.into());
        let Some(place) = real.ancestors().find(|place| is_writable_by_others(place)) else {
            return Ok(());
        };
        let error = Refused::Unsafe { script: path.into(), place: place.into() };
        if self.secure {
            return Err(error);
        }
        log::warn!("{error}; it is run all the same: `enable_script_security` would refuse it");
        Ok(())
    }
}

fn is_executable(path: &Path) -> bool {
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// By somebody who is not root. A directory with the sticky bit, like `/tmp`, does not let others replace what is root's.
fn is_writable_by_others(place: &Path) -> bool {
    let Ok(found) = std::fs::symlink_metadata(place) else { return false };
    let (mode, sticky) = (found.mode(), found.is_dir() && found.mode() & 0o1000 != 0);
    let owner = found.uid() != 0 && mode & 0o200 != 0;
    let group = found.gid() != 0 && mode & 0o020 != 0 && !sticky;
    let other = mode & 0o002 != 0 && !sticky;
    owner || group || other
}

fn environment(program: Program, account: Option<Account>) -> Program {
    let program = DANGEROUS.into_iter().fold(program, Program::without_environment);
    let Some(account) = account else { return program };
    program
        .user(account.user)
        .environment("HOME", account.home)
        .environment("USER", &account.name)
        .environment("LOGNAME", account.name)
        .environment("SHELL", account.shell)
}

#[cfg(test)]
mod tests;
