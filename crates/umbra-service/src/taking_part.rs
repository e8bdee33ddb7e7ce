//! Which writers take part in a set, and with which components.

use crate::{
    choice::{Choice, ChosenOf},
    consistency::join,
    places::{Map, Place},
    writers::Gathered,
};
use std::path::PathBuf;
use umbra_documents::{FreezeLevel, WriterIdentity, WriterMetadata};
use umbra_model::{BackupType, Consistency, Volume, VssCode, VssError, VssResult};
use umbra_volume::Volumes;

/// Which writers a requester wants. Names are compared without case; class and
/// instance ids work too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriterSelection {
    /// Every writer with data on a volume of the set.
    #[default]
    All,
    /// None.
    None,
    /// These; each must have data on the volumes of the set, unless components are
    /// chosen one by one.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

impl WriterSelection {
    pub(crate) fn includes(&self, writer: &WriterIdentity) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(names) => names.iter().any(|name| is_called(writer, name)),
            Self::Except(names) => !names.iter().any(|name| is_called(writer, name)),
        }
    }

    /// The names in it.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::All | Self::None => &[],
            Self::Only(names) | Self::Except(names) => names,
        }
    }

    /// # Errors
    ///
    /// `VSS_E_OBJECT_NOT_FOUND` for a name that no writer has.
    pub(crate) fn check(&self, writers: &[Gathered]) -> VssResult<()> {
        let unknown = self.names().iter().find(|name| {
            !writers
                .iter()
                .any(|writer| is_called(&writer.identity, name))
        });
        let Some(unknown) = unknown else {
            return Ok(());
        };
        let there: Vec<_> = writers
            .iter()
            .map(|writer| format!("{:?}", writer.identity.name))
            .collect();
        Err(VssError::new(
            VssCode::ObjectNotFound,
            if there.is_empty() {
                format!("there is no writer {unknown:?}; there are no writers now")
            } else {
                format!("there is no writer {unknown:?}; there is {}", join(&there))
            },
        ))
    }
}

fn is_called(writer: &WriterIdentity, name: &str) -> bool {
    let bare = name.trim_start_matches('{').trim_end_matches('}');
    writer.name.to_lowercase() == name.to_lowercase()
        || writer.id.to_string().eq_ignore_ascii_case(bare)
        || writer.instance.to_string().eq_ignore_ascii_case(bare)
}

/// A writer that takes part: its place in what was gathered, and the components
/// that lie wholly on the volumes of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TakesPart {
    pub(crate) index: usize,
    pub(crate) level: FreezeLevel,
    /// The place of its part in the document.
    pub(crate) part: Option<usize>,
    /// The components that are in the set, by full path.
    pub(crate) components: Vec<String>,
    /// Those that lie wholly on the volumes of the set; none where the writer does
    /// nothing to its data.
    pub(crate) vouches_for: Vec<String>,
}

/// Who vouches for the data, and every reason for doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assessment {
    /// The names of the writers that take part and bring their data into shape.
    pub(crate) vouching: Vec<String>,
    /// The names of those that only say where it is, such as express writers. They
    /// neither raise what the set promises nor lower it.
    pub(crate) naming: Vec<String>,
    /// Why there is none, where there is none.
    pub(crate) absence: Absence,
    /// Components that lie only partly on the volumes, or were chosen and do not.
    pub(crate) partial: Vec<Partial>,
    /// Components on the volumes that were not chosen, of writers of which others
    /// were.
    pub(crate) unchosen: Vec<(String, Vec<String>)>,
    /// Writers with data on the volumes that the requester left out.
    pub(crate) left_out: Vec<String>,
    /// Writers that failed Identify; they may own data on the volumes.
    pub(crate) unidentified: Vec<String>,
}

/// Why no writer takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The context is one without writers.
    Context,
    /// The requester wants none.
    NoneSelected,
    /// None has data there.
    NoData,
}

/// A component that lies only partly on the volumes of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partial {
    pub(crate) writer: String,
    pub(crate) component: String,
    pub(crate) path: PathBuf,
    pub(crate) lies_on: String,
}

