//! Configuration files on disk: reading them, and the includes they name.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keepalived_conf::{LoadError, Loaded, Loader, Parsed};

/// Largest configuration file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReadError {
    #[error("cannot read {}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot read {}: it is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    #[error(
        "cannot read {}: it is executable, so it may be a program and no configuration; if it is one: chmod -x {}",
        path.display(), path.display()
    )]
    Executable { path: PathBuf },
    #[error("cannot read {}: it is larger than {LARGEST} bytes", path.display())]
    TooLarge { path: PathBuf },
}

/// Reads and parses a configuration. `-` is standard input.
pub(crate) fn parse(path: &Path, config_id: Option<&str>) -> Result<Parsed, ReadError> {
    let (name, text) = if path == Path::new("-") {
        let text = limited(std::io::stdin().lock(), path)?;
        ("<stdin>".into(), text)
    } else {
        (path.to_string_lossy().into_owned(), read(path)?)
    };
    let mut loader = Files { config_id: config_id.map_or_else(host, str::to_owned) };
    Ok(keepalived_conf::parse(&name, &text, &mut loader))
}

fn read(path: &Path) -> Result<String, ReadError> {
    let io = |source| ReadError::Io { path: path.into(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let kind = metadata.file_type();
    // A pipe is fine (`<(...)` of a shell); a directory or a disk is not.
    if kind.is_dir() || std::os::unix::fs::FileTypeExt::is_block_device(&kind) {
        return Err(ReadError::NotAFile { path: path.into() });
    }
    // As keepalived: what can be run is not taken for a configuration.
    if kind.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        return Err(ReadError::Executable { path: path.into() });
    }
    limited(file, path)
}

/// Bytes that are not UTF-8 (comments in another encoding) are replaced, which keeps lines as they are.
fn limited(from: impl Read, path: &Path) -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    let read = from.take(LARGEST + 1).read_to_end(&mut bytes);
    let length = read.map_err(|source| ReadError::Io { path: path.into(), source })?;
    if u64::try_from(length).is_ok_and(|length| length > LARGEST) {
        return Err(ReadError::TooLarge { path: path.into() });
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// The host's name up to its first dot: what `@ID` lines are compared with unless told otherwise.
fn host() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy();
    name.split('.').next().unwrap_or("").to_owned()
}

struct Files {
    config_id: String,
}

impl Loader for Files {
    fn load(&mut self, from: &str, pattern: &str) -> Result<Vec<Loaded>, LoadError> {
        let directory = Path::new(from).parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        let mut unreadable = false;
        for path in matching(directory, pattern) {
            match read(&path) {
                Ok(text) => files.push(Loaded { name: path.to_string_lossy().into_owned(), text }),
                Err(_) => unreadable = true,
            }
        }
        match (files.is_empty(), unreadable) {
            (false, _) => Ok(files),
            (true, true) => Err(LoadError::Unreadable),
            (true, false) => Err(LoadError::NotFound),
        }
    }

    fn config_id(&self) -> &str {
        &self.config_id
    }

    fn instance(&self) -> &str {
        &self.config_id
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// The existing files that fit a pattern with `*` and `?` in any component, sorted.
fn matching(directory: &Path, pattern: &str) -> Vec<PathBuf> {
    let absolute = pattern.starts_with('/');
    let mut found = vec![if absolute { PathBuf::from("/") } else { directory.to_path_buf() }];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        found = found.iter().flat_map(|base| entries(base, component)).collect();
    }
    found.retain(|path| path.is_file());
    found
}

fn entries(base: &Path, component: &str) -> Vec<PathBuf> {
    if !component.contains(['*', '?']) {
        let path = base.join(component);
        return if path.exists() { vec![path] } else { Vec::new() };
    }
    let listed = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let Ok(listing) = std::fs::read_dir(listed) else { return Vec::new() };
    let mut names: Vec<_> =
        listing.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    // As in a shell, a leading dot must be written.
    names.retain(|name| {
        fits(component, name) && (component.starts_with('.') || !name.starts_with('.'))
    });
    names.sort();
    names.into_iter().map(|name| base.join(name)).collect()
}

/// Whether a name fits a pattern with `*` and `?`, in linear space and without recursion.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&character) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == character => {
                p += 1;
                n += 1;
            }
            Some(_) | None => {
                let Some((at, matched)) = star else { return false };
                star = Some((at, matched + 1));
                (p, n) = (at + 1, matched + 1);
            }
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|&character| character == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn includes_are_relative_to_the_including_file() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("main.conf"), "include d/*.conf\n").unwrap();
        std::fs::write(at("d/b.conf"), "include c.inc\n").unwrap();
        std::fs::write(at("d/c.inc"), "global_defs { router_id nested }\n").unwrap();
        let parsed = parse(&at("main.conf"), Some("")).unwrap();
        assert_eq!(parsed.config.global.router_id.map(|id| id.value), Some("nested".into()));
        assert_eq!(parsed.sources.files().len(), 3);
    }

    #[test]
    fn bytes_of_another_encoding_are_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gbk.conf");
        std::fs::write(&path, b"global_defs { # \xc5\xe4\xd6\xc3\n router_id x\n}\n").unwrap();
        let parsed = parse(&path, Some("")).unwrap();
        assert_eq!(parsed.config.global.router_id.map(|id| id.value), Some("x".into()));
    }

    #[test]
    fn a_directory_is_refused() {
        let error = parse(Path::new("/"), Some("")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /: it is not a regular file");
    }
}
