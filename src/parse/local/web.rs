//! What comes from the web and by mail: HTML pages, EPUB books, messages.

pub mod epub;
pub mod html;
pub mod mail;
