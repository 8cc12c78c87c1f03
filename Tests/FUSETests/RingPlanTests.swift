import Testing

@testable import FUSE

@Suite struct RingPlanTests {
    @Test func processorLists() {
        #expect(FUSEProcessors.parse("0-3\n") == [0, 1, 2, 3])
        #expect(FUSEProcessors.parse("0,2-3,7") == [0, 2, 3, 7])
        #expect(FUSEProcessors.parse("5") == [5])
        for bad in ["", "\n", "a", "3-1", "1-2-3", "-", "0-99999999"] {
            #expect(FUSEProcessors.parse(bad) == nil, "\(bad)")
        }
    }

    @Test func everyQueueHasOneWorkerAndAnEntry() {
        for (possible, online, workers) in [
            (2, 2, 2), (8, 2, 2), (3, 3, 1), (2, 2, 5), (240, 8, 8),
        ] {
            var options = FUSEMountOptions()
            options.workers = workers
            options.slotsPerWorker = 16
            options.reserveEntriesPerWorker = 10
            let plans = FUSERingPlan.plans(
                options: options,
                processors: FUSEProcessors(possible: possible, online: Set(0..<online)))
            #expect(plans.count == workers)
            let queues = plans.flatMap(\.queues)
            #expect(queues.map(\.number).sorted() == (0..<UInt32(possible)).map { $0 })
            #expect(queues.allSatisfy { $0.entries >= 1 })
            // The CPUs that are there share their worker's slots, and leave the others one entry each.
            for plan in plans where !plan.queues.isEmpty {
                let present = plan.queues.filter { Int($0.number) < online }
                #expect(present.reduce(0) { $0 + $1.entries } <= 16)
                #expect(present.isEmpty || present[0].entries >= 16 / present.count)
                let entries = plan.queues.reduce(0) { $0 + $1.entries }
                #expect(plan.entryMaximum == entries + 10)
            }
        }
    }
}
