//! A restore ("Overview of Processing a Restore Under VSS").

use super::{BetestOptions, at_file, backup::WRITERS, closed, said::Said};
use crate::configuration::SelectedComponent;
use std::{fs, path::Path, sync::Arc};
use umbra_backup::{BackupFolder, RestoreReport};
use umbra_client::{
    AdditionalRestores, Authority, BackupComponents, ComponentAddress, Connection, RestoreChoice,
};
use umbra_documents::{
    BackupComponentsDocument, ChosenComponent, Component, ComponentInRestore, FileRules, PathStyle,
    RestoreInclusion, RestoreRules, RestoreSelection, WriterComponents, WriterMetadata,
    WriterMetadataDocument, WriterTrees,
};
use umbra_model::{ComponentType, FileRestoreStatus, RestoreType, VssCode, VssError, VssResult};

/// Puts back what was chosen, as the document of the backup says.
pub(super) async fn restore(
    connection: &Connection,
    options: &BetestOptions,
    said: &Said<'_>,
) -> VssResult<()> {
    let Some(file) = &options.document else {
        return Err(VssError::new(
            VssCode::InvalidArgument,
            "a restore needs the Backup Components Document of the backup; name its file",
        ));
    };
    let xml = fs::read(file).map_err(|error| at_file("read", file, &error))?;
    let session = BackupComponents::open(connection, "umbra betest").await?;
    let restore = Restore {
        session: &session,
        options,
        said,
    };
    let done = restore.run(&xml).await;
    if done.is_err() {
        said.writer_status(&session).await;
    }
    closed(session, done).await
}

struct Restore<'a> {
    session: &'a BackupComponents,
    options: &'a BetestOptions,
    said: &'a Said<'a>,
}

