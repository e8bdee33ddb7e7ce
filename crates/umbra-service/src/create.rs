//! The state machine of one shadow copy set: DoSnapshotSet.
//!
//! [`Making::make`] reads top to bottom like the diagram "The way of one shadow
//! copy set" in the architecture. Whatever fails in it, [`crate::undo::abort`]
//! is the one way out.
//!
//! Invariant: the catalog has the intent before BeginPrepare, so BeginPrepare
//! comes here and not at AddToSnapshotSet, where only the provider and the place
//! are chosen.

use crate::{
    SetState,
    blocking::{Waited, off_loop, wait_for, within},
    catalog::{Phase, Record, Release},
    consistency,
    copies::{ProviderPatience, Step, step_all, window_over},
    freeze,
    messages::{Message, Patience, first, tell},
    service::ServiceInner,
    session::SessionInner,
    set::{HoldReturned, InCatalog, SetInMaking},
};
use std::{sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::Instant};
use umbra_model::{
    HoldMethod, Instant as WallClock, SetTimes, ShadowCopySet, VssCode, VssError, VssResult,
};
use umbra_volume::{Commit, HoldLimits, HoldReport, HoldVolume};

/// What the hold may take beyond its deadline and a stall before its thread
/// counts as lost. The guardian has thawed everything long before.
const HOLD_SLACK: Duration = Duration::from_secs(2);

/// A set on its way, with what it needs.
pub(crate) struct Making<'a> {
    pub(crate) service: &'a Arc<ServiceInner>,
    pub(crate) session: &'a SessionInner,
    pub(crate) set: &'a mut SetInMaking,
}

