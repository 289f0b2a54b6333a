//! Mends the rows of collections: the model a damaged one was made with is found out by embedding.

use std::sync::Arc;

use rusqlite::params;

use super::best::dot;
use super::search::floats;
use super::sqlite::EmbeddedStore;
use super::{ModelIdentity, Repaired, sums};
use crate::embed::{Embedder, Role};

/// Chunks embedded to find out whether a model is the one a collection was made with.
const SAMPLES: usize = 3;
/// Cosine from which two vectors of the same text come from the same model: int8 kernels differ a
/// little between processors.
const SAME: f32 = 0.98;

impl EmbeddedStore {
    /// A damaged row of a collection would take all its documents along. It is never dropped: where
    /// a model at hand makes the vectors that are stored, it is the model that belongs there.
    pub(super) fn keep_collections(
        &self,
        models: &[Arc<dyn Embedder>],
        yes: bool,
        repaired: &mut Repaired,
    ) -> anyhow::Result<()> {
        let damaged: Vec<(i64, String)> = {
            let db = self.db();
            let mut statement = db.prepare(&format!(
                "SELECT id, name FROM collections c WHERE ({}) IS NOT TRUE OR fingerprint = ''",
                sums::intact("collections", "c")
            ))?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        for (id, name) in damaged {
            if !yes {
                let text = format!("the row of collection '{name}' is damaged: --yes mends it");
                repaired.left.push(text);
            } else if let Some(model) = self.maker(id, models)? {
                self.keep_copy(repaired)?;
                self.write(|tx| {
                    Ok(tx.execute(
                        "UPDATE collections SET model = ?2, fingerprint = ?3, dimension = ?4,
                             generation = max(generation, 0) + 1 WHERE id = ?1",
                        params![id, model.name, model.fingerprint, model.dimension as i64],
                    )?)
                })?;
                repaired.kept_collections.push(name);
            } else {
                repaired.left.push(format!(
                    "collection '{name}' was made with another model: name it, `squall --model \
                     MODEL repair --yes`"
                ));
            }
        }
        Ok(())
    }

    /// The model that makes the vectors of a collection.
    fn maker(
        &self,
        collection: i64,
        models: &[Arc<dyn Embedder>],
    ) -> anyhow::Result<Option<ModelIdentity>> {
        let samples = self.samples(collection)?;
        if samples.is_empty() {
            // The one the row names, damaged as it is; else the one that reads most.
            let named: String = self.db().query_row(
                "SELECT CAST(fingerprint AS TEXT) || CAST(model AS TEXT) FROM collections WHERE id = ?1",
                [collection],
                |row| row.get(0),
            )?;
            let named = models
                .iter()
                .find(|model| named.contains(model.fingerprint()) || named.ends_with(model.name()));
            let chosen = named.or(models.last());
            return Ok(chosen.map(|model| crate::ingest::identity(&**model)));
        }
        for model in models {
            if is_made_by(&samples, &**model)? {
                return Ok(Some(crate::ingest::identity(&**model)));
            }
        }
        Ok(None)
    }

    /// The texts and stored vectors of a few chunks of the collection.
    fn samples(&self, collection: i64) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let db = self.db();
        let mut statement = db.prepare(&format!(
            "SELECT substr(p.text, k.start + 1, k.end - k.start), v.vector
             FROM chunks k JOIN vectors v ON v.chunk_id = k.id
             JOIN pages p ON p.document_id = k.document_id AND p.number = k.page
             WHERE k.collection_id = ?1 AND {} AND {} LIMIT {SAMPLES}",
            sums::intact("pages", "p"),
            sums::intact("vectors", "v")
        ))?;
        let rows = statement.query_map([collection], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Whether `embedder` makes these vectors of these texts.
fn is_made_by(samples: &[(String, Vec<u8>)], embedder: &dyn Embedder) -> anyhow::Result<bool> {
    let texts: Vec<&str> = samples.iter().map(|(text, _)| text.as_str()).collect();
    let vectors = embedder.embed(&texts, Role::Passage)?;
    Ok(samples.iter().zip(vectors).all(|((_, stored), vector)| {
        let stored = floats(stored);
        stored.len() == vector.len() && dot(&stored, &vector) > SAME
    }))
}
