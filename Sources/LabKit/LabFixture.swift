import Foundation

/// Runs an integration test's body in a lab of its own, in a new directory below /tmp.
///
/// However the body ends, the lab comes down and nothing of it stays. When the body succeeded,
/// the LUN's file system must then be clean. When anything failed, the logs' ends are printed.
/// - Throws: what the body throws, or a `LabError` of going up, going down or the check.
public func withLab<Value>(
    _ options: LabOptions = .test(), binaries: LabBinaries? = nil,
    certificates: (any LabCertificates)? = Lab.defaultCertificates,
    checksFileSystem: Bool = true, isolation: isolated (any Actor)? = #isolation,
    _ body: (Lab) async throws -> Value
) async throws -> Value {
    let directory = try LabDirectory.makeTemporary()
    defer { LabDirectory.remove(directory) }
    let lab = try await Lab.up(
        directory: directory, options: options, binaries: binaries, certificates: certificates,
        progress: { line in LabDirectory.report(line) })
    defer { lab.removeImage() }
    let value: Value
    do {
        value = try await body(lab)
        try await lab.down(keepImage: true)
        if checksFileSystem && options.addsVolume { try await lab.checkFileSystem() }
    } catch {
        LabDirectory.report("failed: \(error)\n\(lab.logTails())")
        // Again after a `down` that failed does no harm.
        do throws(LabError) {
            try await lab.down(keepImage: true)
        } catch {
            LabDirectory.report("while taking the lab down: \(error)")
        }
        throw error
    }
    return value
}

/// Directories for labs of tests.
enum LabDirectory {
    /// A new directory with a short name, for the sockets' sake.
    static func makeTemporary() throws(LabError) -> String {
        var template = Array("/tmp/covolume-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LabError.system("mkdtemp", "/tmp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a lab's directory, unless something is still mounted in it: then removing would
    /// empty the volume.
    static func remove(_ directory: String) {
        guard let mounts = try? MountInfo.below(Lab.resolve(directory)), mounts.isEmpty else {
            report("\(directory) is kept: a volume is still mounted in it")
            return
        }
        try? FileManager.default.removeItem(atPath: directory)
    }

    static func report(_ line: String) {
        FileHandle.standardError.write(Data(("lab: " + line + "\n").utf8))
    }
}
