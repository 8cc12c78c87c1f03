import Foundation
import Glibc

/// Answers one line of the control socket. Blocks as long as the change it makes takes.
struct ControlHandler {
    let lun: SimulatedLUN
    /// Whether whoever asked is still there, for what waits.
    let isWanted: () -> Bool

    func answer(_ line: [UInt8]) -> [UInt8] {
        do {
            let request: ControlRequest
            do {
                request = try JSONDecoder().decode(ControlRequest.self, from: Data(line))
            } catch {
                throw ControlFailure(error: "not a request: a JSON object with \"command\"")
            }
            switch request.command {
            case "scsi": return try Self.encode(execute(request))
            case "fault": return try Self.encode(setFault(request))
            case "status": return try Self.encode(status)
            case "accesses": return try Self.encode(accesses(after: request.sinceSequence ?? 0))
            default:
                throw ControlFailure(
                    error: "no command '\(request.command)': there are scsi, fault, status, "
                        + "accesses")
            }
        } catch let failure as ControlFailure {
            return Self.line(failure)
        } catch {
            return Self.line(ControlFailure(error: "\(error)"))
        }
    }

    private static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value)) + [UInt8(ascii: "\n")]
    }

    static func line(_ failure: ControlFailure) -> [UInt8] {
        guard let line = try? encode(failure) else { preconditionFailure("a string encodes") }
        return line
    }

    private func path(_ request: ControlRequest) throws -> Int {
        guard let name = request.path else { throw ControlFailure(error: "\"path\" is missing") }
        guard let index = lun.pathIndex(name) else {
            throw ControlFailure(
                error: "no path '\(name)': there are "
                    + lun.configuration.paths.joined(separator: ", "))
        }
        return index
    }

    // MARK: SCSI

    private func execute(_ request: ControlRequest) throws -> ControlResponse {
        let path = try path(request)
        guard let cdb = request.cdb.flatMap(Hexadecimal.bytes), (6...16).contains(cdb.count) else {
            throw ControlFailure(error: "\"cdb\" is 6 to 16 bytes in hexadecimal digits")
        }
        guard let data = Hexadecimal.bytes(request.data ?? "") else {
            throw ControlFailure(error: "\"data\" is bytes in hexadecimal digits")
        }
        try waitForPath(path)
        guard let response = lun.execute(cdb: cdb, dataOut: data, path: path) else {
            throw ControlFailure(
                error: "writes that were to be aborted are still at the image after "
                    + "\(Int(LUNLimits.drainSeconds)) s")
        }
        return ControlResponse(response)
    }

    /// A command meets its path's fault as a read does.
    private func waitForPath(_ path: Int) throws {
        let name = lun.configuration.paths[path]
        let deadline =
            SimulatedLUN.nowNanoseconds + UInt64(LUNLimits.commandHangSeconds * 1e9)
        while true {
            switch lun.model.withLock({ $0.verdict(forCommandOn: path) }) {
            case .execute: return
            case .fail: throw ControlFailure(error: "path \(name) has failed (EIO)")
            case .delay(let milliseconds):
                usleep(UInt32(milliseconds) * 1000)
                return
            case .wait:
                guard SimulatedLUN.nowNanoseconds < deadline, isWanted() else {
                    throw ControlFailure(error: "path \(name) does not answer (ETIMEDOUT)")
                }
                usleep(10_000)
            }
        }
    }

    // MARK: Faults

    private func setFault(_ request: ControlRequest) throws -> ControlDone {
        let path = try path(request)
        let command = try faultCommand(request)
        lun.logger.info(
            "fault",
            metadata: [
                "path": "\(lun.configuration.paths[path])", "kind": "\(request.kind ?? "")",
                "milliseconds": "\(request.milliseconds ?? 0)",
            ])
        guard lun.apply(command, path: path) else {
            throw ControlFailure(
                error: "the fault is set, but writes of this path are still at the image after "
                    + "\(Int(LUNLimits.drainSeconds)) s")
        }
        return ControlDone()
    }

    private func faultCommand(
        _ request: ControlRequest
    ) throws -> LUNModel<LUNClient>.FaultCommand {
        switch request.kind {
        case "restore": return .set(.ok)
        case "fail": return .set(.fail)
        case "hang": return .set(.hang)
        case "cut": return .set(.cut)
        case "slow":
            let milliseconds = request.milliseconds ?? 0
            guard (1...LUNLimits.slowMaximumMilliseconds).contains(milliseconds) else {
                throw ControlFailure(
                    error: "slow needs \"milliseconds\", 1 to "
                        + "\(LUNLimits.slowMaximumMilliseconds)")
            }
            return .set(.slow(milliseconds: milliseconds))
        case "late-write": return .lateWrite
        case "release-late": return .releaseLate
        default:
            throw ControlFailure(
                error: "no fault '\(request.kind ?? "")': there are fail, hang, slow, cut, "
                    + "late-write, release-late, restore")
        }
    }

    // MARK: What there is

    private var status: ControlStatus {
        lun.model.withLock { model in
            ControlStatus(
                image: lun.configuration.image, sizeBytes: lun.sizeBytes,
                paths: model.paths.indices.map { Self.status(of: $0, model) },
                reservation: model.target.reservation.map {
                    ControlStatus.Reservation(type: $0.type.rawValue, maker: $0.maker)
                }, generation: model.target.generation,
                persistsThroughPowerLoss: model.target.persistsThroughPowerLoss,
                lastSequence: model.log.lastSequence)
        }
    }

    private static func status(
        of index: Int, _ model: LUNModel<LUNClient>
    ) -> ControlStatus.Path {
        let path = model.paths[index]
        let held = model.held(path: index)
        var milliseconds: Int?
        if case .slow(let delay) = path.fault { milliseconds = delay }
        var key: String?
        if let number = model.target.keys[path.name] {
            let digits = String(number, radix: 16)
            key = "0x" + String(repeating: "0", count: 16 - digits.count) + digits
        }
        return ControlStatus.Path(
            name: path.name, fault: path.fault.name, milliseconds: milliseconds,
            lateWrite: held.late > 0 ? "held" : path.isLateWriteArmed ? "armed" : nil, key: key,
            held: held.all, underWay: held.underWay, hasEnded: path.hasEnded,
            counters: path.counters)
    }

    private func accesses(after sequence: UInt64) -> ControlAccesses {
        let (log, entries, paths) = lun.model.withLock { model in
            (
                (model.log.firstSequence, model.log.lastSequence),
                model.log.entries(
                    after: sequence, limit: LUNLimits.accessesPerAnswerMaximum),
                model.paths
            )
        }
        var counters: [String: PathCounters] = [:]
        for path in paths { counters[path.name] = path.counters }
        return ControlAccesses(
            firstSequence: log.0, lastSequence: log.1,
            entries: entries.map { ControlAccesses.Entry($0, names: lun.configuration.paths) },
            paths: counters)
    }
}

extension ControlAccesses.Entry {
    init(_ entry: AccessLog.Entry, names: [String]) {
        self.init(
            sequence: entry.sequence, path: names[Int(entry.path)], kind: entry.kind.rawValue,
            late: entry.isLate, offset: entry.offsetBytes, length: entry.lengthBytes,
            startedNanoseconds: entry.startedNanoseconds,
            landedNanoseconds: entry.landedNanoseconds)
    }
}