impl Restore<'_> {
    async fn run(&self, xml: &[u8]) -> VssResult<()> {
        let session = self.session;
        session.initialize_for_restore(xml).await?;
        let stored = self.stored_metadata()?;
        if !stored.is_empty() {
            session.use_stored_metadata(stored.iter().cloned())?;
        }
        session.set_restore_state(RestoreType::ByCopy)?;
        let gathered = session.gather_writer_metadata().await?;
        gathered.failed.iter().for_each(|one| self.said.writer(one));
        let failed = gathered.failed.into_iter().filter_map(|one| one.failure);
        self.said.writer_failures(failed)?;
        let trees: WriterTrees = if stored.is_empty() {
            gathered.writers.iter().map(Arc::clone).collect()
        } else {
            stored.into_iter().collect()
        };
        let selected = self.select()?;
        let failures = session.pre_restore().await?;
        self.said.writer_status(session).await;
        self.say_messages(|one| one.pre_restore_failure.as_ref());
        self.said.writer_failures(failures)?;
        let put_back = self.put_back_all(&trees, &selected).await;
        // The writers must hear of the end, whatever it was.
        let failures = session.post_restore().await?;
        self.said.writer_status(session).await;
        self.say_messages(|one| one.post_restore_failure.as_ref());
        put_back.and(self.said.writer_failures(failures))
    }

    /// Says what writers left at components that they failed with.
    fn say_messages(&self, message: impl Fn(&ChosenComponent) -> Option<&String>) {
        let writers = self.session.writer_components();
        for component in writers.iter().flat_map(|writer| &writer.components) {
            if let Some(message) = message(component) {
                let path = component.full_path();
                self.said
                    .result(format_args!("component {path}: {message}"));
            }
        }
    }

    /// The writers' metadata of the time of the backup, where the backup has it.
    fn stored_metadata(&self) -> VssResult<Vec<WriterMetadata>> {
        let Some(directory) = &self.options.directory else {
            return Ok(Vec::new());
        };
        let folder = directory.join(WRITERS);
        let failed = |error: std::io::Error| at_file("read", &folder, &error);
        let mut stored = Vec::new();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let xml = fs::read(&file).map_err(|error| at_file("read", &file, &error))?;
            stored.push(WriterMetadataDocument::from_xml(&xml)?.to_metadata());
        }
        Ok(stored)
    }

    /// Selects what is to be restored, and sets what the file says of it. Gives what
    /// was selected.
    fn select(&self) -> VssResult<Vec<ComponentAddress>> {
        let document = self.session.document();
        let all = document.writers.iter().flat_map(|writer| {
            let components = writer.components.iter();
            components.map(move |component| (writer, component))
        });
        self.say_missing(&document);
        let mut selected = Vec::new();
        let mut refused = None;
        let configured = self.options.configuration.as_ref();
        for (writer, component) in all {
            let path = component.full_path();
            let wanted = configured.map(|configuration| {
                let mut components = configuration.components.iter();
                components.find(|one| one.writer == writer.writer_id && one.path == path)
            });
            // Without a file everything is restored; with one, what it names.
            let Some(wanted) = wanted.map_or(Some(None), |found| found.map(Some)) else {
                continue;
            };
            let address = address(writer, component);
            if let Err(error) = self.select_one(&address, wanted) {
                self.said
                    .result(format_args!("does not restore {path}: {error}"));
                let _ = self.session.component(&address).and_then(|component| {
                    component.set_selected_for_restore(RestoreChoice::NotSelected)
                });
                if let Some(first) = refused.replace(error) {
                    self.said.failure(first);
                }
                continue;
            }
            selected.push(address);
        }
        match (selected.is_empty(), refused) {
            (true, Some(refused)) => Err(refused),
            (true, None) => Err(VssError::new(
                VssCode::ObjectNotFound,
                "nothing that was asked for is in this backup",
            )),
            (false, refused) => {
                refused.into_iter().for_each(|one| self.said.failure(one));
                Ok(selected)
            }
        }
    }

    /// Says what the file names and the backup has not.
    fn say_missing(&self, document: &BackupComponentsDocument) {
        let configured = self.options.configuration.iter();
        for wanted in configured.flat_map(|configuration| &configuration.components) {
            let mut writers = document.writers.iter();
            let is_there = writers.any(|writer| {
                let mut components = writer.components.iter();
                writer.writer_id == wanted.writer
                    && components.any(|one| one.full_path() == wanted.path)
            });
            if !is_there {
                self.said.failure(VssError::new(
                    VssCode::ObjectNotFound,
                    format!(
                        "the component {:?} of the writer {} was not chosen for this backup",
                        wanted.path, wanted.writer
                    ),
                ));
            }
        }
    }

    fn select_one(
        &self,
        address: &ComponentAddress,
        wanted: Option<&SelectedComponent>,
    ) -> VssResult<()> {
        let component = self.session.component(address)?;
        component.set_selected_for_restore(RestoreChoice::Selected)?;
        if self.options.authority == Authority::Authoritative {
            component.set_authoritative_restore(Authority::Authoritative)?;
        }
        let Some(wanted) = wanted else {
            return Ok(());
        };
        for (logical_path, name) in &wanted.subcomponents {
            component.add_restore_subcomponent(logical_path.as_deref(), name)?;
        }
        if let Some(options) = &wanted.restore_options {
            component.set_restore_options(options)?;
        }
        if wanted.additional_restores {
            component.set_additional_restores(AdditionalRestores::Follow)?;
        }
        for target in &wanted.new_targets {
            component.add_new_target(target)?;
        }
        Ok(())
    }

    /// Puts back every component, and says for each how that went.
    async fn put_back_all(
        &self,
        trees: &WriterTrees,
        selected: &[ComponentAddress],
    ) -> VssResult<()> {
        let Some(directory) = &self.options.directory else {
            for address in selected {
                let component = self.session.component(address)?;
                component.set_file_restore_status(FileRestoreStatus::None)?;
            }
            return Ok(());
        };
        let folder = Arc::new(BackupFolder::open(directory)?);
        let document = self.session.document();
        let mut first = Ok(());
        for address in selected {
            let path = address.full_path();
            let component = self.session.component(address)?;
            let chosen = component.get()?;
            let put_back = match parts(trees, &document, address, chosen) {
                Ok(parts) => put_back(parts, &folder).await,
                Err(error) => Err(error),
            };
            match put_back {
                Ok((report, writer)) => {
                    self.said.result(format_args!(
                        "restored {path}: {} files, {} bytes, {} failed, {}",
                        report.files, report.bytes, report.failed, report.status
                    ));
                    let plan = writer.restore.as_ref();
                    let mappings = plan.map_or(&[][..], |plan| &plan.alternate_locations);
                    for mapping in report.mappings {
                        component.add_alternative_location_mapping(&mappings[mapping])?;
                    }
                    component.set_file_restore_status(report.status)?;
                    for failure in report.failures {
                        self.said.failure(failure.into());
                    }
                }
                Err(error) => {
                    component.set_file_restore_status(FileRestoreStatus::Failed)?;
                    match first {
                        Ok(()) => first = Err(error),
                        Err(_) => self.said.failure(error),
                    }
                }
            }
        }
        first
    }
}

