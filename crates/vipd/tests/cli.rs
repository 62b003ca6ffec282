//! The command line, without any privilege.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn vipd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vipd"))
        .args(arguments)
        .env_remove("NO_COLOR")
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn tutorials() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../keepalived-conf/tests/data/tutorials")
}

fn tutorial(name: &str) -> String {
    tutorials().join(name).to_str().unwrap().to_owned()
}

/// A tutorial's file with the only interface that every host has.
fn on_this_host(name: &str) -> String {
    let text = std::fs::read_to_string(tutorial(name)).unwrap();
    ["ens32", "ens33", "eth0"].iter().fold(text, |text, interface| text.replace(interface, "lo"))
}

/// A file with this text, and its directory, which lives as long.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.conf");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn help_says_what_to_do() {
    let help = vipd(&["--help"]);
    assert_eq!(code(&help), 0);
    for part in ["run", "check", "keepalived", "Exit codes"] {
        assert!(out(&help).contains(part), "{part}: {}", out(&help));
    }
    assert_eq!(out(&vipd(&["-h"])), out(&help));
    assert!(out(&vipd(&["run", "--help"])).contains("--pid"));
    assert!(out(&vipd(&["-n", "--help"])).contains("--vrrp_pid"));
    assert!(out(&vipd(&["--version"])).starts_with("vipd "));
    assert!(out(&vipd(&["-v"])).starts_with("vipd "));
    assert!(out(&vipd(&["-V"])).starts_with("vipd "));
}

#[test]
fn a_wrong_command_line_is_64() {
    for arguments in
        [&[][..], &["frob"], &["run"], &["check"], &["run", "--frob", "x"], &["-n", "--frob"]]
    {
        let output = vipd(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}");
        assert!(err(&output).contains("Usage"), "{arguments:?}: {}", err(&output));
    }
}

#[test]
fn check_tells_by_its_exit_code() {
    assert_eq!(code(&vipd(&["check", &tutorial("conf/003.d1.conf")])), 0);
    assert_eq!(code(&vipd(&["check", &tutorial("conf/004.d1.conf")])), 1);
    assert_eq!(code(&vipd(&["check", &tutorial("verbatim/m-missing-brace.conf")])), 2);
    assert_eq!(code(&vipd(&["check", "/nonexistent.conf"])), 2);
    let worst = [
        tutorial("conf/003.d1.conf"),
        tutorial("verbatim/m-missing-brace.conf"),
        tutorial("conf/004.d1.conf"),
    ];
    assert_eq!(code(&vipd(&["check", &worst[0], &worst[1], &worst[2]])), 2);
}

#[test]
fn check_draws_or_lists() {
    let drawn = out(&vipd(&["check", &tutorial("verbatim/m-varrp_instance.conf")]));
    assert!(drawn.contains("1 | varrp_instance VI_1 {\n  | ^^^^^^^^^^^^^^^^^^^\n"), "{drawn}");
    assert!(drawn.contains("help: did you mean `vrrp_instance`?"), "{drawn}");
    let plain = out(&vipd(&["check", "--plain", &tutorial("verbatim/m-varrp_instance.conf")]));
    assert_eq!(plain.lines().count(), 2, "{plain}");
    assert!(
        plain.lines().all(|line| line.contains("m-varrp_instance.conf:1: warning[")),
        "{plain}"
    );
}

