//! Everything that lists or shows.

use crate::{
    exit::ExitKind,
    failure::Failure,
    output::{
        ComponentView, FileSetView, Format, ProgressLine, ProviderView, SessionView, SetView,
        ShadowCopyView, StatusView, VolumeView, WriterView, path_text, plain, print, print_text,
    },
    reach::Reached,
    root::Root,
};
use std::collections::HashMap;
use umbra_client::{Admin, VolumeReport, WriterReport};
use umbra_documents::{FileSet, FreezeLevel, Recursion, Selectable};
use umbra_model::{HoldMethod, ProviderId, ShadowCopyId};

/// The names of the providers, by id.
pub(super) async fn provider_names(admin: &Admin) -> Result<HashMap<ProviderId, String>, Failure> {
    let providers = admin.list_providers().await?;
    Ok(providers
        .into_iter()
        .map(|provider| (provider.id, provider.name))
        .collect())
}

pub(super) async fn volumes(admin: &Admin, format: Format) -> Result<(), Failure> {
    let line = ProgressLine::start("looking at volumes");
    let volumes = admin.list_volumes().await?;
    line.finish();
    let views: Vec<VolumeView> = volumes.into_iter().map(volume_view).collect();
    print(&views, format)
}

fn volume_view(report: VolumeReport) -> VolumeView {
    let (provider, hold, why_not) = match report.provider {
        Ok((provider, hold)) => (Some(provider), Some(hold), None),
        Err(why) => (None, None, Some(plain(&why))),
    };
    VolumeView {
        mount_point: path_text(&report.mount_point),
        file_system: report.file_system,
        source: plain(&report.source),
        id: report.volume.map(|volume| volume.id.to_string()),
        provider,
        hold: hold.map(|hold| {
            match hold {
                HoldMethod::Freeze => "freeze",
                HoldMethod::Atomic => "atomic",
            }
            .to_owned()
        }),
        why_not,
    }
}

pub(super) async fn providers(admin: &Admin, format: Format) -> Result<(), Failure> {
    let views: Vec<ProviderView> = admin
        .list_providers()
        .await?
        .into_iter()
        .map(|provider| ProviderView {
            id: provider.id.to_string(),
            name: provider.name,
            version: provider.version,
            kind: provider.kind,
            needs: provider.needs,
        })
        .collect();
    print(&views, format)
}

pub(super) async fn writers(
    admin: &Admin,
    name: Option<&str>,
    format: Format,
) -> Result<(), Failure> {
    let reports = reports(admin).await?;
    let Some(name) = name else {
        let views: Vec<WriterView> = reports.iter().map(writer_view).collect();
        return print(&views, format);
    };
    let reports = called(reports, name)?;
    let views: Vec<WriterView> = reports.iter().map(writer_view).collect();
    match format {
        Format::Json => print(&views, format),
        Format::Text { .. } => views.iter().try_for_each(|view| print(view, format)),
    }
}

/// Prints the Writer Metadata Documents of the writers that are called so.
pub(super) async fn writer_documents(admin: &Admin, name: &str) -> Result<(), Failure> {
    for report in called(reports(admin).await?, name)? {
        print_text(&report.metadata.to_document().to_xml()?)?;
    }
    Ok(())
}

async fn reports(admin: &Admin) -> Result<Vec<WriterReport>, Failure> {
    let line = ProgressLine::start("asking writers what they own");
    let reports = admin.list_writers().await?;
    line.finish();
    Ok(reports)
}

/// The writers that are called so: more than one where several instances run.
fn called(mut reports: Vec<WriterReport>, name: &str) -> Result<Vec<WriterReport>, Failure> {
    let names: Vec<String> = reports
        .iter()
        .map(|report| report.metadata.identity.name.clone())
        .collect();
    reports.retain(|report| is_called(report, name));
    if reports.is_empty() {
        let known = match names.as_slice() {
            [] => "there are no writers".into(),
            names => format!("there are {}", plain(&names.join(", "))),
        };
        return Err(Failure::new(
            ExitKind::NotFound,
            format!("there is no writer {name:?}; {known}"),
        ));
    }
    Ok(reports)
}

fn is_called(report: &WriterReport, name: &str) -> bool {
    let identity = &report.metadata.identity;
    identity.name.eq_ignore_ascii_case(name)
        || name.parse() == Ok(identity.id)
        || name.parse() == Ok(identity.instance)
}

fn writer_view(report: &WriterReport) -> WriterView {
    let metadata = &report.metadata;
    WriterView {
        id: metadata.identity.id.to_string(),
        instance_id: metadata.identity.instance.to_string(),
        name: plain(&metadata.identity.name),
        state: report.state.to_string(),
        level: match metadata.level {
            FreezeLevel::FrontEnd => "front-end",
            FreezeLevel::BackEnd => "back-end",
            FreezeLevel::System => "system",
        }
        .into(),
        origin: plain(&report.origin),
        failure: report.failure.as_ref().map(|error| plain(error.message())),
        components: metadata
            .components
            .iter()
            .map(|component| ComponentView {
                path: plain(&component.full_path()),
                caption: component.caption.as_deref().map(plain),
                selectable: component.selectable == Selectable::Yes,
                files: component.files.iter().map(file_set_view).collect(),
            })
            .collect(),
        excluded: metadata.excluded.iter().map(file_set_view).collect(),
    }
}

fn file_set_view(files: &FileSet) -> FileSetView {
    FileSetView {
        path: path_text(&files.path),
        specification: plain(&files.specification),
        recursive: files.recursion == Recursion::Tree,
    }
}

pub(super) async fn sets(admin: &Admin, format: Format) -> Result<(), Failure> {
    let providers = provider_names(admin).await?;
    let views: Vec<SetView> = admin
        .list_sets()
        .await?
        .iter()
        .map(|set| SetView::new(set, &providers))
        .collect();
    print(&views, format)
}

/// Shows a copy or a set: both are named by a GUID, and nobody should have to
/// know which it is.
pub(super) async fn show(admin: &Admin, id: ShadowCopyId, format: Format) -> Result<(), Failure> {
    let providers = provider_names(admin).await?;
    let sets = admin.list_sets().await?;
    if let Some(set) = sets.iter().find(|set| set.id.uuid() == id.uuid()) {
        return print(&SetView::new(set, &providers), format);
    }
    let mut copies = sets.iter().flat_map(|set| &set.copies);
    match copies.find(|copy| copy.id == id) {
        Some(copy) => print(&ShadowCopyView::new(copy, &providers), format),
        None => Err(Failure::new(
            ExitKind::NotFound,
            format!("there is no shadow copy and no set {id}; `umbra list` shows what there is"),
        )),
    }
}

pub(super) async fn status(
    admin: &Admin,
    reached: &Reached,
    root: &Root,
    format: Format,
) -> Result<(), Failure> {
    let status = admin.status().await?;
    let view = StatusView {
        running: reached.is_daemon(),
        version: status.version,
        pid: status.pid,
        socket: path_text(&root.socket()),
        sessions: status
            .sessions
            .into_iter()
            .map(|session| SessionView {
                id: session.id.to_string(),
                requester: plain(&session.name),
                uid: session.uid,
                pid: session.pid,
                state: session.state,
                set_id: session.set.map(|set| set.to_string()),
            })
            .collect(),
        connected_writers: status.connected_writers,
        frozen: status.held.iter().map(|path| path_text(path)).collect(),
        reconciled: status.reconciled.iter().map(|line| plain(line)).collect(),
    };
    print(&view, format)
}
