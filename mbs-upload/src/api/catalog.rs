//! What the server has: its languages and genres, asked once; its series and the genres
//! behind other names, learned on the way.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::{
    api::Api,
    metadata::language::{Language, Languages},
    model::failure::Failure,
};

/// Names remembered at most; a library may have any number of tags.
const REMEMBERED: usize = 100_000;

/// The server's languages, genres and series as far as they are known.
#[derive(Debug)]
pub struct Catalog {
    /// All its languages.
    pub languages: Languages,
    learned: Mutex<Learned>,
}

#[derive(Debug, Default)]
struct Learned {
    /// By lower-case name; nothing for a tag that is no genre.
    genres: HashMap<String, Option<i64>>,
    /// By exact title.
    series: HashMap<String, i64>,
}

impl Catalog {
    /// Asks the server.
    pub fn ask(api: &dyn Api) -> Result<Catalog, Failure> {
        let languages = rows(&api.get("/api/languages")?)?
            .iter()
            .filter_map(|row| {
                let code = row.get("code")?.as_str()?.to_string();
                Some(Language {
                    id: row.get("id")?.as_i64()?,
                    code,
                })
            })
            .collect();
        let genres = rows(&api.get("/api/genres")?)?
            .iter()
            .filter_map(|row| {
                Some((
                    lower(row.get("name")?.as_str()?),
                    Some(row.get("id")?.as_i64()?),
                ))
            })
            .collect();
        let learned = Learned {
            genres,
            ..Learned::default()
        };
        Ok(Catalog {
            languages: Languages {
                offered: languages,
                default: None,
            },
            learned: learned.into(),
        })
    }

    /// The genre behind a tag: `Some(None)` when it is known to be none, nothing when the server has
    /// to be asked.
    pub fn genre(&self, tag: &str) -> Option<Option<i64>> {
        self.lock().genres.get(&lower(tag)).copied()
    }

    /// The row of a series, where it is known.
    pub fn series(&self, title: &str) -> Option<i64> {
        self.lock().series.get(title).copied()
    }

    /// Learns which genre a tag is.
    pub fn learn_genre(&self, tag: &str, id: Option<i64>) {
        let mut learned = self.lock();
        if learned.genres.len() < REMEMBERED {
            learned.genres.insert(lower(tag), id);
        }
    }

    /// Learns the row of a series.
    pub fn learn_series(&self, title: &str, id: i64) {
        let mut learned = self.lock();
        if learned.series.len() < REMEMBERED {
            learned.series.insert(title.into(), id);
        }
    }

    /// Somebody may have merged or removed series.
    pub fn forget_series(&self, title: &str) {
        self.lock().series.remove(title);
    }

    fn lock(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lower(name: &str) -> String {
    name.trim().to_lowercase()
}

fn rows(value: &Value) -> Result<&Vec<Value>, Failure> {
    let no_list = || Failure::Server("the answer is no list: is this a MyBookshelf2 API?".into());
    value.as_array().ok_or_else(no_list)
}