/// What is needed to put a component back, with what came with it.
struct Parts {
    writer: WriterMetadata,
    chosen: ChosenComponent,
    components: Vec<Component>,
}

fn address(writer: &WriterComponents, component: &ChosenComponent) -> ComponentAddress {
    ComponentAddress {
        writer: writer.writer_id,
        instance: Some(writer.instance_id),
        component_type: component
            .component_type
            .known()
            .unwrap_or(ComponentType::Undefined),
        logical_path: component.logical_path.clone(),
        name: component.name.clone(),
    }
}

fn parts(
    trees: &WriterTrees,
    document: &BackupComponentsDocument,
    address: &ComponentAddress,
    chosen: ChosenComponent,
) -> VssResult<Parts> {
    let set = RestoreSelection::of_stored(trees).restore_set(document);
    let path = address.full_path();
    let of_it = |one: &&ComponentInRestore| match &one.inclusion {
        RestoreInclusion::Explicit => one.path == path,
        RestoreInclusion::Subcomponent { of } => *of == path,
        RestoreInclusion::Implicit { .. } => crate::test_writer::is_at_or_below(&path, &one.path),
        RestoreInclusion::NotRestored(_) => false,
    };
    let mut writers = set.writers.iter();
    let writer = writers.find(|one| {
        one.id == address.writer
            && address
                .instance
                .is_none_or(|instance| one.instance == instance)
    });
    let places: Vec<_> = writer
        .into_iter()
        .flat_map(|writer| &writer.components)
        .filter(of_it)
        .filter_map(|one| one.at)
        .collect();
    let Some(first) = places.first() else {
        return Err(VssError::new(
            VssCode::ObjectNotFound,
            format!("there is no metadata of the component {path:?} with the backup"),
        ));
    };
    Ok(Parts {
        writer: trees.writers()[first.writer].metadata().clone(),
        chosen,
        components: places
            .iter()
            .map(|at| trees.component(*at).clone())
            .collect(),
    })
}

/// Puts a component back off this thread.
async fn put_back(
    parts: Parts,
    folder: &Arc<BackupFolder>,
) -> VssResult<(RestoreReport, WriterMetadata)> {
    let folder = Arc::clone(folder);
    let done = tokio::task::spawn_blocking(move || {
        let wrong = |error: umbra_documents::FileRulesError| {
            VssError::new(VssCode::InvalidArgument, error.to_string())
        };
        let components: Vec<&Component> = parts.components.iter().collect();
        let (writer, chosen) = (parts.writer, &parts.chosen);
        let rules = FileRules::for_restore(&components, Some(chosen), PathStyle::Linux);
        let places = RestoreRules::new(&writer, chosen, PathStyle::Linux).map_err(wrong)?;
        let report =
            umbra_backup::restore(&folder, &rules.map_err(wrong)?, &places, Path::new("/"))?;
        Ok((report, writer))
    });
    done.await.unwrap_or_else(|panic| {
        let what = "restoring broke off; this is a defect of Umbra";
        Err(VssError::new(VssCode::Unexpected, what).caused_by(panic))
    })
}
