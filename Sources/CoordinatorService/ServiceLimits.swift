import VolumeModel

/// The bounds of a coordinator's own making.
enum ServiceLimits {
    /// Requests of all nodes that wait for their answer; one more gets EBUSY.
    static let requestsMaximum = 64 * Limits.requestsPerSessionMaximum
    /// Files of which it is remembered whether they share blocks.
    static let sharingKnownMaximum = 65536
    /// The most that one copy moves before it answers.
    static let copyMaximumBytes: UInt64 = 16 << 20
    /// A fill takes at most this share of the free space. One that follows another will be used; of one
    /// around a write that came from anywhere most may stay unused until the file is closed.
    static let followingFillShareOfRoom: UInt64 = 8
    static let scatteredFillShareOfRoom: UInt64 = 256
    /// So much room, and no more than this share of the volume, is kept from data.
    static let keptRoomBytes: UInt64 = 8 << 20
    static let keptShareOfVolume: UInt64 = 64
}
