//! Names of models as users write them: "cas-register", "cas-register(nil=absent;initial=0)".

use crate::error::{Error, Result};

/// A name and its options, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    pub name: String,
    pub options: Vec<(String, String)>,
}

impl Spec {
    /// Parse "NAME" or "NAME(OPTION=VALUE;FLAG)". "initial" is another word for "init".
    pub fn parse(text: &str) -> Result<Spec> {
        let wrong = || {
            Error::new(format!(
                "model {text:?}: write NAME or NAME(OPTION=VALUE;...)"
            ))
        };
        let text = text.trim();
        let (name, inside) = match text.split_once('(') {
            None => (text, ""),
            Some((name, rest)) => (name.trim_end(), rest.strip_suffix(')').ok_or_else(wrong)?),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong());
        }
        let mut options = Vec::new();
        for part in inside
            .split(';')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (option, value) = part.split_once('=').unwrap_or((part, ""));
            let option = if option.trim() == "initial" {
                "init"
            } else {
                option.trim()
            };
            if options.iter().any(|(known, _)| known == option) {
                return Err(Error::new(format!(
                    "model {text:?}: {option} is given twice"
                )));
            }
            options.push((option.to_string(), value.trim().to_string()));
        }
        Ok(Spec {
            name: name.to_string(),
            options,
        })
    }

    pub fn get(&self, option: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(name, _)| name == option)
            .map(|(_, value)| value.as_str())
    }

    /// Err unless every option is one of `known`.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        for (option, _) in &self.options {
            if !known.contains(&option.as_str()) {
                let known = if known.is_empty() {
                    "none".to_string()
                } else {
                    known.join(", ")
                };
                return Err(Error::new(format!(
                    "model {} has no option {option:?} (known: {known})",
                    self.name
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_options() {
        let spec = Spec::parse("cas-register(nil=absent; initial=0)").unwrap();
        assert_eq!(spec.name, "cas-register");
        assert_eq!(spec.get("init"), Some("0"));
        assert_eq!(spec.get("nil"), Some("absent"));
        assert!(spec.only(&["init"]).is_err());
        assert_eq!(
            Spec::parse("counter(bounds)").unwrap().get("bounds"),
            Some("")
        );
        for wrong in ["", "a b", "x(init=1", "x(init=1;initial=2)"] {
            assert!(Spec::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
