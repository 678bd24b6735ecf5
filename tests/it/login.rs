//! Who gets in, by what, and that no secret is left lying about.

use std::fs::File;
use std::path::Path;

use tokio_postgres::NoTls;

use crate::server::{ADMIN_PASSWORD, Server, error_line, rows, run, sqlstate, transcript};

async fn login(server: &Server, user: &str, password: &str) -> String {
    match server.connect(user, password).await {
        Ok(_) => "in".to_string(),
        Err(error) => error_line(&error),
    }
}

#[tokio::test]
async fn what_a_role_may_takes_effect_at_its_next_login() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER ada PASSWORD 'ada-password-1' VALID UNTIL '2000-01-02 03:04:05+00'").await;
    let failed = "error 28P01 password authentication failed for user \"ada\"";
    for (statement, expected) in [
        ("ALTER ROLE ada CONNECTION LIMIT 5", failed),
        ("ALTER ROLE ada VALID UNTIL 'infinity'", "in"),
        ("ALTER ROLE ada CONNECTION LIMIT 0", "error 53300 too many connections for role \"ada\""),
        ("ALTER ROLE ada CONNECTION LIMIT -1 NOLOGIN", "error 28000 role \"ada\" is not permitted to log in"),
        ("ALTER ROLE ada LOGIN PASSWORD NULL", failed),
        ("ALTER ROLE ada PASSWORD 'ada-password-1' VALID UNTIL 'Jan 1 2999'", "in"),
    ] {
        run(&admin, statement).await;
        assert_eq!(login(&server, "ada", "ada-password-1").await, expected, "{statement}");
    }
    let shown = rows(
        &admin,
        "SELECT rolvaliduntil, rolconnlimit, rolcanlogin, (SELECT valuntil FROM pg_user WHERE usename = 'ada') FROM pg_roles WHERE rolname = 'ada'",
    )
    .await;
    let until = Some("2999-01-01 00:00:00+00".to_string());
    assert_eq!(shown, [vec![until.clone(), Some("-1".into()), Some("t".into()), until]]);
    let unlimited = rows(&admin, "SELECT rolvaliduntil FROM pg_authid WHERE rolname = 'admin'").await;
    assert_eq!(unlimited, [vec![None]]);
    assert_eq!(sqlstate(&admin, "ALTER ROLE ada VALID UNTIL 'whenever'").await, "22007");
    let ada = server.user("ada").await;
    assert_eq!(sqlstate(&ada, "ALTER ROLE ada VALID UNTIL 'infinity'").await, "42501");
    assert_eq!(sqlstate(&ada, "ALTER ROLE ada CONNECTION LIMIT 9").await, "42501");
}

#[tokio::test]
async fn tokens_are_shown_once_listed_to_whom_they_belong_and_dropped() {
    let server = Server::start();
    let admin = server.admin().await;
    run(&admin, "CREATE USER ada PASSWORD 'ada-password-1'; CREATE USER bob PASSWORD 'bob-password-1'; CREATE ROLE crew").await;
    let (ada, bob) = (server.user("ada").await, server.user("bob").await);
    let made = rows(&ada, "CREATE TOKEN COMMENT 'nightly' LIFETIME '2 days'").await;
    let secret = made[0][0].clone().unwrap();
    let id = made[0][1].clone().unwrap();
    assert!(secret.starts_with(&format!("lhpat_{id}_")) && secret.len() == 87, "{}", secret.len());

    let listed = rows(&ada, "SHOW TOKENS").await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0][..4], [Some(id.clone()), Some("ada".into()), Some("nightly".into()), Some("ada".into())]);
    assert!(!format!("{listed:?}").contains(&secret));
    assert!(rows(&bob, "SHOW TOKENS").await.is_empty());
    assert_eq!(sqlstate(&bob, "SHOW TOKENS FOR ada").await, "42501");
    assert_eq!(sqlstate(&bob, "CREATE TOKEN FOR ada").await, "42501");
    // What is somebody else's is not there.
    let missing = transcript(&bob, &format!("DROP TOKEN '{id}'")).await;
    assert_eq!(missing, format!("error 42704 token \"{id}\" does not exist"));
    run(&bob, &format!("DROP TOKEN IF EXISTS '{id}'")).await;

    let by_admin = rows(&admin, "CREATE TOKEN FOR bob").await;
    assert_eq!(rows(&bob, "SHOW TOKENS").await[0][3], Some("admin".into()));
    assert_eq!(rows(&admin, "SHOW TOKENS").await.len(), 2);
    assert_eq!(rows(&admin, "SHOW TOKENS FOR ada").await.len(), 1);
    run(&bob, &format!("REVOKE TOKEN '{}'", by_admin[0][1].clone().unwrap())).await;
    run(&admin, &format!("DROP TOKEN '{id}'")).await;
    assert!(rows(&admin, "SHOW TOKENS").await.is_empty());

    for (statement, code) in [
        ("CREATE TOKEN FOR crew", "42809"),
        ("CREATE TOKEN FOR nobody", "42704"),
        ("CREATE TOKEN LIFETIME '731 days'", "22023"),
        ("CREATE TOKEN LIFETIME '-1 day'", "22023"),
        ("CREATE TOKEN LIFETIME 'soon'", "22007"),
        ("CREATE TOKEN COMMENT 'a' COMMENT 'b'", "42601"),
        ("BEGIN; CREATE TOKEN", "0A000"),
    ] {
        assert_eq!(sqlstate(&admin, statement).await, code, "{statement}");
        run(&admin, "ROLLBACK").await;
    }
}

