import Foundation
import Testing

/// What POSIX and Linux promise of a file system, as pjdfstest and more ask for it, on local file
/// systems and on a node of a lab that is not the volume's coordinator. One lab per file system
/// serves all tests.
@Suite(
    .serialized, PlacesTrait(), .enabled(if: getuid() == 0, "mounts and changes users: needs root"))
enum PosixTests {}
