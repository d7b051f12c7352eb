//! Transactions: dependency graphs, anomalies, isolation levels.
