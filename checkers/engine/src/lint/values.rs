//! What an operation does with which value, by its name: as far as a lint may presume it.

use smallvec::SmallVec;

use crate::history::History;
use crate::values::Val;

/// What an operation's name says that it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Read,
    /// Its argument replaces what was there.
    Write,
    /// Its argument is the old value and the new one.
    Cas,
    /// Its argument is put beside what is there: into a set, a queue, a list, a log.
    Add,
    Txn,
    Other,
}

pub fn role(f: &str) -> Role {
    match f {
        "read" | "r" | "get" => Role::Read,
        "write" | "w" | "put" => Role::Write,
        "cas" => Role::Cas,
        "add" | "enqueue" | "enq" | "push" | "insert" | "append" | "send" | "offer" => Role::Add,
        "txn" => Role::Txn,
        _ => Role::Other,
    }
}

/// Names of operations whose argument a message is: seen twice it was sent twice, or delivered
/// twice.
pub fn is_message(f: &str) -> bool {
    matches!(f, "enqueue" | "enq" | "send" | "offer")
}

/// A key and a value.
pub type Put = (Val, Val);

/// What the operations of a history do, by row.
pub struct Acts<'a> {
    pub history: &'a History,
    roles: Vec<Role>,
}

impl<'a> Acts<'a> {
    pub fn new(history: &'a History) -> Acts<'a> {
        Acts {
            history,
            roles: history.fs.iter().map(|f| role(f)).collect(),
        }
    }

    pub fn role(&self, row: usize) -> Role {
        let at = self.history.f[row] as usize;
        self.roles.get(at).copied().unwrap_or(Role::Other)
    }

    /// Call `each` with the key and the value of all that the operation puts somewhere, if it
    /// happens.
    #[inline]
    pub fn each_put(&self, row: usize, mut each: impl FnMut(Val, Val)) {
        let h = self.history;
        let (key, arg) = (h.key[row], h.arg[row]);
        match self.role(row) {
            Role::Write | Role::Add if !arg.is_nil() => each(key, arg),
            Role::Cas => {
                if let Some(&[_, new]) = h.values.as_list(arg) {
                    each(key, new);
                }
            }
            // Registers whose operations are called read and write are not told apart by value.
            Role::Txn => self
                .ops(arg)
                .filter(|(name, ..)| matches!(*name, "w" | "append"))
                .for_each(|(_, key, value)| each(key, value)),
            _ => {}
        }
    }

    /// Which values it says it saw where.
    pub fn sees(&self, row: usize) -> SmallVec<[Put; 4]> {
        let h = self.history;
        let (key, result) = (h.key[row], h.result[row]);
        let mut sees = SmallVec::new();
        match self.role(row) {
            Role::Read => {
                sees.push((key, result));
                let items = h.values.as_items(result).unwrap_or(&[]);
                sees.extend(items.iter().map(|&item| (key, item)));
            }
            Role::Txn => {
                for (_, key, value) in self.ops(result).filter(|op| matches!(op.0, "r" | "read")) {
                    sees.push((key, value));
                    let items = h.values.as_items(value).unwrap_or(&[]);
                    sees.extend(items.iter().map(|&item| (key, item)));
                }
            }
            _ => {}
        }
        sees
    }

    /// Name, key and value of each operation of a transaction.
    pub fn ops(&self, txn: Val) -> impl Iterator<Item = (&'a str, Val, Val)> {
        let values = &self.history.values;
        let ops = values.as_list(txn).unwrap_or(&[]).iter();
        ops.filter_map(|&op| match values.as_list(op) {
            Some(&[name, key, value]) => Some((values.as_name(name)?, key, value)),
            _ => None,
        })
    }

    /// The key of a read or a write and the value that it read or wrote, a tuple [key value] as
    /// jepsen.independent has it taken apart.
    pub fn keyed(&self, row: usize, value: Val) -> Put {
        let h = self.history;
        if h.key[row].is_none() {
            let arg = h.values.as_list(h.arg[row]);
            if let (Some(&[key, _]), Some(&[same, inner])) = (arg, h.values.as_list(value)) {
                if key == same {
                    return (key, inner);
                }
            }
        }
        (h.key[row], value)
    }
}
