use std::path::PathBuf;

use harness::{Run, Workdir, cluster::Options};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{Server, tcp};

/// An authority of our own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(work: &Workdir, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            file: work.write(format!("{name}.crt"), certificate.pem()),
            issuer: Issuer::new(params, key),
        }
    }

    /// Certificate and key of a server with these names.
    fn vouch(&self, work: &Workdir, names: &[&str]) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            work.write("server.crt", certificate.pem()),
            work.write("server.key", key.serialize_pem()),
        )
    }
}

/// A server that takes nothing but encrypted connections over TCP.
fn encrypted(tls: (PathBuf, PathBuf)) -> Server {
    let server = Server::with(&Options {
        tls: Some(tls),
        hba: vec!["hostnossl all all all reject".into()],
        ..Options::default()
    });
    server.add(1..=2);
    server
}

fn run(server: &Server, query: &str) -> Run {
    server
        .work
        .tool("mbs-hashes")
        .args(["--db", &tcp(server, query)])
        .env("HOME", server.work.path())
}

#[test]
fn each_mode_checks_what_it_promises() {
    let work = Workdir::new();
    let ours = Authority::new(&work, "ours");
    let foreign = Authority::new(&work, "foreign");
    let server = encrypted(ours.vouch(&work, &["localhost"]));
    let (ca, other) = (ours.file.display(), foreign.file.display());
    let by_name = |query: &str| {
        let url = tcp(&server, query).replace("127.0.0.1", "localhost");
        server
            .work
            .tool("mbs-hashes")
            .args(["--db", &url])
            .env("HOME", work.path())
    };
    for query in ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=require"] {
        assert_eq!(run(&server, query).ok().records().len(), 3, "{query}");
    }
    run(&server, &format!("?sslmode=verify-ca&sslrootcert={ca}")).ok();
    by_name(&format!("?sslmode=verify-full&sslrootcert={ca}")).ok();
    by_name("?sslmode=verify-full")
        .env("PGSSLROOTCERT", &ours.file)
        .ok();

    run(&server, "?sslmode=disable")
        .code(255)
        .one_line(&["connect: pg_hba.conf rejects connection", "no encryption"]);
    run(&server, &format!("?sslmode=verify-full&sslrootcert={ca}"))
        .code(255)
        .one_line(&[
            "connect: TLS: the server's certificate is for",
            "localhost",
            "not for 127.0.0.1",
        ]);
    for mode in ["verify-ca", "verify-full", "require"] {
        by_name(&format!("?sslmode={mode}&sslrootcert={other}"))
            .code(255)
            .one_line(&["connect: TLS: no trusted authority vouches for the server's certificate"]);
    }
    by_name("?sslmode=verify-full")
        .code(255)
        .one_line(&["no trusted authority"]);
    by_name("?sslmode=verify-full&sslrootcert=system")
        .code(255)
        .one_line(&["no trusted authority"]);
    by_name("?sslmode=verify-full&sslrootcert=/nonexistent")
        .code(2)
        .one_line(&["sslrootcert /nonexistent: No such file"]);
    let empty = work.write("empty.crt", "");
    by_name(&format!(
        "?sslmode=verify-ca&sslrootcert={}",
        empty.display()
    ))
    .code(2)
    .one_line(&["no certificate in it"]);
    by_name("?sslmode=sometimes")
        .code(2)
        .one_line(&["sslmode is disable, allow, prefer"]);
}

#[test]
fn the_default_root_file_is_libpq_s() {
    let work = Workdir::new();
    let ours = Authority::new(&work, "ours");
    let server = encrypted(ours.vouch(&work, &["127.0.0.1"]));
    std::fs::create_dir(server.work.join(".postgresql")).unwrap();
    std::fs::copy(&ours.file, server.work.join(".postgresql/root.crt")).unwrap();
    run(&server, "?sslmode=verify-full").ok();
}

/// What PostgreSQL's manual tells administrators to make: one certificate, its own authority.
#[test]
fn a_self_signed_certificate_vouches_for_itself_where_it_is_named() {
    let work = Workdir::new();
    let openssl = "openssl req -new -x509 -days 2 -nodes -subj /CN=db.example -addext subjectAltName=DNS:localhost \
                   -out server.crt -keyout server.key 2>/dev/null";
    work.shell(openssl).ok();
    let server = encrypted((work.join("server.crt"), work.join("server.key")));
    let root = work.join("server.crt");
    run(
        &server,
        &format!("?sslmode=verify-ca&sslrootcert={}", root.display()),
    )
    .ok();
    let url = tcp(
        &server,
        &format!("?sslmode=verify-full&sslrootcert={}", root.display()),
    );
    let by_name = url.replace("127.0.0.1", "localhost");
    server.work.tool("mbs-hashes").args(["--db", &by_name]).ok();
    server
        .work
        .tool("mbs-hashes")
        .args(["--db", &url])
        .code(255)
        .one_line(&["certificate is for"]);
}

#[test]
fn a_server_without_tls_is_told_where_it_is_required() {
    let server = Server::start();
    server.add(1..=1);
    for query in ["", "?sslmode=prefer", "?sslmode=allow", "?sslmode=disable"] {
        run(&server, query).ok();
    }
    run(&server, "?sslmode=require")
        .code(255)
        .one_line(&["connect: server does not support TLS"]);
    let ours = Authority::new(&server.work, "ours");
    let query = format!("?sslmode=verify-full&sslrootcert={}", ours.file.display());
    run(&server, &query)
        .code(255)
        .one_line(&["connect: server does not support TLS"]);
    // A Unix socket needs no encryption; libpq does not ask for it there either.
    let socket = format!("{} sslmode=require", server.db());
    server.work.tool("mbs-hashes").args(["--db", &socket]).ok();
}

#[test]
fn an_encrypted_stream_is_the_same_stream() {
    let work = Workdir::new();
    let ours = Authority::new(&work, "ours");
    let server = encrypted(ours.vouch(&work, &["127.0.0.1"]));
    server.sql(&crate::insert(3..=30_000));
    let query = format!("?sslmode=verify-full&sslrootcert={}", ours.file.display());
    let ran = run(&server, &query).ok();
    assert_eq!(ran.stdout, server.mbs_hashes().ok().stdout);
    assert_eq!(ran.summary()["records"], 30_000);
}
