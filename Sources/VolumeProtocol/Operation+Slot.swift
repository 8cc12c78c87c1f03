import VolumeModel

extension Operation {
    /// What a request carries whose operation needs no slot.
    public static let noSlot: UInt16 = 0xFFFF

    /// Must take effect once, however often it is asked for (rule once): everything that changes the
    /// volume for others to see, and what ends a growth: a late copy would end the one granted after
    /// it. What is left out may be done again at any time: it only shows, or it gives back what is held
    /// by number.
    public var needsSlot: Bool {
        switch self {
        case .setAttributes, .create, .createUnnamed, .makeNode, .makeDirectory,
            .makeSymbolicLink, .link, .unlink, .removeDirectory, .rename, .setExtendedAttribute,
            .removeExtendedAttribute, .allocate, .copyRange, .write:
            true
        case .release(_, _, let report), .layoutReturn(_, _, let report):
            report.grownSizeBytes != nil
        case .root, .lookup, .attributes, .readLink, .open, .readDirectory, .statistics,
            .extendedAttribute, .extendedAttributes, .seek, .synchronize, .lock, .testLock,
            .cancelLock, .unlockOwner, .layoutGet, .layoutGrow, .layoutFill, .read,
            .reclaimLayout, .reclaimLock, .reclaimed:
            false
        }
    }
}
