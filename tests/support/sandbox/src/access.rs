//! Who asks, and whether that one may.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_postgres::{Client, Row};

use crate::failure::Failure;
use crate::request::query_value;
use crate::{App, token};

/// A row of table user with its roles, inherited ones included.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) user_name: String,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) active: bool,
    pub(crate) roles: Vec<String>,
}

impl User {
    /// What `where` must be followed by one parameter for.
    pub(crate) const SELECT: &str = "select id, user_name, email, password, \
        coalesce(active, false), array(select user_roles(id))::text[] from \"user\" where ";

    pub(crate) fn from_row(row: &Row) -> Self {
        Self {
            id: row.get(0),
            user_name: row.get(1),
            email: row.get(2),
            password: row.get(3),
            active: row.get(4),
            roles: row.get(5),
        }
    }

    pub(crate) async fn by_id(
        client: &Client,
        id: i64,
    ) -> Result<Option<Self>, tokio_postgres::Error> {
        let sql = format!("{}id = $1", Self::SELECT);
        Ok(client
            .query_opt(&sql, &[&id])
            .await?
            .as_ref()
            .map(Self::from_row))
    }

    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }

    /// Own things may be changed by a user, others' only by a superuser.
    pub(crate) fn may_change(&self, created_by: Option<i64>) -> Result<(), Failure> {
        if self.has_role("superuser") || created_by == Some(self.id) {
            Ok(())
        } else {
            Err(Failure::forbidden())
        }
    }
}

/// The user behind a request to the API, who has role user; anybody else gets 401.
///
/// From here to its end the request holds a database connection of the server's pool, even while
/// its body is still on the way: slow uploads can starve all others.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) user: User,
    _connection: OwnedSemaphorePermit,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let given = query_value(parts.uri.query(), "bearer_token").filter(|t| !t.is_empty());
        let token = given
            .or_else(|| bearer(parts))
            .ok_or_else(Failure::denied)?;
        let claims = token::read_access(&token, false).ok_or_else(Failure::denied)?;
        let id = claims["id"].as_i64().ok_or_else(Failure::denied)?;
        let patience = Duration::from_millis(app.settings.pool_millis);
        let connection = timeout(patience, Arc::clone(&app.pool).acquire_owned()).await;
        let connection = connection
            .map_err(Failure::internal)?
            .map_err(Failure::internal)?;
        let user = User::by_id(&*app.database.get().await?, id).await?;
        match user {
            Some(user) if user.active && user.has_role("user") => Ok(Self {
                user,
                _connection: connection,
            }),
            _ => Err(Failure::denied()),
        }
    }
}

fn bearer(parts: &Parts) -> Option<String> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case("bearer ")
        .then(|| token.trim().to_owned())
}
