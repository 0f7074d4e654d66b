//! Part 1: login and refresh.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use harness::wait_for;
use serde_json::{Value, json};

use crate::client::{Reply, Server, server, unique};
use crate::socket::Socket;

fn claims(token: &str) -> Value {
    let middle = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(middle).unwrap()).unwrap()
}

fn seconds_left(claims: &Value) -> f64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    claims["exp"].as_f64().unwrap() - now
}

fn renew(server: &Server, header: Option<&str>, refresh: &str) -> Reply {
    let body = json!({ "refresh_token": refresh }).to_string();
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(header.map(|header| ("Authorization", header)));
    server.send("POST", "/login", &headers, Some(body.as_bytes()))
}

#[test]
fn tokens_say_who_and_how_long() {
    let server = server();
    let access = claims(&server.token);
    assert_eq!(access["user_name"], server.user.as_str());
    assert!(
        access["id"].is_i64() && access["email"].is_string(),
        "{access}"
    );
    assert!(
        access["roles"].as_array().unwrap().contains(&json!("user")),
        "{access}"
    );
    let left = seconds_left(&access);
    assert!((14_100.0..=14_400.0).contains(&left), "{left}");
    let refresh = claims(&server.refresh);
    assert_eq!(refresh["id"], access["id"]);
    assert_eq!(refresh.as_object().unwrap().len(), 2, "{refresh}");
    assert!(seconds_left(&refresh) > 8_700.0 * 3_600.0);

    let email = json!({ "email": access["email"], "password": server.password });
    assert_eq!(
        claims(server.login(email).ok()["access_token"].as_str().unwrap())["id"],
        access["id"]
    );
}

#[test]
fn refused_logins_are_200_with_an_error_inside() {
    let server = server();
    let (user, email) = (&server.user, &claims(&server.token)["email"]);
    for body in [
        json!({ "username": user, "password": unique() }),
        json!({ "username": unique(), "password": "x" }),
        json!({ "username": "inactive", "password": "inactive" }),
        json!({ "username": email, "password": server.password }),
        json!({ "email": user, "password": server.password }),
        json!({ "username": "", "email": email, "password": server.password }),
    ] {
        assert_eq!(
            server.login(body.clone()).ok(),
            json!({ "error": "Invalid Login" }),
            "{body}"
        );
    }
    for body in [
        json!({ "username": user }),
        json!({ "username": user, "password": "" }),
        json!({ "password": server.password }),
        json!({}),
        json!([]),
    ] {
        server.login(body).is_page(400, "Provide credentials");
    }
    let headers = [("Content-Type", "application/json")];
    server
        .send("POST", "/login", &headers, Some(b"{\"a"))
        .is_page(400, "could not understand");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    server
        .send("POST", "/login", &headers, Some(b"username=x"))
        .is_page(400, "");
    let form = format!("username={user}&password={}", unique());
    server
        .send("POST", "/login", &headers, Some(form.as_bytes()))
        .is_page(200, "Login");
    let form = format!("username={user}&password={}", server.password);
    assert_eq!(
        server
            .send("POST", "/login", &headers, Some(form.as_bytes()))
            .status,
        302
    );
}

#[test]
fn a_refresh_gives_an_access_token_alone() {
    let server = server();
    let bearer = format!("Bearer {}", server.token);
    let answer = renew(&server, Some(&bearer), &server.refresh).ok();
    assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
    let fresh = answer["access_token"].as_str().unwrap();
    let headers = [("Authorization", &*format!("Bearer {fresh}"))];
    server.send("GET", "/api/languages", &headers, None).ok();

    renew(&server, None, &server.refresh)
        .is_page(400, "Need authorization header to refresh token");
    renew(&server, Some("Basic x"), &server.refresh).is_page(400, "Invalid authorization header");
    renew(&server, Some("Bearer x"), &server.refresh).is_page(400, "Invalid token");
    renew(&server, Some(&bearer), "x").is_page(400, "Invalid refresh token");
    renew(&server, Some(&bearer), &server.token).is_page(400, "Invalid refresh token");
    if let Some(other) = server.token_of("user") {
        let other = format!("Bearer {other}");
        renew(&server, Some(&other), &server.refresh).is_page(400, "Inconsistent tokens");
    }
}

#[test]
fn an_expired_token_is_good_for_a_refresh_only() {
    let settings = sandbox::Settings {
        token_seconds: 4,
        ..Default::default()
    };
    let Some(server) = crate::client::sandbox_only(settings, "a short-lived token") else {
        return;
    };
    let mut socket = Socket::open(&server);
    wait_for("the token's end", Duration::from_secs(30), || {
        (server.get("/api/languages").status == 401).then_some(())
    });
    assert!(Socket::with(&server, &server.token, None).is_err());
    renew(
        &server,
        Some(&format!("Bearer {}", server.token)),
        &server.refresh,
    )
    .ok();
    // The engine looked at the token once, at the handshake.
    assert!(
        socket
            .error("none/x.epub", json!({}))
            .contains("does not exists")
    );
}

#[test]
fn without_a_good_token_nothing_is_told() {
    let server = server();
    let guest = server.token_of("guest");
    let mut tokens = vec![
        None,
        Some("bearer garbage".to_owned()),
        Some("bearer ".to_owned()),
    ];
    tokens.extend(guest.as_ref().map(|token| Some(format!("bearer {token}"))));
    for token in &tokens {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(
            token
                .as_ref()
                .map(|token| ("Authorization", token.as_str())),
        );
        let get = |path| server.send("GET", path, &headers, None);
        get("/api/ebooks").is_message(401, "Access denied");
        get("/api/search/x").is_message(401, "Access denied");
        get("/api/ebooks/index/x").is_page(401, "Access denied");
        let post = |path| server.send("POST", path, &headers, Some(b"{}"));
        post("/api/upload/check").is_page(401, "Access denied");
        post("/api/ebooks/1/add-upload").is_page(401, "Access denied");
        post("/api/ebooks").is_message(401, "Access denied");
    }
    let scheme = [("Authorization", &*format!("BEARER {}", server.token))];
    server.send("GET", "/api/languages", &scheme, None).ok();
    let query = format!("/api/languages?bearer_token={}", server.token);
    server.send("GET", &query, &[], None).ok();

    let mut tokens = vec![String::new(), "garbage".to_owned(), server.refresh.clone()];
    tokens.extend(guest);
    for token in tokens {
        match Socket::with(&server, &token, None).map_err(|e| *e) {
            Err(tungstenite::Error::Http(answer)) => {
                assert_eq!(answer.status(), 401);
                assert_eq!(answer.body().as_deref(), Some(&b"401: Unauthorized"[..]));
            }
            other => panic!("{token}: {:?}", other.err()),
        }
    }
}
