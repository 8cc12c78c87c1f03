import Management
import NIOHTTP1
import Testing

@Suite("Bad requests get an answer of 4xx and never reach the backend")
struct BadInputTests {
    private struct Case: CustomTestStringConvertible, Sendable {
        var method: HTTPMethod
        var uri: String
        var body: String?
        var status: UInt
        var says: String

        var testDescription: String { "\(method) \(uri) \(body?.prefix(40) ?? "")" }
    }

    private static let cases = [
        Case(method: .POST, uri: "/v1/volumes", body: "{", status: 400, says: "not JSON"),
        Case(method: .POST, uri: "/v1/volumes", body: nil, status: 400, says: "not JSON"),
        Case(method: .POST, uri: "/v1/volumes", body: "[]", status: 400, says: "another shape"),
        Case(method: .POST, uri: "/v1/volumes", body: "{}", status: 400, says: "device"),
        Case(
            method: .POST, uri: "/v1/volumes", body: #"{"device":7}"#, status: 400, says: "device"),
        Case(
            method: .POST, uri: "/v1/volumes", body: #"{"device":"sdb"}"#, status: 400,
            says: "absolute"),
        Case(
            method: .POST, uri: "/v1/volumes", body: #"{"device":"/dev/\u0000"}"#, status: 400,
            says: "absolute"),
        Case(
            method: .POST, uri: "/v1/volumes",
            body: #"{"device":"/\#(String(repeating: "x", count: 5000))"}"#, status: 400,
            says: "too long"),
        Case(
            method: .POST, uri: "/v1/volumes", body: #"{"device":"/dev/sdb","filesystem":"ntfs"}"#,
            status: 400, says: "use xfs or ext4"),
        Case(
            method: .POST, uri: "/v1/volumes", body: #"{"device":"/dev/sdb","name":"../x"}"#,
            status: 400, says: "invalid-name"),
        Case(
            method: .POST, uri: "/v1/volumes",
            body: #"{"device":"\#(String(repeating: "x", count: 70_000))"}"#, status: 413,
            says: "too-large"),
        Case(
            method: .POST, uri: "/v1/file-map", body: #"{"path":"relative","offsetBytes":0}"#,
            status: 400, says: "maximumExtents"),
        Case(
            method: .POST, uri: "/v1/file-map",
            body: #"{"path":"/a","offsetBytes":0,"maximumExtents":1000000000}"#, status: 400,
            says: "maximumExtents"),
        Case(
            method: .POST, uri: "/v1/file-map",
            body: #"{"path":"/a","offsetBytes":-1,"maximumExtents":1}"#, status: 400,
            says: "out of range"),
        Case(
            method: .POST, uri: "/v1/volumes/Volume1/rename", body: #"{"name":""}"#, status: 400,
            says: "empty"),
        Case(
            method: .GET, uri: "/v1/volumes/-x", body: nil, status: 400, says: "invalid-name"),
        Case(
            method: .DELETE, uri: "/v1/volumes/..%2f..", body: nil, status: 400,
            says: "invalid-name"),
        Case(
            method: .PATCH, uri: "/v1/volumes/Volume1", body: "{}", status: 400,
            says: "nothing to set"),
        Case(
            method: .PATCH, uri: "/v1/volumes/Volume1",
            body: #"{"allowUnprovenFailover":"yes"}"#, status: 400, says: "allowUnprovenFailover"),
        Case(
            method: .POST, uri: "/v1/volumes/Volume1/redirect", body: #"{"reason":"a\nb"}"#,
            status: 400, says: "one line"),
        Case(
            method: .POST, uri: "/v1/volumes/Volume1/redirect",
            body: #"{"reason":"\#(String(repeating: "x", count: 257))"}"#, status: 400,
            says: "1 to 256"),
        Case(
            method: .POST, uri: "/v1/volumes/-x/resume", body: nil, status: 400,
            says: "invalid-name"),
        Case(
            method: .POST, uri: "/v1/volumes/Volume1/move", body: #"{"to":"Node 1"}"#, status: 400,
            says: "invalid-name"),
        Case(
            method: .DELETE, uri: "/v1/nodes/..%2fx", body: nil, status: 400,
            says: "invalid-name"),
        Case(
            method: .GET, uri: "/v1/events?limit=1001", body: nil, status: 400, says: "limit"),
        Case(
            method: .GET, uri: "/v1/events?after=-1", body: nil, status: 400, says: "sequence"),
        Case(
            method: .GET, uri: "/v1/events?volume=..", body: nil, status: 400,
            says: "invalid-name"),
        Case(
            method: .GET, uri: "/v1/events/follow?since=1", body: nil, status: 400,
            says: "no parameter"),
        Case(method: .GET, uri: "/v1/nothing", body: nil, status: 404, says: "no-such-endpoint"),
        Case(method: .GET, uri: "/", body: nil, status: 404, says: "no-such-endpoint"),
        Case(
            method: .DELETE, uri: "/v1/nodes", body: nil, status: 404, says: "no-such-endpoint"),
    ]

    @Test func everyCase() async throws {
        let backend = FakeBackend()
        try await withRawServer(backend) { path in
            for item in Self.cases {
                let answer = try await RawAnswer.request(
                    item.method, item.uri, body: item.body, socketPath: path)
                #expect(answer.status == item.status, "\(item.testDescription): \(answer.body)")
                #expect(answer.body.contains(item.says), "\(item.testDescription): \(answer.body)")
                #expect(answer.body.hasPrefix(#"{"error":{"code":""#))
            }
            // The server is none the worse.
            let answer = try await RawAnswer.request(.GET, "/v1/volumes", socketPath: path)
            #expect(answer.status == 200)
        }
        #expect(backend.calls == ["volumes"])
    }
}
