//! The encoders at hand, and which one suits a collection.

use std::path::Path;
use std::sync::Arc;

use super::{Embedder, device, from_folder, minilm, multilingual};
use crate::settings::DeviceChoice;
use crate::text::cjk_share;

/// Share of Korean, Chinese or Japanese letters from which a document needs the multilingual model:
/// more than a few names in English text.
const ENOUGH_CJK: f32 = 0.05;

/// The built-in encoders, and the one the user named, if any.
#[derive(Clone)]
pub struct Models {
    asked: Option<Arc<dyn Embedder>>,
    builtin: [Arc<dyn Embedder>; 2],
}

impl Models {
    /// `auto`, `minilm`, `multilingual`, or a folder in Hugging Face layout. Nothing is loaded yet.
    ///
    /// # Errors
    /// A folder that is no model, and a device this program was not built for.
    pub fn new(choice: &str, device: DeviceChoice) -> anyhow::Result<Self> {
        device::check(device)?;
        let builtin: [Arc<dyn Embedder>; 2] = [
            Arc::new(minilm().on(device)),
            Arc::new(multilingual().on(device)),
        ];
        let asked: Option<Arc<dyn Embedder>> = match choice {
            "auto" => None,
            "minilm" => Some(Arc::clone(&builtin[0])),
            "multilingual" => Some(Arc::clone(&builtin[1])),
            folder => Some(Arc::new(from_folder(Path::new(folder))?.on(device))),
        };
        Ok(Self { asked, builtin })
    }

    /// The one the user named; `None` when Squall is to choose.
    pub fn asked(&self) -> Option<&Arc<dyn Embedder>> {
        self.asked.as_ref()
    }

    /// Every encoder at hand, the one the user named first.
    pub fn all(&self) -> Vec<Arc<dyn Embedder>> {
        let asked = self.asked.iter();
        let others = self.builtin.iter().filter(|model| {
            self.asked
                .as_ref()
                .is_none_or(|asked| asked.fingerprint() != model.fingerprint())
        });
        asked.chain(others).cloned().collect()
    }

    /// The encoder for a new collection whose first documents read like `texts`, and why. The
    /// user's word comes before Squall's.
    pub fn choose<'t>(
        &self,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> (Arc<dyn Embedder>, String) {
        if let Some(asked) = &self.asked {
            return (Arc::clone(asked), "it was asked for".into());
        }
        let share = texts.into_iter().map(cjk_share).fold(0.0, f32::max);
        if share >= ENOUGH_CJK {
            let percent = (share * 100.0).round();
            let why = format!(
                "{percent}% of the letters in one of the first documents are Korean, Chinese or Japanese"
            );
            (Arc::clone(&self.builtin[1]), why)
        } else {
            let why = "the first documents hold no Korean, Chinese or Japanese".into();
            (Arc::clone(&self.builtin[0]), why)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_first_documents_decides() {
        let models = Models::new("auto", DeviceChoice::Cpu).unwrap();
        let chosen = |texts: &[&str]| models.choose(texts.iter().copied()).0.name().to_owned();
        assert_eq!(chosen(&["The budget was approved."]), "minilm");
        assert_eq!(chosen(&["The budget.", "예산을 승인했다."]), "multilingual");
        assert_eq!(
            chosen(&[
                "A long English text on the city of Seoul and its river, the Han (한), and more of it"
            ]),
            "minilm"
        );
        assert_eq!(chosen(&[]), "minilm");
        let asked = Models::new("minilm", DeviceChoice::Cpu).unwrap();
        assert_eq!(asked.choose(["예산"]).0.name(), "minilm");
        assert_eq!(asked.all().len(), 2);
    }
}
