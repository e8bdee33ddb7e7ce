//! The writers that come with Umbra: PostgreSQL, SQLite, express writers and the
//! VSS Metadata Store Writer.
//!
//! [`in_box`] makes them from the drop-in files of `writers.d`
//! ([`WritersConfig::load`]). What they do at each event, and why that is
//! enough, is in `docs/writers.md`.
//!
//! Invariant: nothing here writes to an application's data, except what the
//! application's own engine does when it is asked for a checkpoint.
//! Invariant: no database is created, started or stopped here.
//! Invariant: what was stopped at Freeze goes on when the writer is dropped.
//! Invariant: no file of a database is opened in this process but by its
//! engine: closing it would drop the engine's locks.
//! Invariant: no document makes an express writer that anybody but root, or the
//! user that the service runs as, could have written.

mod config;
mod coverage;
mod express;
mod postgres;
mod relay;
mod restore;
mod sqlite;
mod version;

pub use config::{WritersConfig, in_box};
pub use express::{ExpressSource, METADATA_STORE_WRITER_ID};
pub use postgres::{ClusterConfig, POSTGRES_WRITER_ID, PostgresConfig, PostgresSource};
pub use relay::{RELAY_ARGUMENT, RelayCommand, relay_main};
pub use sqlite::{DatabaseConfig, SQLITE_WRITER_ID, SqliteConfig, SqliteSource};
