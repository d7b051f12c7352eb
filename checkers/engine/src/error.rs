//! Errors that name what was wrong and where: Python turns them into its `UserError`.

use std::fmt;

use crate::budget::Stop;

/// Something in the input or in the question that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub message: String,
    /// Where in the input: ":LINE:COLUMN" or " at byte N"; empty where no place applies.
    pub place: Place,
    /// The budget was used up, or the user wants to stop: nothing is wrong with the input.
    pub stop: Option<Stop>,
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Error {
        Error {
            stop: Some(stop),
            ..Error::new(format!("stopped: {}", stop.text()))
        }
    }
}

/// A place in a file. Lines and columns count from 1, columns in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    Line { line: u64, column: u64 },
    Byte(u64),
}

impl Error {
    pub fn new(message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            place: Place::Nowhere,
            stop: None,
        }
    }

    pub fn at_line(line: u64, column: u64, message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            place: Place::Line { line, column },
            stop: None,
        }
    }

    pub fn at_byte(byte: u64, message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            place: Place::Byte(byte),
            stop: None,
        }
    }

    /// The message with the file's name and the place before it.
    pub fn in_file(&self, path: &str) -> String {
        match self.place {
            Place::Nowhere => format!("{path}: {}", self.message),
            Place::Line { line, column } => format!("{path}:{line}:{column}: {}", self.message),
            Place::Byte(byte) => format!("{path}: at byte {byte}: {}", self.message),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Nowhere => f.write_str(&self.message),
            Place::Line { line, column } => write!(f, "line {line}:{column}: {}", self.message),
            Place::Byte(byte) => write!(f, "at byte {byte}: {}", self.message),
        }
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;
