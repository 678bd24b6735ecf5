use std::time::Duration;

use super::Server;
use super::client::{Client, VERSION_3_0, startup};
use crate::wire::double::PASSWORD;
use crate::wire::options::WireOptions;

#[tokio::test]
async fn peers_that_do_not_log_in_are_few() {
    let options = WireOptions { unauthenticated_per_address: 2, ..WireOptions::default() };
    let server = Server::with(options, false).await;
    let first = Client::connect(server.address).await;
    let _second = Client::connect(server.address).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = Client::connect(server.address).await;
    assert_eq!(third.until_ready().await, ["E(FATAL 53300 too many connections are waiting to log in)", "closed"]);
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.client().await;
}

#[tokio::test]
async fn sessions_are_limited_by_user_and_some_are_kept_for_administrators() {
    let options = WireOptions { max_connections: 4, reserved_connections: 1, connections_per_user: 2, ..WireOptions::default() };
    let server = Server::with(options, false).await;
    let clients = [server.client().await, server.client().await];
    let mut third = Client::connect(server.address).await;
    third.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
    third.authenticate(PASSWORD, None).await;
    assert_eq!(third.until_ready().await[2], "E(FATAL 53300 too many connections for role \"ada\")");
    let _administrators = [Client::login(server.address, "root").await, Client::login(server.address, "root").await];
    drop(clients);
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.client().await;
}

#[tokio::test]
async fn passwords_cannot_be_guessed_at_speed() {
    let server = Server::start().await;
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let address = server.address;
        tries.spawn(async move {
            let mut client = Client::connect(address).await;
            client.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
            client.authenticate("wrong", None).await;
            client.until_ready().await
        });
    }
    while let Some(replies) = tries.join_next().await {
        assert_eq!(replies.unwrap()[0], "E(FATAL 28P01 password authentication failed for user \"ada\")");
    }
    // Also the right one is not looked at any more, and reads like a wrong one.
    let mut client = Client::connect(server.address).await;
    client.send(&startup(VERSION_3_0, &[("user", "ada")])).await;
    client.authenticate(PASSWORD, None).await;
    assert_eq!(client.until_ready().await[0], "E(FATAL 28P01 password authentication failed for user \"ada\")");
    Client::login(server.address, "root").await;
}