#[tokio::test]
async fn the_unix_socket_lets_users_of_this_machine_in_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let run_dir = dir.path().join("run");
    let config = dir.path().join("lakehold.toml");
    let me = std::process::Command::new("id").arg("-u").output().unwrap().stdout;
    let me = String::from_utf8(me).unwrap();
    let text = format!(
        "[listen]\nunix_socket = {run_dir:?}\n[[auth.rule]]\naddresses = [\"local\"]\nmethod = \"peer\"\nmap = \"ops\"\n\
         [[auth.rule]]\nmethod = \"scram\"\n[[auth.name_map]]\nmap = \"ops\"\nsystem = \"{}\"\nrole = \"admin\"\n",
        me.trim()
    );
    std::fs::write(&config, text).unwrap();
    let server = Server::start_configured(&dir.path().join("data"), &config);
    let connect = async |user: &str| {
        let settings = format!("host={} port={} user={user} dbname=main", run_dir.display(), server.postgres.port());
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await?;
        tokio::spawn(connection);
        Ok::<_, tokio_postgres::Error>(client)
    };
    let admin = connect("admin").await.unwrap();
    assert_eq!(rows(&admin, "SELECT current_user").await, [vec![Some("admin".to_string())]]);
    let address = rows(&admin, "SELECT client_addr FROM pg_stat_activity WHERE pid = pg_backend_pid()").await;
    assert_eq!(address, [vec![None]]);
    let refused = connect("ada").await.map(|_| ()).unwrap_err();
    assert_eq!(error_line(&refused), "error 28000 Peer authentication failed for user \"ada\"");
    drop(admin);
    assert_eq!(login(&server, "admin", ADMIN_PASSWORD).await, "in");
    assert_eq!(server.stop(), 0);
    assert_eq!(std::fs::read_dir(&run_dir).unwrap().count(), 0, "the socket is gone with the server");
}

/// Every file below a directory, as bytes.
fn contents(directory: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            bytes.extend(contents(&path));
        } else if path.is_file() {
            bytes.extend(std::fs::read(&path).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn no_secret_is_logged_shown_or_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("log"));
    let file = File::create(&log).unwrap();
    // As talkative as it gets.
    let server = Server::start_logging(&data, &["telemetry.log_filter=trace"], file.into());
    let admin = server.admin().await;
    let mut seen = String::new();
    for statement in [
        "CREATE USER ada PASSWORD 'canary1-in-create'",
        "ALTER USER ada WITH ENCRYPTED PASSWORD 'canary2-in-alter'",
        "ALTER USER nobody PASSWORD 'canary3-unknown-user'",
        "ALTER USER ada PASSWORD 'canary4-out-of-form' NONSENSE",
        "ALTR USER ada PASSWORD 'canary5-mistyped'",
        "PREPARE p AS ALTER USER ada PASSWORD 'canary6-prepared'",
        "CREATE STORAGE CREDENTIAL s WITH (aws_secret_access_key = 'canary7-storage')",
        "EXPLAIN ALTER USER ada PASSWORD 'canary8-explained'",
    ] {
        seen.push_str(&transcript(&admin, statement).await);
    }
    let secret = rows(&admin, "CREATE TOKEN FOR ada").await[0][0].clone().unwrap();
    let (_, token) = secret.rsplit_once('_').unwrap();
    login(&server, "ada", "canary9-wrong-password").await;
    login(&server, "ada", &secret).await;
    for relation in ["pg_stat_activity", "pg_prepared_statements", "pg_roles", "pg_authid", "pg_shadow", "pg_user", "pg_settings"] {
        seen.push_str(&transcript(&admin, &format!("SELECT * FROM {relation}")).await);
    }
    seen.push_str(&transcript(&admin, "SHOW TOKENS").await);
    seen.push_str(&server.get("/metrics").1);
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("login failed"), "the log is not there");
    // A storage credential's options must be kept to be used; passwords and tokens must not.
    let kept = contents(&data);
    let is_in = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let canaries: Vec<String> = (1..=9).map(|number| format!("canary{number}-")).chain([token.to_string()]).collect();
    for canary in canaries {
        for (place, text) in [("log", &log), ("answers", &seen)] {
            let at = text.find(&canary).map(|at| text[at.saturating_sub(200)..].chars().take(300).collect::<String>());
            assert!(at.is_none(), "{canary} in the {place}: {at:?}");
        }
        assert!(canary == "canary7-" || !is_in(&kept, &canary), "{canary} in the data directory");
    }
    assert!(!log.contains(ADMIN_PASSWORD) && !is_in(&kept, ADMIN_PASSWORD));
}