impl Assessment {
    /// Without any writer.
    pub(crate) fn without(absence: Absence) -> Self {
        Self {
            vouching: Vec::new(),
            naming: Vec::new(),
            absence,
            partial: Vec::new(),
            unchosen: Vec::new(),
            left_out: Vec::new(),
            unidentified: Vec::new(),
        }
    }

    /// Every reason why the set is not application-consistent.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let plural = |names: &[String], one: &'static str, more: &'static str| {
            if names.len() == 1 { one } else { more }
        };
        let mut doubts = Vec::new();
        if self.vouching.is_empty() && self.partial.is_empty() {
            match self.absence {
                Absence::Context => {
                    doubts.push("the context is one without writers".to_owned());
                }
                Absence::NoneSelected => doubts.push("no writer was selected".to_owned()),
                Absence::NoData if !self.naming.is_empty() => doubts.push(format!(
                    "{} only {} where the data is and {} nothing to it",
                    join(&self.naming),
                    plural(&self.naming, "says", "say"),
                    plural(&self.naming, "does", "do")
                )),
                Absence::NoData if self.left_out.is_empty() && self.unchosen.is_empty() => {
                    doubts.push("no writer has data on these volumes".to_owned());
                }
                Absence::NoData => {}
            }
        }
        for partial in &self.partial {
            doubts.push(format!(
                "{} does not vouch for {:?}: its path {} lies on {}, which is not in the set",
                partial.writer,
                partial.component,
                partial.path.display(),
                partial.lies_on
            ));
        }
        for (writer, components) in &self.unchosen {
            doubts.push(format!(
                "{writer} has data on these volumes that was not chosen: {}",
                some_of(components)
            ));
        }
        if !self.left_out.is_empty() {
            let names = &self.left_out;
            doubts.push(format!(
                "{} {} on these volumes and {} left out",
                join(names),
                plural(names, "has data", "have data"),
                plural(names, "was", "were")
            ));
        }
        if !self.unidentified.is_empty() {
            let names = &self.unidentified;
            doubts.push(format!(
                "{} could not say what {}, which may be on these volumes",
                join(names),
                plural(names, "it owns", "they own")
            ));
        }
        doubts
    }
}

/// The first few names, and how many more there are.
fn some_of(names: &[String]) -> String {
    const FEW: usize = 3;
    let mut some: Vec<_> = names
        .iter()
        .take(FEW)
        .map(|name| format!("{name:?}"))
        .collect();
    if names.len() > FEW {
        some.push(format!("{} more", names.len() - FEW));
    }
    join(&some)
}

/// What a requester wants a backup of.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) selection: &'a WriterSelection,
    /// The components that were chosen one by one; none where everything on the
    /// volumes is wanted.
    pub(crate) choice: Option<&'a Choice>,
    pub(crate) backup_type: BackupType,
}

/// Decides who takes part. Blocks: it asks the storage where paths lie.
///
/// Where components were chosen one by one, the writers of these take part,
/// wherever their files are ("Working with Selectability and Logical Paths"); what
/// else lies on the volumes is vouched for by nobody.
///
/// # Errors
///
/// A writer that was asked for by name cannot take part: its failure at
/// Identify, or `VSS_E_UNSELECTED_VOLUME` where no component of it lies wholly
/// on the volumes of the set. Or the mount table cannot be read.
pub(crate) fn assess(
    gathered: &[Gathered],
    wanted: Wanted<'_>,
    set: &[Volume],
    volumes: &dyn Volumes,
) -> VssResult<(Vec<TakesPart>, Assessment)> {
    let Wanted {
        selection, choice, ..
    } = wanted;
    let absence = match selection {
        WriterSelection::None => Absence::NoneSelected,
        _ => Absence::NoData,
    };
    let mut assessment = Assessment::without(absence);
    let mut taking_part = Vec::new();
    let mut map = Map::new(set, volumes, choice.map(|_| wanted.backup_type))?;
    for (index, writer) in gathered.iter().enumerate() {
        let name = writer.identity.name.clone();
        let selected = selection.includes(&writer.identity);
        let by_name = selected && choice.is_none() && matches!(selection, WriterSelection::Only(_));
        let metadata = match &writer.metadata {
            Ok(metadata) => metadata,
            Err(failure) if by_name => return Err(failure.clone()),
            Err(_) => {
                assessment.unidentified.push(name);
                continue;
            }
        };
        let chosen = choice.and_then(|choice| choice.of(index));
        let vouches = writer.writer.vouches_for() == Consistency::Application;
        let found = Found::of(&name, metadata, choice.is_some(), chosen, &mut map);
        if !selected || (choice.is_some() && chosen.is_none()) {
            // One that does nothing to its data is missed by nobody.
            if found.is_there() && vouches {
                assessment.left_out.push(name);
            }
            continue;
        }
        if by_name && found.whole.is_empty() {
            return Err(not_on_the_set(&name, found.lies_elsewhere()));
        }
        assessment.partial.extend(found.partial);
        if !found.unchosen.is_empty() && vouches {
            assessment.unchosen.push((name.clone(), found.unchosen));
        }
        if !found.whole.is_empty() {
            if vouches {
                assessment.vouching.push(name);
            } else {
                assessment.naming.push(name);
            }
        }
        if chosen.is_some() || !found.whole.is_empty() {
            taking_part.push(TakesPart {
                index,
                level: metadata.level,
                part: chosen.map(|chosen| chosen.part),
                components: found.in_set,
                vouches_for: if vouches { found.whole } else { Vec::new() },
            });
        }
    }
    Ok((taking_part, assessment))
}

