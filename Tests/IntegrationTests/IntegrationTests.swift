import Foundation
import Testing

/// The real daemons in a lab, with whatever programs people run on a volume.
@Suite(
    .serialized, .enabled(if: getuid() == 0, "mounts and makes network namespaces: needs root"))
enum IntegrationTests {}