impl Making<'_> {
    /// Makes the set. On an error the set is half made and must be aborted.
    ///
    /// # Errors
    ///
    /// The first failure on the way.
    pub(crate) async fn make(&mut self) -> VssResult<ShadowCopySet> {
        let started = Instant::now();
        let limits = self.service.limits.clone();

        self.enter(SetState::EndPrepare, "providers prepare the copies")
            .await?;
        self.write_intent().await?;
        self.prepare_hold().await?;
        self.rehearse().await?;
        self.step(Step::BeginPrepare, None).await?;
        self.step(Step::EndPrepare, None).await?;

        self.enter(SetState::PrepareForSnapshot, "writers prepare")
            .await?;
        self.tell(Message::PrepareForSnapshot, limits.prepare_for_snapshot)
            .await?;
        // Again, now that writers have flushed: the hold itself has little left
        // to write, and a file system that someone else froze meanwhile is found
        // while no writer is frozen.
        self.rehearse().await?;

        self.enter(SetState::Freeze, "writers stop writing").await?;
        let froze = Instant::now();
        let window = froze + self.freeze_to_thaw();
        self.freeze(limits.freeze, window).await?;

        self.enter(SetState::PreCommit, "writers stand still")
            .await?;
        self.step(Step::PreCommit, Some(window)).await?;
        self.session.enter_quietly(SetState::Hold).await?;
        let report = self.hold(window).await?;

        self.enter(
            SetState::PostCommit,
            &format!("held for {:.1?}", report.held),
        )
        .await?;
        self.step(Step::PostCommit, Some(window)).await?;
        self.enter(SetState::Thaw, "writers go on writing").await?;
        self.thaw(limits.thaw, window).await?;
        let frozen = if self.set.participants.is_empty() {
            Duration::ZERO
        } else {
            froze.elapsed()
        };

        self.end_hold().await?;
        self.enter(SetState::PreFinalCommit, "copies are made")
            .await?;
        self.step(Step::PreFinalCommit, None).await?;
        self.enter(SetState::PostSnapshot, "writers are told of the copies")
            .await?;
        self.set.name_copies();
        self.tell(Message::PostSnapshot, limits.post_snapshot)
            .await?;
        self.enter(SetState::PostFinalCommit, "copies are sealed")
            .await?;
        self.step(Step::PostFinalCommit, None).await?;

        self.enter(SetState::Catalog, "the set is written to the catalog")
            .await?;
        let times = SetTimes {
            frozen,
            held: report.held,
            skew: report.skew,
            created: started.elapsed(),
        };
        self.write_finished(report.instant, times).await
    }

    /// How long writers may be frozen: the service's time-out, or that of the
    /// writer that goes on soonest by itself (`CVssWriter::Initialize`).
    fn freeze_to_thaw(&self) -> Duration {
        let participants = self.set.participants.iter();
        let own = participants.filter_map(|one| one.listener.subscription.freeze_to_thaw);
        own.fold(self.service.limits.freeze_to_thaw, Duration::min)
    }

    async fn enter(&mut self, state: SetState, message: &str) -> VssResult<()> {
        self.session.enter(state, message).await
    }

    async fn write_intent(&mut self) -> VssResult<()> {
        let copies = self
            .set
            .copies
            .iter()
            .map(|copy| copy.shadow_copy(self.set.id));
        let record = self.record(Phase::Intent(self.set.id, copies.collect()));
        // From here on: an error of the write does not say that nothing is there.
        self.set.in_catalog = InCatalog::Perhaps;
        let catalog = self.service.catalog.clone();
        off_loop(move || catalog.begin(&record)).await
    }

    async fn write_finished(
        &mut self,
        instant: WallClock,
        times: SetTimes,
    ) -> VssResult<ShadowCopySet> {
        let unheld: Vec<_> = self
            .set
            .copies
            .iter()
            .filter(|copy| copy.method == HoldMethod::Atomic)
            .map(|copy| copy.volume.mount_point.clone())
            .collect();
        let copies = self
            .set
            .copies
            .iter()
            .map(|copy| copy.shadow_copy(self.set.id));
        let set = ShadowCopySet {
            id: self.set.id,
            instant,
            context: self.set.context.value(),
            copies: copies.collect(),
            consistency: consistency::verdict(times.skew, &unheld, &self.set.assessment),
            times,
            writers: self
                .set
                .participants
                .iter()
                .filter_map(|one| one.outcome())
                .collect(),
        };
        let record = self.record(Phase::Finished(Box::new(set.clone())));
        let catalog = self.service.catalog.clone();
        off_loop(move || catalog.finish(&record)).await?;
        Ok(set)
    }

    fn record(&self, phase: Phase) -> Record {
        Record {
            owner: self.service.owner.id,
            session: self.session.id,
            release: if self.set.context.is_auto_release() {
                Release::WithSession
            } else {
                Release::OnRequest
            },
            phase,
        }
    }

    async fn prepare_hold(&mut self) -> VssResult<()> {
        let volumes = Arc::clone(&self.service.volumes);
        let held = self.set.copies.iter().map(|copy| HoldVolume {
            volume: copy.volume.clone(),
            method: copy.method,
        });
        let held: Vec<_> = held.collect();
        let limits = HoldLimits {
            deadline: self.service.limits.hold,
            stall: self.service.limits.stall,
        };
        let what = || "preparing the hold".to_owned();
        let hold = within(self.service.limits.provider, what, move || {
            volumes.prepare_hold(held, limits)
        });
        self.set.hold = Some(hold.await?);
        Ok(())
    }

    async fn rehearse(&mut self) -> VssResult<()> {
        let mut hold = self.set.hold.take().ok_or_else(no_hold)?;
        let what = || "rehearsing the hold".to_owned();
        let hold = within(self.service.limits.provider, what, move || {
            hold.rehearse().map(|()| hold)
        });
        self.set.hold = Some(hold.await?);
        self.session.cancel.check()
    }

    async fn step(&mut self, step: Step, window: Option<Instant>) -> VssResult<()> {
        let patience = ProviderPatience {
            limit: self.service.limits.provider,
            window,
            cancel: &self.session.cancel,
        };
        step_all(&mut self.set.copies, step, patience).await
    }

    async fn tell(&mut self, message: Message, limit: Duration) -> VssResult<()> {
        let patience = Patience::of_set(limit, &self.session.cancel);
        let participants = self.set.participants.iter_mut();
        first(tell(&self.service.writers, participants, message, patience).await)
    }

    async fn freeze(&mut self, limit: Duration, window: Instant) -> VssResult<()> {
        let patience = Patience {
            window: Some((window, VssCode::TransactionFreezeTimeout)),
            ..Patience::of_set(limit, &self.session.cancel)
        };
        freeze::freeze(&self.service.writers, &mut self.set.participants, patience).await
    }

    async fn thaw(&mut self, limit: Duration, window: Instant) -> VssResult<()> {
        let patience = Patience {
            window: Some((window, VssCode::TransactionThawTimeout)),
            ..Patience::hear_all(limit)
        };
        freeze::thaw(&self.service.writers, &mut self.set.participants, patience).await
    }

    /// Ends the guardian, once nobody is frozen who would have to wait for it.
    async fn end_hold(&mut self) -> VssResult<()> {
        let hold = self.set.hold.take();
        off_loop(move || {
            drop(hold);
            Ok(())
        })
        .await
    }

    /// Holds every volume, commits every copy, releases. Nothing is logged,
    /// written or sent from here until the hold is back.
    async fn hold(&mut self, window: Instant) -> VssResult<HoldReport> {
        let hold = self.set.hold.take().ok_or_else(no_hold)?;
        let mut pendings = Vec::with_capacity(self.set.copies.len());
        for copy in &mut self.set.copies {
            pendings.extend(copy.pending.take());
        }
        let mount_points: Vec<_> = self
            .set
            .copies
            .iter()
            .map(|copy| copy.volume.mount_point.clone())
            .collect();
        let held = self.service.held.clone();
        let mut running = spawn_blocking(move || {
            let mut returned = HoldReturned {
                hold,
                pendings,
                result: Ok(HoldReport::default()),
            };
            let _held = held.while_alive(mount_points);
            let commits = returned.pendings.iter_mut();
            let commits = commits.map(|pending| Box::new(|| pending.commit()) as Commit<'_>);
            returned.result = returned.hold.run(commits.collect());
            returned
        });
        let limits = &self.service.limits;
        let end = Instant::now() + limits.hold + limits.stall + HOLD_SLACK;
        let returned = match wait_for(&mut running, end.min(window), None).await {
            Waited::Done(returned) => returned,
            Waited::Panicked(panic) => {
                return Err(VssError::new(
                    VssCode::UnexpectedProviderError,
                    "the hold broke off; this is a defect of Umbra or of a provider",
                )
                .caused_by_text(panic));
            }
            Waited::Late => {
                self.set.late_hold = Some(running);
                if window < end {
                    return Err(window_over("the hold"));
                }
                return Err(VssError::new(
                    VssCode::HoldWritesTimeout,
                    "the hold did not end in time; a provider's Commit hangs, \
                     look at the storage below the volumes",
                ));
            }
        };
        self.set.hold = Some(returned.hold);
        for (copy, pending) in self.set.copies.iter_mut().zip(returned.pendings) {
            copy.pending = Some(pending);
        }
        let report = returned.result?;
        if Instant::now() >= window {
            return Err(window_over("the hold"));
        }
        Ok(report)
    }
}

fn no_hold() -> VssError {
    VssError::new(
        VssCode::Unexpected,
        "there is no hold to work with; this is a defect of Umbra",
    )
}
