//! The command line.

use std::io::Write;
use std::process::Stdio;

use crate::server::{Server, binary};

#[test]
fn a_bad_configuration_exits_64_before_any_port_is_bound() {
    let dir = tempfile::tempdir().unwrap();
    for setting in ["listen.nothing=1", "listen.postgres=nowhere", "engine.memory=12"] {
        let output = binary().args(["serve", "--data-dir"]).arg(dir.path()).args(["--set", setting]).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{setting}: {output:?}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(binary().args(["check-config", "--set", "listen.nothing=1"]).output().unwrap().status.code(), Some(64));
    assert_eq!(binary().args(["check-config"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn an_empty_data_directory_needs_a_password_of_twelve_characters() {
    for password in [None, Some(""), Some("short")] {
        let dir = tempfile::tempdir().unwrap();
        let mut command = binary();
        command.env_remove("LAKEHOLD_ADMIN_PASSWORD");
        if let Some(password) = password {
            command.env("LAKEHOLD_ADMIN_PASSWORD", password);
        }
        command.args(["serve", "--set", "listen.postgres=127.0.0.1:0", "--set", "listen.http=127.0.0.1:0", "--data-dir"]);
        let output = command.arg(dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{password:?}: {output:?}");
    }
}

#[test]
fn help_and_version_exist_for_every_mode() {
    for arguments in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["demo", "--help"],
        vec!["user", "--help"],
        vec!["user", "add", "--help"],
        vec!["check-config", "--help"],
    ] {
        let output = binary().args(&arguments).output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Usage"), "{arguments:?}");
    }
    let version = binary().arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&version.stdout).trim(), concat!("lakehold ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn users_are_managed_offline() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(Server::start_on(dir.path(), &[]).stop(), 0);
    let user = |arguments: &[&str], input: &str| {
        let mut child = binary()
            .arg("user")
            .args(arguments)
            .arg("--data-dir")
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(user(&["add", "ada"], "first-password-1\n").status.success());
    assert!(!user(&["add", "ada"], "first-password-1\n").status.success());
    assert!(!user(&["add", "empty"], "\n").status.success());
    assert!(user(&["password", "ada"], "second-password-1\n").status.success());
    let list = user(&["list"], "");
    assert!(String::from_utf8_lossy(&list.stdout).contains("user\tada"), "{list:?}");

    let server = Server::start_on(dir.path(), &[]);
    runtime.block_on(async {
        assert!(server.connect("ada", "first-password-1").await.is_err());
        assert!(server.connect("ada", "second-password-1").await.is_ok());
    });
    assert!(!user(&["list"], "").status.success(), "the data directory is in use");
}
