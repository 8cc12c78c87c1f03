import Foundation
import Testing

@testable import LabKit

@Suite struct LabRecordTests {
    let temporary = TemporaryDirectory()
    var registry: LabRegistry { LabRegistry(directory: temporary.path + "/registry") }

    @Test func aRecordIsReadAsItWasWritten() throws {
        var record = try registry.reserve(
            directory: temporary.path, options: .test(nodes: 2), owner: .current)
        record.daemons["node1"] = .current
        try registry.write(record)
        #expect(try LabRecord.read(temporary.path + "/lab.json") == record)
        #expect(try registry.record(tag: record.plan.tag) == record)
    }

    @Test func aDirectoryHasOneLab() throws {
        _ = try registry.reserve(directory: temporary.path, options: .test(), owner: nil)
        #expect {
            _ = try registry.reserve(directory: temporary.path, options: .test(), owner: nil)
        } throws: { ($0 as? LabError)?.code == .alreadyUp }
    }

    @Test func idsAreUniqueUntilThereAreNone() throws {
        var ids: Set<Int> = []
        for number in LabLimits.labIDs {
            let record = try registry.reserve(
                directory: temporary.path + "/none\(number)", options: .test(), owner: nil)
            #expect(ids.insert(record.id).inserted)
        }
        #expect(ids == Set(LabLimits.labIDs))
        #expect(throws: LabError.self) {
            try registry.reserve(directory: temporary.path, options: .test(), owner: nil)
        }
    }

    @Test func aDamagedRecordIsNamed() throws {
        let path = temporary.path + "/lab.json"
        let good = LabRecord(
            directory: "/x", id: 1, options: .test(), owner: nil
        ).encoded()
        let text = String(decoding: good, as: UTF8.self)
        let damaged = [
            "", "{}", "[1]", String(text.dropLast(20)),
            text.replacingOccurrences(of: "\"version\" : 1", with: "\"version\" : 2"),
            text.replacingOccurrences(of: "\"id\" : 1", with: "\"id\" : 255"),
            text.replacingOccurrences(of: "\"nodes\" : 3", with: "\"nodes\" : 0"),
            text.replacingOccurrences(of: "\"/x\"", with: "\"x\""),
        ]
        for content in damaged {
            #expect(content != text)
            try SystemFile.replace(path, with: Array(content.utf8))
            #expect {
                _ = try LabRecord.read(path)
            } throws: { error in
                guard let error = error as? LabError else { return false }
                return error.code == .damagedRecord && error.message.contains(path)
            }
        }
    }

    @Test func whoseLabItIsDecidesWhatRemains() {
        let gone = ProcessIdentity(pid: 1, startTicks: 0, bootID: "another")
        func record(owner: ProcessIdentity?, daemon: ProcessIdentity?) -> LabRecord {
            var record = LabRecord(directory: "/x", id: 1, options: .test(), owner: owner)
            record.daemons["node1"] = daemon
            return record
        }
        #expect(!record(owner: .current, daemon: nil).isRemains)
        #expect(record(owner: gone, daemon: .current).isRemains)
        #expect(!record(owner: nil, daemon: .current).isRemains)
        #expect(record(owner: nil, daemon: gone).isRemains)
    }

    @Test func namesOfNamespacesAreToldFromOthers() {
        #expect(LabSweep.tag(ofNamespace: "covol-0123abcd-node1") == "0123abcd")
        #expect(LabSweep.tag(ofNamespace: "covol-0123abcd-switch") == "0123abcd")
        for name in [
            "covol-0123abcd", "covol-xyz-node1", "covol-0123abcg-node1", "other-0123abcd-node1",
            "covol-0123abcd-node1-x", "covol-0123abcd-other",
        ] {
            #expect(LabSweep.tag(ofNamespace: name) == nil)
        }
    }

    @Test func aDirectoryIsResolvedAlsoWhenItIsGone() throws {
        let real = Lab.resolve(temporary.path)
        #expect(Lab.resolve(temporary.path + "/gone") == real + "/gone")
        #expect(Lab.resolve(temporary.path + "/gone/deeper/") == real + "/gone/deeper")
        #expect(Lab.resolve("/nonexistent") == "/nonexistent")
        #expect(symlink(real, real + "/link") == 0)
        #expect(Lab.resolve(temporary.path + "/link/gone") == real + "/gone")
    }

    @Test func givenBinariesAreTakenOnlyWhenComplete() throws {
        let environment = ["COVOL_BIN_DIR": temporary.path]
        for name in ["covol", "covold", "covol-store"] {
            #expect {
                _ = try LabBinaries.find(environment: environment)
            } throws: { ($0 as? LabError)?.code == .missingBinary }
            try StandIn.write("exit 0", to: "\(temporary.path)/\(name)")
        }
        let found = try LabBinaries.find(environment: environment)
        #expect(found.directory == Lab.resolve(temporary.path))
    }
}
