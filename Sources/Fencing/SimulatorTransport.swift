import Foundation

/// A path of the lab's LUN simulator (`covol-lun`): commands as JSON, one object in a line each
/// way, over its Unix socket. Each command has a connection of its own, so that the simulator may
/// restart.
public struct SimulatorTransport: SCSITransport {
    public let name: String
    private let socket: String
    private let path: String
    private let timeoutSeconds: Double

    /// - Parameter path: the simulator's name of the path, `node1`.
    public init(
        socket: String, path: String,
        timeoutSeconds: Double = FencingLimits.commandTimeoutSeconds
    ) {
        name = "simulated path \(path)"
        self.socket = socket
        self.path = path
        self.timeoutSeconds = timeoutSeconds
    }

    private struct Request: Encodable {
        var command = "scsi"
        var path: String
        var cdb: String
        var data: String?
    }

    private struct Answer: Decodable {
        var status: Int?
        var sense: String?
        var data: String?
        var error: String?
    }

    public func execute(
        cdb: [UInt8], dataOut: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse {
        let request = Request(
            path: path, cdb: hexadecimal(cdb), data: dataOut.isEmpty ? nil : hexadecimal(dataOut))
        guard let line = try? JSONEncoder().encode(request) else {
            preconditionFailure("strings that are no JSON")
        }
        let connection = try UnixConnection(
            socket, timeoutSeconds: timeoutSeconds, name: name)
        try connection.send(Array(line) + [UInt8(ascii: "\n")])
        return try response(
            try connection.receiveLine(maximumBytes: FencingLimits.simulatorLineMaximumBytes),
            dataInMaximum: dataInMaximum)
    }

    private func response(
        _ line: [UInt8], dataInMaximum: Int
    ) throws(FenceError) -> SCSIResponse {
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(line)) else {
            throw .damagedAnswer("\(name): a line that is no answer")
        }
        if let error = answer.error { throw .transport("\(name): \(error)") }
        guard let number = answer.status, let status = UInt8(exactly: number),
            let sense = bytes(answer.sense), let data = bytes(answer.data)
        else { throw .damagedAnswer("\(name): an answer without status, or with odd digits") }
        // As a real path: never more than the command's buffer holds.
        return SCSIResponse(
            status: status, sense: sense, data: Array(data.prefix(dataInMaximum)))
    }

    private func bytes(_ text: String?) -> [UInt8]? {
        let digits = Array((text ?? "").utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[start..<start + 2], as: UTF8.self)
            guard pair.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                let byte = UInt8(pair, radix: 16)
            else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
