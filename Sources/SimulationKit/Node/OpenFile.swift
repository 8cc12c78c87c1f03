import FilterCore
import VolumeModel

/// What a node's kernel knows of a file that is open there: how often, and who may write just now.
final class OpenFile {
    let handle: FileHandle
    let index: FileIndex
    var openCount = 0
    /// As the kernel last heard.
    var sizeBytes: UInt64 = 0
    var isAskingForLayout = false
    var layoutWaiters: [() -> Void] = []
    var isGrowthTurnTaken = false
    var growthTurns: [() -> Void] = []

    // The inode's lock: writes within the file share it, what changes the size has it alone.
    private var sharedHolders = 0
    private var isExclusive = false
    private var waiting: [(isExclusive: Bool, body: () -> Void)] = []

    init(handle: FileHandle, index: FileIndex) {
        self.handle = handle
        self.index = index
    }

    func lock(exclusive: Bool, _ body: @escaping () -> Void) {
        waiting.append((exclusive, body))
        serve()
    }

    func unlock(exclusive: Bool) {
        if exclusive { isExclusive = false } else { sharedHolders -= 1 }
        serve()
    }

    private func serve() {
        while let first = waiting.first, !isExclusive, !first.isExclusive || sharedHolders == 0 {
            waiting.removeFirst()
            if first.isExclusive { isExclusive = true } else { sharedHolders += 1 }
            first.body()
        }
    }
}
