//! A container's status, from its record and what was seen of its process. Knows no files.

use super::{Record, Stage};
use crate::spec::state::Status;

/// What was seen of a container at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Somebody is making it.
    pub being_made: bool,
    /// Init is there, and no zombie.
    pub alive: bool,
    /// Init executes the container's program; asked only where the record does not say how far it has come.
    pub executed: bool,
    /// Init has not yet passed the start gate.
    pub waiting_at_gate: bool,
    /// The container's cgroup is frozen.
    pub frozen: bool,
}

/// Where the container is in its life.
///
/// A container whose init is gone is stopped, whatever else is left of it, a half-made one too; but not while somebody is
/// making it, before its init is known. One whose program executes runs, although `run` may not have said so on record yet,
/// or was killed before it could. Frozen comes before created, as in runc: a container that was paused before `start` can be
/// resumed.
pub fn status(record: &Record, facts: Facts) -> Status {
    let made = record.stage == Stage::Created || (facts.alive && facts.executed);
    match facts {
        Facts { being_made: true, .. } if !made => Status::Creating,
        Facts { alive: false, .. } => Status::Stopped,
        _ if !made => Status::Creating,
        Facts { frozen: true, .. } => Status::Paused,
        Facts { waiting_at_gate: true, .. } => Status::Created,
        _ => Status::Running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination() {
        let see = |stage, alive, waiting_at_gate, frozen| {
            let record = Record { stage, ..Record::default() };
            let executed = false;
            status(&record, Facts { being_made: false, alive, executed, waiting_at_gate, frozen })
        };
        let facts = Facts {
            being_made: true,
            alive: false,
            executed: false,
            waiting_at_gate: false,
            frozen: false,
        };
        let provisional = Record { stage: Stage::Provisional, ..Record::default() };
        assert_eq!(status(&provisional, facts), Status::Creating);
        assert_eq!(status(&provisional, Facts { alive: true, ..facts }), Status::Creating);
        for being_made in [true, false] {
            let runs = Facts { being_made, alive: true, executed: true, ..facts };
            assert_eq!(status(&provisional, runs), Status::Running);
            assert_eq!(status(&provisional, Facts { frozen: true, ..runs }), Status::Paused);
        }
        for (waiting, frozen) in [(false, false), (false, true), (true, false), (true, true)] {
            assert_eq!(see(Stage::Provisional, false, waiting, frozen), Status::Stopped);
            assert_eq!(see(Stage::Created, false, waiting, frozen), Status::Stopped);
            assert_eq!(see(Stage::Provisional, true, waiting, frozen), Status::Creating);
        }
        assert_eq!(see(Stage::Created, true, true, false), Status::Created);
        assert_eq!(see(Stage::Created, true, false, false), Status::Running);
        assert_eq!(see(Stage::Created, true, true, true), Status::Paused);
        assert_eq!(see(Stage::Created, true, false, true), Status::Paused);
    }
}
