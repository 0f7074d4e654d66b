use super::*;
use crate::claims::lock;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The port of an address like `http://127.0.0.1:5000` or `ws://127.0.0.1:5000/ws`.
pub(crate) fn port(url: &str) -> u16 {
    let rest = url.rsplit_once(':').unwrap().1;
    rest.split('/').next().unwrap().parse().unwrap()
}

/// Takes connections and hands each to `handle` on a thread of its own; gives the port.
pub(crate) fn listen(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(stream.unwrap()));
        }
    });
    port
}

pub(crate) fn short_reads(stream: &TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(3)))
        .unwrap();
    stream.set_nodelay(true).unwrap();
}

/// Copies what has come from one end to the other; false at the end.
pub(crate) fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 16384];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => to
            .write_all(&buffer[..count])
            .and_then(|()| to.flush())
            .is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

fn relay(mut client: impl Read + Write, mut server: TcpStream) {
    short_reads(&server);
    loop {
        let (up, down) = (
            pass(&mut client, &mut server),
            pass(&mut server, &mut client),
        );
        if !up || !down {
            // What the other end had still to say.
            while pass(&mut server, &mut client) && up {}
            return;
        }
    }
}

/// A door with TLS before a server's port.
fn tls_door(config: &Arc<ServerConfig>, inside: u16) -> u16 {
    let config = Arc::clone(config);
    listen(move |stream| {
        short_reads(&stream);
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let server = TcpStream::connect(("127.0.0.1", inside)).unwrap();
        relay(StreamOwned::new(connection, stream), server);
    })
}

/// A self-signed certificate for localhost as PEM, as rcgen or, being an authority too, as openssl makes it,
/// and the addresses of doors with it before the server.
fn doors(bench: &Bench, authority: bool) -> (String, [String; 2]) {
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_string()]).unwrap();
    if authority {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let made = params.self_signed(&signing_key).unwrap();
    let certificate = CertificateDer::from(made.der().to_vec());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let door = |url: &str| tls_door(&config, port(url));
    let api = format!("https://localhost:{}", door(&bench.server.api()));
    let ws = format!("wss://localhost:{}/ws", door(&bench.server.ws()));
    (made.pem(), [api, ws])
}

#[test]
fn https_and_wss_are_spoken_and_certificates_checked() {
    for authority in [false, true] {
        let bench = Bench::new();
        let (pem, [api, ws]) = doors(&bench, authority);
        let trusted = bench.dir.write("ca.pem", pem);
        let books = bench.books(3);
        let run = |books| bench.tool(books).args(["--api", &api, "--ws", &ws]);
        run(&books[..]).env("SSL_CERT_FILE", &trusted).ok();
        bench.holds(&books);
        let why = match authority {
            false => {
                "TLS: no trusted authority vouches for the server's certificate (SSL_CERT_FILE"
            }
            true => {
                "TLS: the server's certificate is an authority of its own, and not trusted (SSL_CERT_FILE"
            }
        };
        let ran = run(&books[..]).code(255);
        ran.one_line(&[&api, why]);
        // Only the engine's certificate is bad.
        let ran = bench.tool(&books).args(["--ws", &ws]).code(255);
        ran.one_line(&[&ws, why]);
        // Trusted, and of another name.
        let other = api.replace("localhost", "127.0.0.1");
        let ran = bench.tool(&books).args(["--api", &other]);
        let ran = ran.env("SSL_CERT_FILE", &trusted).code(255);
        ran.one_line(&[
            &other,
            "TLS: the server's certificate is for",
            "not for 127.0.0.1",
        ]);
        let ran = run(&books[..])
            .env("SSL_CERT_FILE", "/nonexistent")
            .code(255);
        ran.one_line(&[&api, "SSL_CERT_FILE", "/nonexistent"]);
    }
}

#[test]
fn no_proxy_comes_between_by_a_variable_of_the_environment() {
    let bench = Bench::new();
    let books = bench.books(2);
    let mut run = bench.tool(&books);
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        run = run.env(name, "http://127.0.0.1:1");
    }
    run.ok();
    bench.holds(&books);
}

/// A proxy that lets go of the client at the first request that begins with `start`, and passes it
/// on only when `until` says so, as one does whose patience ends before the server's work.
fn impatient(
    inside: u16,
    start: &'static str,
    until: impl Fn() -> bool + Send + Sync + 'static,
) -> u16 {
    let done = AtomicBool::new(false);
    listen(move |mut client| {
        short_reads(&client);
        let mut server = TcpStream::connect(("127.0.0.1", inside)).unwrap();
        short_reads(&server);
        let mut buffer = [0; 65536];
        loop {
            match client.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let request = &buffer[..count];
                    if request.starts_with(start.as_bytes()) && !done.swap(true, Ordering::SeqCst) {
                        // A head without its body is of no use to the server.
                        let mut whole = request.to_vec();
                        while let Ok(more @ 1..) = client.read(&mut buffer) {
                            whole.extend_from_slice(&buffer[..more]);
                        }
                        drop(client);
                        harness::wait_for("the second try", DEADLINE, || until().then_some(()));
                        server.write_all(&whole).unwrap();
                        let _ = server.read(&mut buffer);
                        return;
                    }
                    if server.write_all(request).is_err() {
                        return;
                    }
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            if !pass(&mut server, &mut client) {
                return;
            }
        }
    })
}

/// A server that finishes the first addition only when there are two ebooks: the late one must be there
/// when the tool looks back.
fn waiting_for_two_ebooks() -> Arc<Bench> {
    let bench = Bench::new();
    let wait = "create function wait() returns trigger language plpgsql as
        'begin perform pg_advisory_lock(42); perform pg_advisory_unlock(42); return new; end';
        create trigger wait before insert on source execute function wait()";
    bench.server.execute(wait);
    let mut holder = bench.rival();
    lock(&mut holder, 42);
    let bench = Arc::new(bench);
    let seen = Arc::clone(&bench);
    thread::spawn(move || {
        harness::wait_for("two ebooks", DEADLINE, || {
            (seen.ebooks() == 2).then_some(())
        });
        drop(holder);
    });
    bench
}

#[test]
fn an_ebook_made_late_beside_a_second_one_is_told_of() {
    let bench = waiting_for_two_ebooks();
    let book = bench.book("T", "A", "epub");
    let seen = Arc::clone(&bench);
    let door = impatient(
        port(&bench.server.api()),
        "POST /api/ebooks HTTP",
        move || seen.server.count("POST", "/api/ebooks") == 1,
    );
    let api = format!("http://127.0.0.1:{door}");
    let ran = bench
        .tool(std::slice::from_ref(&book))
        .args(["--api", &api])
        .ok();
    let upload = outcome(&ran, &book);
    let note = json!(["an ebook without a file may have been left"]);
    assert_eq!(
        (&upload["outcome"], &upload["notes"]),
        (&json!("uploaded"), &note)
    );
}

#[test]
fn an_addition_done_late_is_not_done_twice() {
    let bench = Arc::new(Bench::new());
    let book = bench.book("T", "A", "epub");
    let seen = Arc::clone(&bench);
    let door = impatient(
        port(&bench.server.api()),
        "POST /api/ebooks/1/add-upload",
        move || seen.server.count("POST", "/api/ebooks/*/add-upload") == 1,
    );
    let api = format!("http://127.0.0.1:{door}");
    let ran = bench
        .tool(std::slice::from_ref(&book))
        .args(["--api", &api])
        .ok();
    assert_eq!(outcome(&ran, &book)["outcome"], "uploaded");
    bench.holds(&[book]);
}
