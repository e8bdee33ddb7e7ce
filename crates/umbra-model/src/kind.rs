//! What writers and requesters say about data, backups and restores: one value of
//! several.

named_values! {
    /// How the data of a writer is used on the machine (`VSS_USAGE_TYPE`).
    UsageType {
        Undefined = "VSS_UT_UNDEFINED", 0;
        BootableSystemState = "VSS_UT_BOOTABLESYSTEMSTATE", 1;
        SystemService = "VSS_UT_SYSTEMSERVICE", 2;
        UserData = "VSS_UT_USERDATA", 3;
        Other = "VSS_UT_OTHER", 4;
    }
}

named_values! {
    /// What kind of program a writer speaks for (`VSS_SOURCE_TYPE`).
    SourceType {
        Undefined = "VSS_ST_UNDEFINED", 0;
        TransactedDb = "VSS_ST_TRANSACTEDDB", 1;
        NonTransactedDb = "VSS_ST_NONTRANSACTEDDB", 2;
        Other = "VSS_ST_OTHER", 3;
    }
}

named_values! {
    /// How a writer wants its files put back (`VSS_RESTOREMETHOD_ENUM`).
    RestoreMethod {
        Undefined = "VSS_RME_UNDEFINED", 0;
        RestoreIfNotThere = "VSS_RME_RESTORE_IF_NOT_THERE", 1;
        RestoreIfCanReplace = "VSS_RME_RESTORE_IF_CAN_REPLACE", 2;
        StopRestoreStart = "VSS_RME_STOP_RESTORE_START", 3;
        RestoreToAlternateLocation = "VSS_RME_RESTORE_TO_ALTERNATE_LOCATION", 4;
        RestoreAtReboot = "VSS_RME_RESTORE_AT_REBOOT", 5;
        RestoreAtRebootIfCannotReplace = "VSS_RME_RESTORE_AT_REBOOT_IF_CANNOT_REPLACE", 6;
        Custom = "VSS_RME_CUSTOM", 7;
        RestoreStopStart = "VSS_RME_RESTORE_STOP_START", 8;
    }
}

named_values! {
    /// When a writer takes part in a restore (`VSS_WRITERRESTORE_ENUM`).
    WriterRestore {
        Undefined = "VSS_WRE_UNDEFINED", 0;
        Never = "VSS_WRE_NEVER", 1;
        IfReplaceFails = "VSS_WRE_IF_REPLACE_FAILS", 2;
        Always = "VSS_WRE_ALWAYS", 3;
    }
}

named_values! {
    /// What a component is (`VSS_COMPONENT_TYPE`).
    ComponentType {
        Undefined = "VSS_CT_UNDEFINED", 0;
        Database = "VSS_CT_DATABASE", 1;
        FileGroup = "VSS_CT_FILEGROUP", 2;
    }
}

named_values! {
    /// What kind of backup a requester makes (`VSS_BACKUP_TYPE`).
    BackupType {
        Undefined = "VSS_BT_UNDEFINED", 0;
        Full = "VSS_BT_FULL", 1;
        Incremental = "VSS_BT_INCREMENTAL", 2;
        Differential = "VSS_BT_DIFFERENTIAL", 3;
        Log = "VSS_BT_LOG", 4;
        Copy = "VSS_BT_COPY", 5;
        Other = "VSS_BT_OTHER", 6;
    }
}

named_values! {
    /// What kind of restore a requester makes (`VSS_RESTORE_TYPE`).
    RestoreType {
        Undefined = "VSS_RTYPE_UNDEFINED", 0;
        ByCopy = "VSS_RTYPE_BY_COPY", 1;
        Import = "VSS_RTYPE_IMPORT", 2;
        Other = "VSS_RTYPE_OTHER", 3;
    }
}

named_values! {
    /// Where a component is restored to (`VSS_RESTORE_TARGET`).
    RestoreTarget {
        Undefined = "VSS_RT_UNDEFINED", 0;
        Original = "VSS_RT_ORIGINAL", 1;
        Alternate = "VSS_RT_ALTERNATE", 2;
        Directed = "VSS_RT_DIRECTED", 3;
        OriginalLocation = "VSS_RT_ORIGINAL_LOCATION", 4;
    }
}

named_values! {
    /// How much of a component was restored (`VSS_FILE_RESTORE_STATUS`).
    FileRestoreStatus {
        Undefined = "VSS_RS_UNDEFINED", 0;
        None = "VSS_RS_NONE", 1;
        All = "VSS_RS_ALL", 2;
        Failed = "VSS_RS_FAILED", 3;
    }
}

named_values! {
    /// How far a restored component is rolled forward (`VSS_ROLLFORWARD_TYPE`).
    RollForwardType {
        Undefined = "VSS_RF_UNDEFINED", 0;
        None = "VSS_RF_NONE", 1;
        All = "VSS_RF_ALL", 2;
        Partial = "VSS_RF_PARTIAL", 3;
    }
}

named_values! {
    /// When a writer is frozen relative to others (`VSS_APPLICATION_LEVEL`).
    ApplicationLevel {
        Unknown = "VSS_APP_UNKNOWN", 0;
        System = "VSS_APP_SYSTEM", 1;
        BackEnd = "VSS_APP_BACK_END", 2;
        FrontEnd = "VSS_APP_FRONT_END", 3;
        SystemRm = "VSS_APP_SYSTEM_RM", 4;
        Auto = "VSS_APP_AUTO", 0xffff_ffff;
    }
}

named_values! {
    /// Whether a writer has an alternate, or is one (`VSS_ALTERNATE_WRITER_STATE`).
    AlternateWriterState {
        Undefined = "VSS_AWS_UNDEFINED", 0;
        NoAlternateWriter = "VSS_AWS_NO_ALTERNATE_WRITER", 1;
        AlternateWriterExists = "VSS_AWS_ALTERNATE_WRITER_EXISTS", 2;
        ThisIsAlternateWriter = "VSS_AWS_THIS_IS_ALTERNATE_WRITER", 3;
    }
}
