//! An empty server: tables, triggers, what a fresh one comes with, and four users.

use anyhow::{Context, Result};
use tokio_postgres::{Client, Config, NoTls};

use crate::settings::Settings;

/// Users and their roles; each one's password is its name. The last one is not active.
const USERS: [(&str, &str, bool); 4] = [
    ("admin", "admin", true),
    ("user", "user", true),
    ("guest", "guest", true),
    ("inactive", "user", false),
];

/// Tables and triggers, full-text search, and rows that are there from the beginning.
pub(crate) const SQL: [&str; 3] = [
    include_str!("sql/schema.sql"),
    include_str!("sql/full_text.sql"),
    include_str!("sql/seed.sql"),
];

/// Makes the database at `config` a server's one, unless it is one already.
pub(crate) async fn set_up(config: &Config, settings: &Settings) -> Result<()> {
    let (client, connection) = config.connect(NoTls).await.context("database: connect")?;
    let connection = tokio::spawn(connection);
    let there = client
        .query_one("select to_regclass('source') is not null", &[])
        .await?;
    if !there.get::<_, bool>(0) {
        for sql in SQL {
            client.batch_execute(sql).await.context("database: fill")?;
        }
        make_users(&client, settings.bcrypt_cost).await?;
    }
    drop(client);
    connection.await?.context("database: close")
}

async fn make_users(client: &Client, cost: u32) -> Result<()> {
    for (name, role, active) in USERS {
        let hash = tokio::task::spawn_blocking(move || bcrypt::hash(name, cost)).await??;
        let email = format!("{name}@example.com");
        let sql = "with made as (
                insert into \"user\" (version_id, created, modified, user_name, email, password,
                    active)
                values (1, now(), now(), $1, $2, $3, $4) returning id)
            insert into user_roles (user_id, role_id)
            select made.id, role.id from made, role where role.name = $5";
        client
            .execute(sql, &[&name, &email, &hash, &active, &role])
            .await?;
    }
    Ok(())
}
