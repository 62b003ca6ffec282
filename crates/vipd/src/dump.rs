//! Files that signals ask for, under keepalived's names: `keepalived.data`, `keepalived.stats`, `keepalived.json`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::render;

/// Writes a file anew in `TMPDIR`, else `/tmp`, readable for everybody, as keepalived does. Whatever has the name there is removed
/// first and never written through: others may write to that directory.
pub(crate) fn write(name: &str, text: &str) -> io::Result<PathBuf> {
    let directory = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let path = directory.join(name);
    replace(&path, text)?;
    Ok(path)
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    file.write_all(text.as_bytes())
}

/// Counters of each virtual router, in the words of keepalived's own file where it has them.
pub(crate) fn statistics(routers: &[vrrp::Status]) -> String {
    let mut lines = Vec::new();
    for status in routers.iter().flat_map(|status| &status.virtual_routers) {
        let counted = &status.statistics;
        lines.extend([
            format!("VRRP Instance: {}", status.name),
            "  Advertisements:".into(),
            format!("    Received: {}", counted.advertisements_received),
            format!("    Sent: {}", counted.advertisements_sent),
            format!("  Became master: {}", counted.master_transitions),
            "  Discarded:".into(),
        ]);
        let discards = counted.discards();
        lines.extend(discards.map(|(cause, number)| format!("    {cause}: {number}")));
    }
    lines.iter().map(|line| render::printable(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) =
            (directory.path().join("keepalived.data"), directory.path().join("target"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        replace(&path, "state\n").unwrap();
        replace(&path, "newer\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "newer\n");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(replace(&path, "").is_err());
    }
}
