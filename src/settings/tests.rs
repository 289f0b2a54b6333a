use proptest::prelude::*;

use super::*;

fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn dirs() -> DefaultDirs {
    DefaultDirs {
        data: Some("/d".into()),
        cache: Some("/c".into()),
    }
}

fn merge(flags: Layer, pairs: &[(&str, &str)], file: &str) -> anyhow::Result<Settings> {
    Settings::merge(flags, &env(pairs), toml::from_str(file)?, dirs())
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let file = "collection = 'file'\nlanguage = 'fi'\ntop_k = 9";
    let flags = Layer {
        collection: Some("flag".into()),
        ..Layer::default()
    };
    let pairs = [("SQUALL_COLLECTION", "env"), ("STORM_PARSE_LANGUAGE", "ko")];
    let settings = merge(flags, &pairs, file).unwrap();
    assert_eq!(settings.collection, "flag");
    assert_eq!(settings.language.as_deref(), Some("ko"));
    assert_eq!(settings.top_k, 9);
    assert_eq!(settings.poll_interval, Duration::from_secs(2));
}

#[test]
fn a_token_makes_storm_the_default_parser_and_stays_hidden() {
    let settings = merge(Layer::default(), &[("STORM_PARSE_API_KEY", "s3cret")], "").unwrap();
    assert_eq!(settings.parser, ParserChoice::Storm);
    assert!(!format!("{settings:?}").contains("s3cret"));
    let settings = merge(Layer::default(), &[("STORM_API_TOKEN", "  ")], "").unwrap();
    assert_eq!(settings.parser, ParserChoice::Local);
}

#[test]
fn wrong_values_name_the_setting() {
    let message = |flags: Layer, pairs: &[(&str, &str)]| {
        format!("{:#}", merge(flags, pairs, "").unwrap_err())
    };
    let flags = Layer {
        top_k: Some(0),
        ..Layer::default()
    };
    assert!(message(flags, &[]).contains("top_k is 0"));
    let flags = Layer {
        timeout: Some("soon".into()),
        ..Layer::default()
    };
    assert!(message(flags, &[]).contains("timeout: 'soon'"));
    assert!(
        message(Layer::default(), &[("SQUALL_PARSER", "magic")]).contains("storm, local, auto")
    );
    assert!(message(Layer::default(), &[("STORM_API_URL", "ftp://x")]).contains("http://"));
    let hidden = message(Layer::default(), &[("STORM_API_URL", "http://me:pw7@x")]);
    assert!(hidden.contains("user name") && !hidden.contains("pw7"));
    let hidden = message(Layer::default(), &[("STORM_API_TOKEN", "two\nlines7")]);
    assert!(hidden.contains("line breaks") && !hidden.contains("lines7"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(
        file in "(?s).{0,200}", key in "[a-z_]{1,16}", value in "(?s).{0,40}",
    ) {
        let lines = [file, format!("{key} = '{value}'"), format!("{key} = {value}")];
        for text in lines {
            if let Ok(layer) = toml::from_str::<Layer>(&text) {
                let _ = Settings::merge(layer, &HashMap::new(), Layer::default(), dirs());
            }
        }
    }

    #[test]
    fn no_value_makes_the_environment_panic(value in "(?s).{0,40}", number in any::<f64>()) {
        for name in ["SQUALL_PARSER", "STORM_API_URL", "STORM_API_TOKEN", "SQUALL_COLLECTION"] {
            let _ = merge(Layer::default(), &[(name, value.as_str())], "");
        }
        for text in [value.clone(), format!("{number}MB"), number.to_string()] {
            let layer = Layer {
                timeout: Some(text.clone()),
                parser_memory: Some(text.clone()),
                max_bytes: Some(text),
                ..Layer::default()
            };
            let _ = merge(layer, &[], "");
        }
    }
}

#[test]
fn an_unknown_key_in_the_file_is_an_error() {
    assert!(toml::from_str::<Layer>("colection = 'x'").is_err());
}
