//! The machine and the workspace that a task runs on.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

/// What a task returns: the exit code, or the message for the developer.
pub(crate) type Outcome = Result<ExitCode, String>;

/// The root of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The cargo that runs this task, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// Runs a command to its end, its output going where ours goes.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus, String> {
    let shown = Path::new(command.get_program()).display().to_string();
    command.status().map_err(|error| format!("{shown}: {error}"))
}

/// Whether a command runs and says so, in silence.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Installs a program from crates.io.
pub(crate) fn install_crate(name: &str, version: &str) -> Result<(), String> {
    println!("installing {name} {version}");
    let mut install = cargo();
    install.args(["install", "--locked", "--quiet", name, "--version", version]);
    if status(&mut install)?.success() {
        return Ok(());
    }
    Err(format!("cargo could not install {name}"))
}

/// Installs the nightly compiler.
pub(crate) fn install_nightly() -> Result<(), String> {
    if succeeds(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])) {
        return Ok(());
    }
    println!("installing the nightly toolchain");
    let mut rustup = Command::new("rustup");
    rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    if status(&mut rustup)?.success() {
        return Ok(());
    }
    Err("rustup could not install the nightly toolchain".to_owned())
}

/// A command of the nightly toolchain, in the workspace's root.
pub(crate) fn nightly(program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", program]);
    // Cargo sets these for us, and they name the other toolchain.
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTDOC");
    command.env_remove("RUSTUP_TOOLCHAIN").current_dir(workspace());
    command
}

/// A finished command's status as ours.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Builds the binary `name` of the package `package` and says where it is.
pub(crate) fn build_binary(package: &str, name: &str, release: bool) -> Result<PathBuf, String> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--message-format=json-render-diagnostics"]);
    build.args(["--package", package, "--bin", name]);
    if release {
        build.arg("--release");
    }
    artifacts(&mut build)?
        .into_iter()
        .find(|artifact| artifact.target == name && artifact.kind == "bin" && !artifact.test)
        .map(|artifact| artifact.executable)
        .ok_or_else(|| format!("the package {package} has no binary {name}"))
}

/// An executable that cargo built.
#[derive(Debug)]
pub(crate) struct Artifact {
    /// The package's name.
    pub(crate) package: String,
    /// The target's name: of the library, the binary, the file under `tests/`.
    pub(crate) target: String,
    /// `lib`, `bin`, `test`, `example` ...
    pub(crate) kind: String,
    /// Whether it was built with the test harness.
    pub(crate) test: bool,
    /// The folder of the package's manifest: a test's working directory.
    pub(crate) folder: PathBuf,
    /// The file.
    pub(crate) executable: PathBuf,
}

/// Runs a cargo build that prints JSON messages and collects the executables it made.
pub(crate) fn artifacts(build: &mut Command) -> Result<Vec<Artifact>, String> {
    let output =
        build.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo: the build failed ({})", output.status));
    }
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter_map(|message| artifact(&message))
        .collect())
}

fn artifact(message: &serde_json::Value) -> Option<Artifact> {
    let executable = message.get("executable")?.as_str()?;
    let target = message.get("target")?;
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    let folder = manifest.parent()?.to_owned();
    Some(Artifact {
        package: package_name(message.get("package_id")?.as_str()?),
        target: target.get("name")?.as_str()?.to_owned(),
        kind: target.get("kind")?.get(0)?.as_str()?.to_owned(),
        test: message.get("profile")?.get("test")?.as_bool()?,
        folder,
        executable: executable.into(),
    })
}

/// The name in a package id, `path+file:///x/crates/lab#0.1.0` or `path+file:///x/crates/netlink#netlink-batch@0.1.0`.
fn package_name(id: &str) -> String {
    let (path, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _version)) => name.to_owned(),
        None => path.rsplit('/').next().unwrap_or(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::package_name;

    #[test]
    fn both_forms_of_a_package_id_give_its_name() {
        assert_eq!(package_name("path+file:///x/crates/lab#0.1.0"), "lab");
        assert_eq!(
            package_name("path+file:///x/crates/netlink#netlink-batch@0.1.0"),
            "netlink-batch"
        );
    }
}
