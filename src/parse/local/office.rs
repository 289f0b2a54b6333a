//! Office documents: Word, PowerPoint, Excel and OpenDocument, of this century and the last.

pub mod doc;
pub mod docx;
mod drawing;
pub mod odf;
pub mod ods;
pub mod ole;
pub mod ppt;
pub mod pptx;
pub mod properties;
pub mod rtf;
pub mod sheet;
