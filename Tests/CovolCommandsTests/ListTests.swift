import Foundation
import Testing
import VolumeModel

@Suite("What lists and shows print", .timeLimit(.minutes(1)))
struct ListTests {
    @Test func volumeState() async throws {
        try await withDaemon { socket in
            let table = await covol("volume", "state", "--socket", socket)
            #expect(
                table
                    == Outcome(
                        status: 0,
                        output: """
                            VOLUME   NODE   COORDINATOR  STATE       REASON                          DETAIL
                            Volume1  node1  node1        Direct      -                               -
                            Volume1  node2  -            Redirected  NoDiskConnectivity,UserRequest  array snapshot

                            """, errors: ""))
            let json = await covol("volume", "state", "--json", "--socket", socket)
            let rows = try #require(
                JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
            #expect(rows.count == 2)
            #expect(
                rows[0].keys.sorted() == [
                    "coordinator", "detail", "node", "reason", "reasons", "state", "volume",
                ])
            #expect(rows[0]["reason"] is NSNull)
            #expect(rows[1]["state"] as? String == "Redirected")
        }
    }

    @Test func volumeList() async throws {
        try await withDaemon { socket in
            let table = await covol("volume", "list", "--socket", socket)
            #expect(
                table.output == """
                    NAME     FILESYSTEM  COORDINATOR     SIZE  USED  PATH                     DEVICE
                    Volume1  xfs         node1        2.0 GiB     -  /clusterstorage/Volume1  /dev/sdb

                    """)
            let json = await covol("volume", "list", "--json", "--socket", socket)
            #expect(
                json.output == """
                    [
                      {
                        "coordinator" : "node1",
                        "device" : "/dev/sdb",
                        "epoch" : 3,
                        "failover" : "Manual",
                        "fence" : "none",
                        "fenceProblem" : null,
                        "filesystem" : "xfs",
                        "id" : "5c1d",
                        "name" : "Volume1",
                        "path" : "/clusterstorage/Volume1",
                        "redirected" : {

                        },
                        "sizeBytes" : 2147483648,
                        "usedBytes" : null
                      }
                    ]

                    """)
        }
    }

    @Test func volumeShow() async throws {
        try await withDaemon { socket in
            let text = await covol("volume", "show", "Volume1", "--socket", socket)
            #expect(text.output.contains("Size:        2.0 GiB (2147483648 bytes)\n"))
            #expect(text.output.contains("Used:        -\n"))
            #expect(
                text.output.hasSuffix(
                    """
                    Fence:       none
                    Failover:    Manual
                    Redirected:  -

                    """))
            let json = await covol("volume", "show", "Volume1", "--json", "--socket", socket)
            let object = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
            #expect((object as? [String: Any])?["name"] as? String == "Volume1")
        }
    }

    @Test func nodeList() async throws {
        try await withDaemon { socket in
            let table = await covol("node", "list", "--socket", socket)
            #expect(
                table.output == """
                    NAME   STATE  ADDRESSES                    INCARNATION  COORDINATOR OF
                    node1  Up     10.0.0.1:7400,10.0.1.1:7400  1f           Volume1
                    node2  Down   -                            2f           -

                    """)
        }
    }

    @Test func stats() async throws {
        try await withDaemon { socket in
            let table = await covol("stats", "--socket", socket)
            let lines = table.output.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines[1].hasPrefix("Volume1  node2    12345         0  1.5 GiB        0 B"))
            let json = await covol("stats", "--json", "--socket", socket)
            #expect(json.output.contains("\"directReadBytes\" : 1610612736"))
        }
    }

    @Test func clusterShow() async throws {
        try await withDaemon { socket in
            let text = await covol("cluster", "show", "--socket", socket)
            #expect(text.output.hasPrefix("Cluster:   lab\nId:        c1\n"))
        }
    }

    @Test func fileMapFollowsAllPagesAndResolvesTheDirectory() async throws {
        let extents = [
            Extent(fileOffsetBytes: 0, lunOffsetBytes: 65536, lengthBytes: 4096, state: .written),
            Extent(fileOffsetBytes: 4096, lunOffsetBytes: 0, lengthBytes: 8192, state: .hole),
            Extent(fileOffsetBytes: 12288, lunOffsetBytes: 4096, lengthBytes: 4096, state: .shared),
        ]
        let backend = FakeBackend(extents: extents)
        try await withDaemon(backend) { socket in
            let directory = URL(fileURLWithPath: socket).deletingLastPathComponent().path
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/link", withDestinationPath: directory)
            let table = await covol(
                "file", "map", directory + "/link/disk.img", "--socket", socket)
            #expect(
                table.output == """
                    FILE OFFSET  LUN OFFSET  LENGTH  STATE
                              0       65536    4096  written
                           4096           -    8192  hole
                          12288        4096    4096  shared

                    """)
            let path = (directory as NSString).resolvingSymlinksInPath + "/disk.img"
            #expect(backend.calls == ["map \(path) 0", "map \(path) 4096", "map \(path) 12288"])
            let json = await covol(
                "file", "map", path, "--json", "--socket", socket)
            let rows = try JSONSerialization.jsonObject(with: Data(json.output.utf8))
            #expect(((rows as? [[String: Any]])?[1])?["lunOffsetBytes"] is NSNull)
        }
    }
}
