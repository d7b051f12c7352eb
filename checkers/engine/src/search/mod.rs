//! The general search: any model, any history, exponential in what is open at once.
