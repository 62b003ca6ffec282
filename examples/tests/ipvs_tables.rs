//! The examples `ipvs_table` and `ipvs_apply` beside `ipvsadm`, on a real kernel.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use lab::Namespace;

/// `cargo test` builds the examples of a package beside its tests.
fn program(name: &str) -> Command {
    let tests = std::env::current_exe().unwrap();
    let program: PathBuf = tests.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo build -p examples --examples",
        program.display()
    );
    Command::new(program)
}

struct Lab {
    namespace: Namespace,
    directory: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let namespace = Namespace::new().unwrap();
        namespace.ip_batch(["addr add 192.0.2.1/24 dev lo", "addr add 10.0.0.1/8 dev lo"]).unwrap();
        Self { namespace, directory: tempfile::tempdir().unwrap() }
    }

    fn run(&self, mut command: Command, arguments: &[&str]) -> Output {
        self.namespace.output(command.args(arguments)).unwrap()
    }

    fn ipvsadm(&self, arguments: &str) -> String {
        let words: Vec<_> = arguments.split(' ').collect();
        let output = self.run(Command::new("ipvsadm"), &words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `ipvs_apply` on a file with this text: whether it succeeded, what it said, and its complaints.
    fn apply(&self, options: &[&str], rules: &str) -> (bool, String, String) {
        let file = self.directory.path().join("rules");
        std::fs::write(&file, rules).unwrap();
        let journal = self.directory.path().join("journal");
        let paths = ["--journal", journal.to_str().unwrap(), file.to_str().unwrap()];
        let output = self.run(program("ipvs_apply"), &[options, &paths].concat());
        let text = |octets| String::from_utf8(octets).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }
}

/// Lines without differences in white space, each server behind its service; headings left out.
fn table(text: &str) -> BTreeSet<String> {
    let mut service = String::new();
    let mut lines = BTreeSet::new();
    for line in text.lines() {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.contains("Address:Port") || line.starts_with("IP ") || line.starts_with("Service") {
            continue;
        }
        if line.starts_with("  ->") {
            lines.insert(format!("{service} {words}"));
        } else {
            service.clone_from(&words);
            lines.insert(words);
        }
    }
    lines
}

const RULES: &str = "\
-A -t 192.0.2.1:80 -s wrr -p 300 -M 255.255.255.0
-a -t 192.0.2.1:80 -r 10.0.0.1:8080 -m -w 3
-a -t 192.0.2.1:80 -r 10.0.0.2:8080 -m -w 0
-A -t 192.0.2.1:81 -s mh -b mh-fallback,mh-port
-a -t 192.0.2.1:81 -r 192.0.2.11:81 -i -w 1 --tun-type gue --tun-port 5555 --tun-remcsum
-a -t 192.0.2.1:81 -r 192.0.2.12:81 -i -w 1 --tun-type gre --tun-csum
-a -t 192.0.2.1:81 -r 192.0.2.13:81 -i -w 1 --tun-type ipip
-A -u 192.0.2.1:5060 -s rr -p 60 --pe sip -o
-a -u 192.0.2.1:5060 -r 192.0.2.11:5060 -g -w 1
-A --sctp-service [2001:db8::1]:80 -s sh -p 50 -M 64
-a --sctp-service [2001:db8::1]:80 -r [2001:db8::2]:80 -g -w 2147483647
-A -f 7 -s rr
-A -f 7 -6 -s lc
-a -f 7 -6 -r [2001:db8::2]:0 -g -w 1
";

#[test]
fn a_table_is_applied_shown_and_removed() {
    lab::need!(ipvs, ipvsadm, netns);
    let lab = Lab::new();
    let (succeeded, said, complaints) = lab.apply(&["--dry-run"], RULES);
    assert!(succeeded && said.lines().count() == 14, "{said}{complaints}");
    assert!(said.contains("would add service tcp/192.0.2.1:80 (wrr)"), "{said}");
    assert_eq!(lab.ipvsadm("-Sn"), "", "a dry run changes nothing");

    let (succeeded, said, complaints) = lab.apply(&[], RULES);
    assert!(succeeded && complaints.is_empty() && said.lines().count() == 14, "{said}{complaints}");
    let lines =
        |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(lines(&lab.ipvsadm("-Sn")), lines(RULES));
    let again = lab.apply(&[], RULES);
    assert_eq!(again, (true, String::new(), String::new()), "as desired already");

    // Connections make numbers.
    lab.namespace.run(|| {
        let listener = TcpListener::bind("10.0.0.1:8080").unwrap();
        let mut client = TcpStream::connect("192.0.2.1:80").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        let output = lab.run(program("ipvs_table"), &["--connections", "10"]);
        let shown = String::from_utf8(output.stdout).unwrap();
        let connection = shown.lines().find(|line| line.contains("ESTABLISHED")).unwrap();
        assert!(connection.contains(&client.local_addr().unwrap().to_string()), "{shown}");
    });
    for (ours, theirs) in [("--stats", "-Ln --stats --exact"), ("--rate", "-Ln --rate --exact")] {
        let same = lab::eventually(Duration::from_secs(60), || {
            let theirs = lab.ipvsadm(theirs);
            let output = lab.run(program("ipvs_table"), &[ours]);
            let shown = String::from_utf8(output.stdout).unwrap();
            assert_eq!(shown.lines().next(), theirs.lines().next(), "the same version and size");
            // The kernel's sums grow for two seconds after the last packet, rates for longer.
            let theirs = table(&theirs);
            let counted = theirs.iter().any(|line| line.contains("-> 10.0.0.1:8080 1 "));
            ((counted || ours == "--rate") && table(&shown) == theirs).then_some(())
        });
        assert!(same.is_some(), "{}", lab.ipvsadm(theirs));
    }
    let output = lab.run(program("ipvs_table"), &[]);
    let shown = table(&String::from_utf8(output.stdout).unwrap());
    for line in [
        "TCP 192.0.2.1:80 wrr persistent 300 -> 10.0.0.2:8080 Masq 0 0 0",
        "TCP 192.0.2.1:81 mh fallback port -> 192.0.2.12:81 Tunnel 1 0 0",
        "SCTP [2001:db8::1]:80 sh persistent 50 -> [2001:db8::2]:80 Route 2147483647 0 0",
        "FWM 7 IPv6 lc",
    ] {
        assert!(shown.contains(line), "{line} not in {shown:?}");
    }

    // Another program's services stay as they are, its own go.
    lab.ipvsadm("-A -t 192.0.2.1:443 -s lc");
    let (succeeded, _, complaints) = lab.apply(&[], "-A -t 192.0.2.1:443 -s rr # ours?");
    assert!(!succeeded && complaints.contains("another program"), "{complaints}");
    assert_eq!(lab.ipvsadm("-Sn"), "-A -t 192.0.2.1:443 -s lc\n");
    let (succeeded, said, _) = lab.apply(&["--adopt"], "-A -t 192.0.2.1:443 -s rr");
    assert!(succeeded && said.contains("change service tcp/192.0.2.1:443 (rr)"), "{said}");
    assert!(lab.apply(&[], "# nothing\n").0);
    assert_eq!(lab.ipvsadm("-Sn"), "");
}

#[test]
fn what_is_wrong_is_named() {
    lab::need!(ipvs, ipvsadm, netns);
    let lab = Lab::new();
    for (rules, complaint) in [
        (
            "-A -t 192.0.2.1:0 -s rr",
            "rules:1: a service for every port (port 0) must be persistent",
        ),
        ("\n-a -t 192.0.2.1:80 -r 10.0.0.1:80", "rules:2: no service tcp/192.0.2.1:80 above"),
        (
            "-A -t 192.0.2.1:80 -s rr\n-a -t 192.0.2.1:80 -r 10.0.0.1:81 -g",
            "rules:2: with direct routing",
        ),
        ("-A -t 192.0.2.1 -s rr", "rules:1: not of the form"),
        ("-A -t 192.0.2.1:80 --nonsense", "rules:1: error: unexpected argument '--nonsense'"),
        ("-A -t 192.0.2.1:80 -s nonesuch", "modprobe ip_vs_nonesuch"),
    ] {
        let (succeeded, _, complaints) = lab.apply(&[], rules);
        assert!(!succeeded && complaints.contains(complaint), "{rules}: {complaints}");
        assert_eq!(lab.ipvsadm("-Sn"), "", "and nothing is left");
    }
    for example in ["ipvs_apply", "ipvs_table"] {
        let help = String::from_utf8(lab.run(program(example), &["--help"]).stdout).unwrap();
        assert!(help.contains(&format!("Usage: {example}")), "{help}");
    }
}
