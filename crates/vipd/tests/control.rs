//! `vipd status`, `why`, `events`, `plan`, `resign`: a running daemon is asked, and watched from outside.
#![expect(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod scene;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};

use lab::Process;

use scene::{Advertisement, PATIENCE, Scene, Scripts, fast, vipd};

const SOCKET: &str = "/run/vipd/control";

/// The answer of `vipd ARGUMENTS` on the daemon's host: its output, and its exit code.
fn ask(scene: &Scene, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(vipd());
    let Output { status, stdout, stderr } = scene.node.output(command.args(arguments)).unwrap();
    let text = [stdout, stderr].concat();
    (String::from_utf8(text).unwrap(), status.code())
}

#[test]
fn status_and_why_tell_what_is_seen_outside() {
    lab::need!(netns);
    let scene = Scene::new();
    let (text, code) = ask(&scene, &["status"]);
    assert!(code == Some(2) && text.contains("no vipd runs here"), "{text}");
    let mut daemon = scene.start(&fast("web", 9, "192.0.2.109"));
    assert_eq!(scene.advertisement().priority(), 100);
    let there = || scene.has("192.0.2.109").then_some(());
    assert!(lab::eventually(PATIENCE, there).is_some());
    let (text, code) = ask(&scene, &["status"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("web: virtual router 9 on eth0") && text.contains("master"), "{text}");
    let (text, _) = ask(&scene, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let web = &json["virtual_routers"][0];
    assert_eq!(
        (&web["name"], &web["state"], &web["priority"]),
        (&"web".into(), &"master".into(), &100.into())
    );
    assert_eq!(web["addresses"].as_array().unwrap().len(), 1, "{text}");
    let (text, _) = ask(&scene, &["why", "web"]);
    assert!(text.starts_with("web is master: "), "{text}");
    let (text, code) = ask(&scene, &["why", "wbe"]);
    assert!(code == Some(1) && text.contains("there is no `wbe`"), "{text}");
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
    assert_eq!(ask(&scene, &["status"]).1, Some(2), "the socket is gone");
}

#[test]
fn who_resigns_releases_and_comes_back_when_asked() {
    lab::need!(netns);
    let scene = Scene::new();
    let scripts = Scripts::new();
    let log = scripts.path("log.sh");
    let lines = format!("notify {}\nadvert_int", log.display());
    let mut daemon = scene.start(&fast("web", 9, "192.0.2.109").replace("advert_int", &lines));
    scene.advertisement();
    let mut follower = Command::new(vipd());
    let follower =
        Process::start(&scene.node, "follower", follower.args(["events", "--follow"])).unwrap();
    // It follows when it has seen something: until then it may not have begun.
    let mut told = None;
    while told.is_none() {
        let (text, code) = ask(&scene, &["resign", "web"]);
        assert_eq!(code, Some(0), "{text}");
        let farewell = scene
            .capture
            .find(PATIENCE, |frame| Advertisement::of(frame).filter(|one| one.priority() == 0));
        assert!(farewell.unwrap().is_some());
        assert!(!scene.has("192.0.2.109"));
        assert_eq!(ask(&scene, &["campaign", "web"]).1, Some(0));
        let back = scene
            .capture
            .find(PATIENCE, |frame| Advertisement::of(frame).filter(|one| one.priority() == 100));
        assert!(back.unwrap().is_some());
        told = follower.lines().into_iter().find(|line| line.text.contains("web: "));
    }
    let logged = scripts.next(0, 5, &daemon);
    assert_eq!(
        logged[..4],
        ["BACKUP", "MASTER", "STOP", "BACKUP"].map(|state| format!("INSTANCE web {state} 100"))
    );
    assert_eq!(ask(&scene, &["resign", "wbe"]).1, Some(1));
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}

#[test]
fn a_plan_says_what_a_reload_would_do_and_does_nothing() {
    lab::need!(netns);
    let scene = Scene::new();
    let (stays, leaves) = (fast("stays", 7, "192.0.2.107"), fast("leaves", 8, "192.0.2.108"));
    let mut daemon = scene.start(&(stays.clone() + &leaves));
    scene.advertisement();
    let file = scene.directory.path().join("new one.conf");
    let plan = |text: &str| {
        std::fs::write(&file, text).unwrap();
        ask(&scene, &["plan", file.to_str().unwrap()])
    };
    let (text, code) = plan(
        &(stays.replace("advert_int", "priority 7\nadvert_int") + &fast("comes", 9, "192.0.2.109")),
    );
    assert_eq!(code, Some(0));
    for line in
        ["stays: changes while it runs", "leaves: leaves", "comes: comes", "virtual servers stay"]
    {
        assert!(text.contains(line), "{line} in {text}");
    }
    let (text, _) = plan(&(stays.clone() + &leaves));
    assert!(text.contains("virtual routers stay as they are"), "{text}");
    let (text, code) = plan("vrrp_instance x {\n");
    assert!(code == Some(1) && text.contains("is not run"), "{text}");
    assert!(!daemon.log().contains("released"), "{}", daemon.log());
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}

#[test]
fn hostile_clients_hold_nobody_up() {
    lab::need!(netns);
    let scene = Scene::new();
    let mut daemon = scene.start(&fast("web", 9, "192.0.2.109"));
    scene.advertisement();
    let connect = || scene.node.run(|| UnixStream::connect(SOCKET).unwrap());
    // Some say nothing, some never end, some never read.
    let mut clients: Vec<UnixStream> = (0..40).map(|_| connect()).collect();
    for client in clients.iter_mut().skip(5) {
        // The end of the crowd is sent away at once.
        client.write_all(&[b'x'; 100]).unwrap_or_default();
    }
    scene.capture.drain().unwrap();
    for _ in 0..10 {
        assert_eq!(scene.advertisement().priority(), 100);
    }
    // Those who wait are sent away after their time.
    let answered = || (ask(&scene, &["status"]).0.contains("web: ")).then_some(());
    assert!(lab::eventually(PATIENCE, answered).is_some());
    drop(clients);
    // Questions that are none.
    for question in
        ["\n", "\u{1b}[2J\n", "why\n", "drain a b c\n", "plan\n", "plan /dev/zero\n", "plan /\n"]
    {
        let mut client = connect();
        client.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut client, &mut answer).unwrap_or_default();
        assert!(answer.starts_with("error: "), "{question:?}: {answer}");
    }
    assert_eq!(scene.advertisement().priority(), 100);
    assert_eq!(daemon.terminate().unwrap().code(), Some(0), "{}", daemon.log());
}
