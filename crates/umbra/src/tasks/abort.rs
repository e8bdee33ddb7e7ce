//! `umbra abort`.

use crate::{failure::Failure, output::tell, reach::Reached};
use umbra_client::Admin;

/// Gives up every set in the making.
pub(super) async fn abort(admin: &Admin, reached: &Reached) -> Result<(), Failure> {
    if !reached.is_daemon() {
        // A set that another umbra makes by itself is that one's alone.
        tell(
            "umbrad does not run; a set that another umbra makes is given up by ending that umbra",
        );
        return Ok(());
    }
    match admin.abort_all_snapshots_in_progress().await? {
        0 => tell("no shadow copy set is being made"),
        1 => tell("the shadow copy set that was being made is given up"),
        sets => tell(format!(
            "{sets} shadow copy sets that were being made are given up"
        )),
    }
    Ok(())
}
