import Foundation
import Testing

@testable import LabKit

/// The places in use: each is made at its first check, and all go with the suite.
actor Places {
    @TaskLocal static var current: Places?

    private var locals: [Place: LocalVolume] = [:]
    private var labs: [Place: Lab] = [:]
    private var seats: [Place: Seat] = [:]
    private var abandoned: [Place: Int] = [:]

    /// After so many hangs or failed starts of a place more would only take time.
    private static let maximumFailures = 4

    func seat(of place: Place) async throws -> Seat {
        if let seat = seats[place] { return seat }
        guard abandoned[place, default: 0] < Self.maximumFailures else {
            throw LabError(.notServing, "\(place.rawValue) failed too often to go on with it")
        }
        do {
            let seat = place.isVolume ? try await makeLab(place) : try await makeLocal(place)
            seats[place] = seat
            return seat
        } catch {
            abandoned[place, default: 0] += 1
            throw error
        }
    }

    private func makeLocal(_ place: Place) async throws -> Seat {
        let local = try await LocalVolume.make(place.fileSystem)
        locals[place] = local
        return Seat(
            directory: local.mountPoint, otherDirectory: local.mountPoint, isVolume: false,
            abort: {})
    }

    private func makeLab(_ place: Place) async throws -> Seat {
        let directory = try LabDirectory.makeTemporary()
        let lab: Lab
        do {
            lab = try await Lab.up(
                directory: directory, options: .test(fileSystem: place.fileSystem),
                certificates: Lab.defaultCertificates, progress: { LabDirectory.report($0) })
        } catch {
            LabDirectory.remove(directory)
            throw error
        }
        labs[place] = lab
        let rows = try await lab.node(1).volumeStates()
        let coordinator = rows.compactMap(\.coordinator).first
        let nodes = lab.nodes.filter { $0.name != coordinator }
        guard coordinator != nil, nodes.count == 2 else {
            throw LabError(.notServing, "no coordinator among the nodes of \(rows)")
        }
        return Seat(
            directory: nodes[0].volumePath, otherDirectory: nodes[1].volumePath, isVolume: true,
            abort: { try? FUSEConnections.abort(below: lab.plan.directory) })
    }

    /// Gives a place up after a hang; its next check gets a new one.
    func abandon(_ place: Place) async {
        abandoned[place, default: 0] += 1
        seats[place] = nil
        guard let lab = labs.removeValue(forKey: place) else { return }
        LabDirectory.report(lab.logTails())
        do {
            try await lab.down()
            lab.removeImage()
            LabDirectory.remove(lab.plan.directory)
        } catch {
            Issue.record("\(place.rawValue): \(error)")
        }
    }

    /// Takes everything down, and checks the volumes' file systems.
    func close() async throws {
        for local in locals.values { try await local.remove() }
        for (place, lab) in labs {
            defer {
                lab.removeImage()
                LabDirectory.remove(lab.plan.directory)
            }
            do {
                try await lab.down(keepImage: true)
                try await lab.checkFileSystem()
            } catch {
                LabDirectory.report(lab.logTails())
                Issue.record("\(place.rawValue): \(error)")
            }
        }
        locals = [:]
        labs = [:]
        seats = [:]
    }
}

/// Gives a suite its places, and takes them away at its end.
struct PlacesTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        let places = Places()
        do {
            try await Places.$current.withValue(places) { try await function() }
        } catch {
            try await places.close()
            throw error
        }
        try await places.close()
    }
}