#[test]
fn check_says_what_it_saw() {
    let summary = |name: &str| {
        out(&vipd(&["check", &tutorial(name)]))
            .lines()
            .last()
            .unwrap()
            .rsplit_once('/')
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(summary("conf/003.d1.conf"), "003.d1.conf: 1 virtual router. It can run.");
    assert_eq!(
        summary("conf/004.d1.conf"),
        "004.d1.conf: 1 virtual router, 1 virtual server, 2 warnings. It can run."
    );
    assert_eq!(
        summary("verbatim/m-missing-brace.conf"),
        "m-missing-brace.conf: 1 virtual router, 1 error. It cannot run."
    );
    assert_eq!(
        summary("verbatim/003-master-oneline.conf"),
        "003-master-oneline.conf: 1 warning. It would run and do nothing."
    );
}

#[test]
fn check_reads_standard_input() {
    let child = Command::new("sh")
        .arg("-c")
        .arg("echo 'global_defs { frob x }' | \"$0\" check --plain -")
        .arg(env!("CARGO_BIN_EXE_vipd"))
        .output()
        .unwrap();
    assert!(out(&child).contains("<stdin>:1: warning[unknown-keyword]"), "{}", out(&child));
}

#[test]
fn no_control_characters_reach_the_terminal() {
    let (_directory, path) = file("vrrp_instance \u{1b}[31mred {\n\u{7}bell 1\n}\n");
    for arguments in [&["check", &path][..], &["check", "--plain", &path], &["-t", "-f", &path]] {
        let output = vipd(arguments);
        let text = out(&output) + &err(&output);
        let controls: Vec<char> =
            text.chars().filter(|character| character.is_control() && *character != '\n').collect();
        assert!(!text.is_empty() && controls.is_empty(), "{controls:?} in {text}");
    }
}

/// `-t` has keepalived's exit codes and goes to standard error; what this version does not act on is no complaint.
#[test]
fn config_test_as_keepalived() {
    for (name, expected) in [
        ("conf/003.d1.conf", 0),
        ("conf/004.d1.conf", 5),
        ("conf/001.d1.conf", 5),
        ("verbatim/003-master-oneline.conf", 0),
        ("verbatim/m-email-protected.conf", 0),
        ("verbatim/m-state-slash.conf", 5),
        ("verbatim/m-varrp_instance.conf", 5),
        ("verbatim/m-missing-brace.conf", 4),
    ] {
        let (_directory, path) = file(&on_this_host(name));
        let output = vipd(&["-t", "-f", &path]);
        assert_eq!(code(&output), expected, "{name}: {}", err(&output));
        assert_eq!(out(&output), "", "{name}");
    }
    let output = vipd(&["-t", "-f", &tutorial("conf/003.d1.conf")]);
    assert_eq!(code(&output), 5, "no interface of this name: {}", err(&output));
    let said = "003.d1.conf:7: warning[no-interface]: `vrrp_instance VI_1` would not start: there is no interface `ens32`";
    assert!(err(&output).contains(said), "{}", err(&output));
    assert_eq!(code(&vipd(&["-t", "-f", "/nonexistent.conf"])), 4);
    let (_directory, path) = file(
        "vrrp_script s {\nscript \"/bin/sh -c true\"\n}\nvrrp_instance a {\ninterface lo\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n}\ntrack_script {\ns\n}\n}\n",
    );
    assert_eq!(
        code(&vipd(&["-t", "-f", &path])),
        6,
        "a script runs without enable_script_security"
    );
}

#[test]
fn config_test_into_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let (_directory, path) = file(&on_this_host("conf/004.d1.conf"));
    let output = vipd(&[&format!("--config-test={}", log.display()), "-f", &path]);
    assert_eq!((code(&output), out(&output), err(&output)), (5, String::new(), String::new()));
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 2);
}

#[test]
fn a_configuration_with_errors_is_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let pid = directory.path().join("pid");
    let output = vipd(&["run", "--pid", pid.to_str().unwrap(), &tutorial("verbatim/002-all.conf")]);
    assert_eq!(code(&output), 2);
    let text = err(&output);
    assert!(
        text.contains("002-all.conf:25: the block `vrrp_instance VI_1` is not closed"),
        "{text}"
    );
    assert!(text.contains("has 2 errors and is not run; `vipd check"), "{text}");
    assert!(!pid.exists());
    let output = vipd(&["run", "/nonexistent.conf"]);
    assert_eq!(code(&output), 2);
    assert!(
        err(&output).contains("cannot read /nonexistent.conf: No such file"),
        "{}",
        err(&output)
    );
}

/// The same file for both: 2.2.7 does not run what can be executed.
#[test]
fn an_executable_configuration_is_refused_as_by_keepalived() {
    lab::need!(keepalived, netns);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program.conf");
    std::fs::copy(tutorials().join("conf/003.d1.conf"), &path).unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&path, mode(0o755)).unwrap();
    for daemon in [
        lab::peers::Daemon::Keepalived,
        lab::peers::Daemon::Vipd(env!("CARGO_BIN_EXE_vipd").into()),
    ] {
        let node = lab::Node::new().unwrap();
        let mut running = daemon.start(&node, &path).unwrap();
        let ended = running.wait(core::time::Duration::from_secs(30)).unwrap();
        assert_eq!(ended.code(), Some(6), "{}: {}", daemon.name(), running.log());
        assert!(running.log().contains("executable"), "{}", running.log());
    }
    assert_eq!(code(&vipd(&["check", path.to_str().unwrap()])), 2);
}

#[test]
fn a_pid_file_that_cannot_be_written_is_named() {
    let output = vipd(&["run", "--pid", "/nonexistent/pid", &tutorial("conf/003.d1.conf")]);
    assert_eq!(code(&output), 1);
    assert!(
        err(&output).contains("cannot write the pid file /nonexistent/pid: create its directory")
            && err(&output).matches("No such file").count() == 1,
        "{}",
        err(&output)
    );
}

/// The pictures of all printed tutorial files; `UPDATE_EXPECT=1 cargo test -p vipd` rewrites them.
#[test]
fn pictures_of_the_printed_tutorials() {
    let directory = tutorials().join("verbatim");
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vipd"));
    let output = command.arg("check").args(&names).current_dir(&directory).output().unwrap();
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(expected.parent().unwrap()).unwrap();
        std::fs::write(&expected, &output.stdout).unwrap();
    }
    let known = std::fs::read_to_string(&expected).unwrap();
    for (number, (left, right)) in known.lines().zip(out(&output).lines()).enumerate() {
        assert_eq!(left, right, "line {} of pictures.txt", number + 1);
    }
    assert_eq!(known.lines().count(), out(&output).lines().count());
}
