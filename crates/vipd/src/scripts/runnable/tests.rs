use keepalived_conf::{Config, SingleFile};

use super::*;

fn config(global: &str, notify: &str) -> Config {
    let text = format!(
        "global_defs {{\n{global}\n}}\nvrrp_instance web {{\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{\n192.0.2.100\n}}\nnotify {notify}\n}}\n"
    );
    keepalived_conf::parse("test.conf", &text, &mut SingleFile::new()).config
}

fn runnable(global: &str, notify: &str) -> Result<Runnable, Refused> {
    let config = config(global, notify);
    Rules::of(&config.global).runnable(config.vrrp_instances[0].notify.any.as_ref().unwrap())
}

fn script(directory: &Path, mode: u32) -> String {
    let path = directory.join("script.sh");
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_path_a_name_and_a_line_for_the_shell() {
    let of = |notify: &str| {
        let program = runnable("", notify).unwrap().program;
        let words: Vec<_> =
            program.argument_list().map(|word| word.to_str().unwrap().to_owned()).collect();
        (program.path().to_str().unwrap().to_owned(), words)
    };
    assert_eq!(
        of("\"/bin/sh -c 'a b' c\""),
        ("/bin/sh".into(), vec!["-c".into(), "a b".into(), "c".into()])
    );
    let (path, words) = of("\"test -e /x || exit 3\"");
    assert!(path.ends_with("/test"), "found in PATH: {path}");
    assert_eq!(words, ["-e", "/x", "||", "exit", "3"]);
    assert_eq!(of("\"</dev/tcp/127.0.0.1/80\"").0, "/bin/sh");
}

#[test]
fn what_is_not_there_or_not_executable_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), 0o644);
    assert_eq!(runnable("", &path), Err(Refused::NotExecutable(path.clone().into())));
    assert_eq!(runnable("", "/none/such"), Err(Refused::NotFound("/none/such".into())));
    assert_eq!(runnable("", "none-such.sh"), Err(Refused::NotFound("none-such.sh".into())));
    let nobody = format!("{path} none-such-user");
    assert_eq!(runnable("", &nobody), Err(Refused::NoUser("none-such-user".into())));
}

#[test]
fn with_security_nothing_that_others_can_write_runs_as_root() {
    lab::need!(root);
    let directory = tempfile::tempdir().unwrap();
    let secure = "script_user root\nenable_script_security";
    let path = script(directory.path(), 0o755);
    assert!(runnable(secure, &path).is_ok(), "/tmp has the sticky bit");
    let open = |mode| {
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(0o777);
    let refused = Refused::Unsafe { script: path.clone().into(), place: directory.path().into() };
    assert_eq!(runnable(secure, &path), Err(refused));
    assert!(runnable("script_user root", &path).is_ok(), "without it only a warning");
    assert!(runnable("script_user daemon\nenable_script_security", &path).is_ok(), "not as root");
    open(0o755);
    script(directory.path(), 0o757);
    let refused = Refused::Unsafe { script: path.clone().into(), place: path.clone().into() };
    assert_eq!(runnable(secure, &path), Err(refused));
}
