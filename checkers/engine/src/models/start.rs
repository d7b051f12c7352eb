//! What objects hold at first, and what a read of nil says: the options `init` and `nil`.

use crate::error::{Error, Result};
use crate::spec::Spec;
use crate::values::{Val, Values};

/// A value as it was typed in an option. It need not occur in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    Nil,
    Bool(bool),
    Int(i64),
    Text(String),
}

impl Typed {
    /// A word of JSON or EDN, or a bare word, which is text.
    pub fn parse(text: &str) -> Typed {
        match text {
            "nil" | "null" | "" => Typed::Nil,
            "true" => Typed::Bool(true),
            "false" => Typed::Bool(false),
            _ => match text.parse() {
                Ok(number) => Typed::Int(number),
                Err(_) => Typed::Text(text.trim_matches('"').to_string()),
            },
        }
    }

    /// The number of the value in a history; `NOWHERE` for one that never occurs there.
    pub fn find(&self, values: &Values) -> Val {
        match self {
            Typed::Nil => Val::NIL,
            Typed::Bool(yes) => values.boolean(*yes),
            Typed::Int(number) => values.find_int(*number).unwrap_or(NOWHERE),
            Typed::Text(text) => values.find_string(text).unwrap_or(NOWHERE),
        }
    }

    /// The word that parses to this.
    pub fn text(&self) -> String {
        match self {
            Typed::Nil => "nil".to_string(),
            Typed::Bool(yes) => yes.to_string(),
            Typed::Int(number) => number.to_string(),
            Typed::Text(text) => text.clone(),
        }
    }
}

/// A word for a value that no operation of the history has. Only to be compared.
pub const NOWHERE: Val = Val(u32::MAX - 1);

/// The whole number that an option gives.
pub fn whole(spec: &Spec, option: &str, default: i64) -> Result<i64> {
    match spec.get(option) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            Error::new(format!(
                "model {}: {option} is a whole number, not {text:?}",
                spec.name
            ))
        }),
    }
}

/// One of the words that an option can be; the first one is the default.
pub fn word<'a>(spec: &Spec, option: &str, words: &[&'a str]) -> Result<&'a str> {
    let Some(given) = spec.get(option) else {
        return Ok(words.first().copied().unwrap_or(""));
    };
    words
        .iter()
        .copied()
        .find(|word| *word == given)
        .ok_or_else(|| {
            Error::new(format!(
                "model {}: {option} is one of {}, not {given:?}",
                spec.name,
                words.join(", ")
            ))
        })
}

/// `nil=unknown`: an ok read of nil says nothing. Else it saw that nothing is there.
pub fn nil_unknown(spec: &Spec) -> Result<bool> {
    Ok(word(spec, "nil", &["absent", "unknown"])? == "unknown")
}

/// A name with those options that were given, as `Spec::parse` reads it.
pub fn named(spec: &Spec) -> String {
    if spec.options.is_empty() {
        return spec.name.clone();
    }
    let options: Vec<String> = spec
        .options
        .iter()
        .map(|(option, value)| match value.as_str() {
            "" => option.clone(),
            value => format!("{option}={value}"),
        })
        .collect();
    format!("{}({})", spec.name, options.join(";"))
}
