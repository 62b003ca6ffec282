//! `cargo xtask package`: what a user of the published packages gets, tried out before it is published.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::Value;

use crate::host::{self, Outcome};

/// Package every published crate as for crates.io, and compile examples against the results, outside this workspace
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the scratch project is made, and left for a look [default: a temporary directory, removed afterwards]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// The examples that somebody may copy into a project of their own, and the dependencies that project then has: these
/// and no others.
const EXAMPLES: [(&str, &[&str]); 5] = [
    ("own_loop", &["socket2", "vrrp-fsm"]),
    ("sim", &["vrrp-sim"]),
    ("service_failover", &["vrrp-sim"]),
    ("real_server", &["journal", "signal-hook", "vip-netlink"]),
    ("lvs_dr_director", &["ipvs", "lvs", "signal-hook", "vrrp"]),
];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let metadata = metadata()?;
    let target =
        metadata["target_directory"].as_str().ok_or("cargo metadata: no target directory")?;
    let target = Path::new(target);
    let published = published(&metadata)?;

    let mut package = host::cargo();
    package.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    package.args(published.iter().flat_map(|package| ["--package", &package.name]));
    if !host::status(&mut package)?.success() {
        return Err("cargo package failed".to_owned());
    }
    println!("packaged: {}", names(&published));

    let scratch = match &arguments.scratch {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("xtask-package-{}", std::process::id())),
    };
    let result = compile_outside(&scratch, target, &metadata, &published);
    if arguments.scratch.is_none() {
        drop(fs::remove_dir_all(&scratch));
    }
    result?;
    for (example, dependencies) in EXAMPLES {
        println!("compiled outside the workspace: {example}, with {}", dependencies.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// A package that goes to crates.io.
struct Published {
    name: String,
    version: String,
}

impl Published {
    fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

fn names(published: &[Published]) -> String {
    published.iter().map(Published::folder).collect::<Vec<_>>().join(", ")
}

fn metadata() -> Result<Value, String> {
    let output = host::cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn published(metadata: &Value) -> Result<Vec<Published>, String> {
    // `publish = false` is an empty list of registries.
    packages(metadata)
        .filter(|package| package["publish"].is_null())
        .map(|package| {
            let text = |field: &str| package[field].as_str().map(str::to_owned);
            Some(Published { name: text("name")?, version: text("version")? })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "cargo metadata: a package without name or version".to_owned())
}

/// One project an example, none of them knowing this workspace; our packages come from the archives.
fn compile_outside(
    scratch: &Path,
    target: &Path,
    metadata: &Value,
    published: &[Published],
) -> Result<(), String> {
    fs::create_dir_all(scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    for package in published {
        let archive = target.join("package").join(format!("{}.crate", package.folder()));
        let mut tar = Command::new("tar");
        tar.arg("--extract")
            .arg("--gzip")
            .arg("--file")
            .arg(&archive)
            .arg("--directory")
            .arg(scratch);
        if !host::status(&mut tar)?.success() {
            return Err(format!("{}: cannot be unpacked", archive.display()));
        }
    }
    let folders = EXAMPLES.map(|(example, _)| format!("\"{example}\"")).join(", ");
    let patches: Vec<String> = published
        .iter()
        .map(|package| format!("{} = {{ path = \"{}\" }}", package.name, package.folder()))
        .collect();
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{folders}]\n\n[patch.crates-io]\n{}\n",
        patches.join("\n")
    );
    write(&scratch.join("Cargo.toml"), &manifest)?;
    for (example, dependencies) in EXAMPLES {
        let lines: Vec<String> = dependencies
            .iter()
            .map(|dependency| dependency_line(metadata, dependency))
            .collect::<Result<_, _>>()?;
        let manifest = format!(
            "[package]\nname = \"{example}\"\nedition = \"2024\"\n\n[dependencies]\n{}\n",
            lines.join("\n")
        );
        write(&scratch.join(example).join("Cargo.toml"), &manifest)?;
        let source = host::workspace().join("examples").join(format!("{example}.rs"));
        let text = fs::read_to_string(&source)
            .map_err(|error| format!("{}: {error}", source.display()))?;
        write(&scratch.join(example).join("src/main.rs"), &text)?;
    }
    // The versions that everything else here is tested with.
    let lock = fs::read_to_string(host::workspace().join("Cargo.lock"))
        .map_err(|error| format!("Cargo.lock: {error}"))?;
    write(&scratch.join("Cargo.lock"), &lock)?;
    let mut check = host::cargo();
    check.current_dir(scratch).env("CARGO_TARGET_DIR", target.join("package-check"));
    check.args(["check", "--quiet", "--workspace"]);
    if !host::status(&mut check)?.success() {
        return Err(format!("the examples do not compile in {}", scratch.display()));
    }
    Ok(())
}

/// A line of `[dependencies]`, with the version and the features that the package `examples` asks for.
fn dependency_line(metadata: &Value, dependency: &str) -> Result<String, String> {
    let find = || {
        let examples = packages(metadata).find(|package| package["name"] == "examples")?;
        let found = examples["dependencies"].as_array()?.iter().find(|found| {
            let name = if found["rename"].is_null() { &found["name"] } else { &found["rename"] };
            name == dependency
        })?;
        Some(format!(
            "{dependency} = {{ package = {}, version = {}, features = {}, default-features = {} }}",
            found["name"], found["req"], found["features"], found["uses_default_features"]
        ))
    };
    find().ok_or_else(|| format!("the package examples has no dependency {dependency}"))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .map_err(|error| format!("{}: {error}", file.display()))
}