/// Where the components of one writer are.
#[derive(Default)]
struct Found {
    /// Wanted, and wholly on the volumes.
    whole: Vec<String>,
    /// These, and of those that were chosen the ones without files to lie anywhere.
    in_set: Vec<String>,
    /// Wanted, and not wholly there.
    partial: Vec<Partial>,
    /// Not wanted, and there.
    unchosen: Vec<String>,
    /// Wanted, and not there at all.
    elsewhere: Vec<String>,
}

impl Found {
    fn of(
        writer: &str,
        metadata: &WriterMetadata,
        by_component: bool,
        chosen: Option<&ChosenOf>,
        map: &mut Map<'_>,
    ) -> Self {
        let mut found = Self::default();
        for (index, component) in metadata.components.iter().enumerate() {
            let wanted = !by_component || chosen.is_some_and(|chosen| chosen.includes(index));
            let place = map.place(component);
            let partial = |(path, lies_on)| Partial {
                writer: writer.to_owned(),
                component: component.full_path(),
                path,
                lies_on,
            };
            match place {
                Place::Inside if wanted => {
                    found.whole.push(component.full_path());
                    found.in_set.push(component.full_path());
                }
                Place::Partly(where_else) if wanted => found.partial.push(partial(where_else)),
                Place::Inside | Place::Partly(_) => found.unchosen.push(component.full_path()),
                Place::Outside(_) if !wanted => {}
                Place::Outside(elsewhere) if by_component => match elsewhere.into_iter().next() {
                    // It was chosen, and is not in the copies.
                    Some(somewhere) => found.partial.push(partial(somewhere)),
                    None => found.in_set.push(component.full_path()),
                },
                Place::Outside(elsewhere) => {
                    found
                        .elsewhere
                        .extend(elsewhere.into_iter().map(|(_, on)| on));
                }
            }
        }
        found
    }

    fn is_there(&self) -> bool {
        !self.whole.is_empty() || !self.partial.is_empty() || !self.unchosen.is_empty()
    }

    fn lies_elsewhere(self) -> Vec<String> {
        let partial = self.partial.into_iter().map(|partial| partial.lies_on);
        self.elsewhere.into_iter().chain(partial).collect()
    }
}

fn not_on_the_set(writer: &str, mut elsewhere: Vec<String>) -> VssError {
    elsewhere.sort();
    elsewhere.dedup();
    VssError::new(
        VssCode::UnselectedVolume,
        if elsewhere.is_empty() {
            format!(
                "the writer {writer:?} was asked for, but says that it owns no files; leave it out"
            )
        } else {
            format!(
                "the writer {writer:?} was asked for, but no component of it lies wholly on the \
                 volumes of the set; it has data on {}; add that, or leave the writer out",
                join(&elsewhere)
            )
        },
    )
}
