import Testing
import VolumeModel

@testable import ClusterCore

@Suite struct VolumeMemberTests {
    @Test func aVolumeStarts() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "b")
        #expect(fixture.records.owner?.phase == .serving)
        #expect(fixture.members["b"]?.coordinatedEpoch == Epoch(1))
        for name in ["a", "b", "c"] { #expect(fixture.members[name]?.sessionEpoch == Epoch(1)) }
    }

    @Test func nobodyMountsBeforeItIsAttached() {
        var fixture = MemberFixture(["a"])
        fixture.records.owner = .init(
            identity: fixture.identity("a"), epoch: Epoch(1), phase: .assigned)
        fixture.send(.lease(isValid: true), to: "a")
        fixture.tell()
        // Not drained: not even attached.
        #expect(fixture.open.isEmpty)
        fixture.send(.drained, to: "a")
        #expect(fixture.open.map(\.action) == [.attach])
    }

    @Test func aLostCoordinatorIsFencedBeforeItIsSucceeded() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.members["a"] = nil
        fixture.tell(except: ["a"])
        // The best candidate acts; the other waits for it.
        #expect(fixture.open.map(\.node) == ["b"])
        #expect(fixture.open.first?.action == .fence(fixture.identity("a"), .node))
        fixture.settle(except: ["a"])
        #expect(fixture.records.owner?.identity == fixture.identity("b"))
        #expect(fixture.records.owner?.epoch == Epoch(2))
        #expect(fixture.members["c"]?.sessionEpoch == Epoch(2))
        #expect(fixture.records.attachments["a"] == nil)
    }

    @Test func withoutProofNobodySucceeds() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.members["a"] = nil
        for _ in 0..<20 {
            fixture.settle(provesFences: false, except: ["a"])
            fixture.pass(seconds: 2, except: ["a"])
        }
        #expect(fixture.records.owner?.identity == fixture.identity("a"))
        #expect(fixture.members["b"]?.coordinatedEpoch == nil)
        // It goes on trying.
        #expect(fixture.open.contains { $0.action == .fence(fixture.identity("a"), .node) })
        // The control: without the rule the other node mounts, and there are two.
        var broken = MemberFixture(["a", "b"], rules: .all.subtracting(.oneCoordinator))
        broken.start(owner: "a")
        broken.records.members["a"] = nil
        broken.settle(provesFences: false, except: ["a"])
        #expect(broken.members["b"]?.coordinatedEpoch == Epoch(2))
        #expect(broken.members["a"]?.coordinatedEpoch == Epoch(1))
    }

    @Test func theNextCandidateActsWhenTheBestDoesNot() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.members["a"] = nil
        fixture.tell(except: ["a", "b"])
        #expect(fixture.open.isEmpty)
        fixture.pass(seconds: 4, except: ["a", "b"])
        #expect(fixture.open.map(\.node) == ["c"])
    }

    @Test func aPausedCoordinatorGivesUpWhenItWakes() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.members["a"] = nil
        fixture.settle(except: ["a"])
        fixture.open = []
        fixture.send(.lease(isValid: false), to: "a")
        #expect(fixture.open.map(\.action) == [.abandon(Epoch(1))])
        fixture.open = []
        fixture.send(.abandoned(Epoch(1), isProven: true), to: "a")
        fixture.send(.records(fixture.records), to: "a")
        // It was fenced: what was open is lost. (By the old records it would also resign: the store
        // refuses that, the record is not the one any more.)
        #expect(fixture.open.map(\.action).contains(.loseEverything))
        fixture.settle()
        #expect(fixture.records.owner?.identity == fixture.identity("b"))
    }

    @Test func aCoordinatorWithoutPathResignsAndItsNodeStays() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        fixture.send(.path(isUsable: false), to: "a")
        fixture.send(.coordinatorFailed(Epoch(1)), to: "a")
        fixture.settle()
        #expect(fixture.records.owner?.identity == fixture.identity("b"))
        #expect(fixture.records.owner?.phase == .serving)
        #expect(fixture.members["a"]?.sessionEpoch == Epoch(2))
        #expect(fixture.records.attachments["a"] != nil)
    }

    /// What a node gave up for want of a path it does not mount, though its path be back before the
    /// records say so, and though it does not hear whether the store took it: others may have it.
    @Test(arguments: [false, true])
    func whatIsGivenUpIsNotMounted(isAnswered: Bool) {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        fixture.send(.path(isUsable: false), to: "b")
        let assigned = VolumeRecords.Owner(
            identity: fixture.identity("b"), epoch: Epoch(2), phase: .assigned)
        fixture.records.owner = assigned
        fixture.send(.records(fixture.records), to: "b")
        #expect(fixture.open.map(\.action) == [.resign(Epoch(2), .released)])
        fixture.send(.path(isUsable: true), to: "b")
        fixture.send(.resigned(Epoch(2), isAnswered), to: "b")
        fixture.pass(seconds: 4, except: ["a"])
        #expect(fixture.members["b"]?.coordinatedEpoch == nil)
        #expect(fixture.open.allSatisfy { $0.action == .resign(Epoch(2), .released) })
        fixture.settle()
        fixture.pass(seconds: 5)
        fixture.settle()
        #expect(fixture.records.owner?.phase == .serving)
        #expect(fixture.records.owner?.epoch == Epoch(3))
    }

    @Test func anUnprovenEndIsFencedByThePath() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        fixture.send(.path(isUsable: false), to: "a")
        fixture.send(.coordinatorFailed(Epoch(1)), to: "a")
        fixture.open = []
        fixture.send(.abandoned(Epoch(1), isProven: false), to: "a")
        #expect(fixture.open.map(\.action) == [.resign(Epoch(1), .failed)])
        #expect(fixture.members["a"]?.mayRegister == false)
        fixture.records.owner?.phase = .failed
        fixture.open = []
        fixture.tell()
        #expect(fixture.open.map(\.action) == [.fence(fixture.identity("a"), .path)])
        #expect(fixture.members["a"]?.mayRegister == false)
        fixture.settle()
        #expect(fixture.members["a"]?.mayRegister == true)
    }

    /// What was proven to be over is over before the record says so.
    @Test func aProvenEndLeavesThePathToItsNode() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        #expect(fixture.members["a"]?.mayRegister == false)
        #expect(fixture.members["b"]?.mayRegister == true)
        fixture.send(.coordinatorFailed(Epoch(1)), to: "a")
        #expect(fixture.members["a"]?.mayRegister == false)
        fixture.send(.abandoned(Epoch(1), isProven: true), to: "a")
        #expect(fixture.members["a"]?.mayRegister == true)
    }

    /// A fenced life's last epoch is over before the next life has a key.
    @Test func nobodyAttachesWhileWhatItCoordinatedMayStillSend() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        fixture.records.attachments["a"] = nil
        fixture.records.owner?.phase = .fenced
        fixture.tell(except: ["b"])
        fixture.open = []
        fixture.send(.lostEverything, to: "a")
        #expect(fixture.open.isEmpty)
        fixture.send(.abandoned(Epoch(1), isProven: false), to: "a")
        #expect(fixture.open.map(\.action).contains(.attach))
    }

    @Test func aMoveHandsOver() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.owner?.moveTarget = "c"
        fixture.settle()
        #expect(fixture.records.owner?.identity == fixture.identity("c"))
        #expect(fixture.members["a"]?.coordinatedEpoch == nil)
        #expect(fixture.members["b"]?.sessionEpoch == Epoch(2))
    }

    @Test func aLostNodeIsForgottenOnceFenced() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.members["c"] = nil
        fixture.tell(except: ["c"])
        #expect(fixture.open.map(\.action) == [.fence(fixture.identity("c"), .node)])
        fixture.open = []
        fixture.send(.fenced(fixture.identity("c"), .node, isProven: false), to: "a")
        #expect(fixture.open.isEmpty)
        fixture.records.attachments["c"] = nil
        fixture.tell(except: ["c"])
        #expect(fixture.open.map(\.action) == [.forget(fixture.identity("c"))])
    }

    /// While it mounts there is no coordinator yet that could be told.
    /// A member that does not give back what is recalled: its path first, itself only after that.
    @Test func whoOwesARecallTooLongLosesItsPathThenItself() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        let late = fixture.identity("b")
        fixture.send(.overdue(late, .path), to: "a")
        #expect(fixture.open.map(\.action) == [.fence(late, .path)])
        fixture.settle()
        #expect(fixture.records.attachments["b"]?.hasPath == false)
        #expect(fixture.members["b"]?.isAttachedNow == true)
        // It has no path any more that could be cut.
        fixture.send(.overdue(late, .path), to: "a")
        #expect(fixture.open.isEmpty)
        fixture.send(.overdue(late, .node), to: "a")
        #expect(fixture.open.map(\.action) == [.fence(late, .node)])
        fixture.settle()
        // It lives, and has begun again.
        #expect(fixture.records.attachments["b"]?.incarnation == late.incarnation)
        #expect(fixture.members["b"]?.sessionEpoch == Epoch(1))
    }

    /// Neither this node itself, nor a life that is over, nor by whom is not the coordinator.
    @Test func onlyAnotherPresentMemberOwesARecall() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        let earlier = NodeIdentity(name: "b", incarnation: Incarnation(99))
        fixture.send(.overdue(earlier, .path), to: "a")
        fixture.send(.overdue(fixture.identity("a"), .path), to: "a")
        fixture.send(.overdue(fixture.identity("b"), .path), to: "c")
        #expect(fixture.open.isEmpty)
    }

    @Test func whoGoesDuringAMountIsForgottenAfterIt() {
        var fixture = MemberFixture(["a", "b", "c"])
        fixture.start(owner: "a")
        fixture.records.members["a"] = nil
        fixture.records.attachments["a"] = nil
        fixture.records.owner = .init(
            identity: fixture.identity("b"), epoch: Epoch(2), phase: .assigned)
        fixture.tell(except: ["a"])
        #expect(fixture.open.map(\.action) == [.mount(Epoch(2), attached: ["c"])])
        fixture.open = []
        fixture.records.members["c"] = nil
        fixture.records.attachments["c"] = nil
        fixture.tell(except: ["a", "c"])
        #expect(fixture.open.isEmpty)
        fixture.send(.mounted(Epoch(2), true), to: "b")
        #expect(fixture.open.map(\.action).contains(.forget(fixture.identity("c"))))
    }

    @Test func anEarlierLifeIsFencedBeforeTheNext() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "b")
        // The daemon of a starts again.
        let earlier = fixture.identity("a")
        let again = NodeIdentity(name: "a", incarnation: Incarnation(77))
        fixture.members["a"] = VolumeMember(me: again)
        fixture.records.members["a"] = again.incarnation
        fixture.send(.lease(isValid: true), to: "a")
        fixture.send(.records(fixture.records), to: "a")
        #expect(fixture.open.isEmpty)
        fixture.send(.drained, to: "a")
        #expect(fixture.open.map(\.action) == [.fence(earlier, .node)])
        fixture.settle()
        #expect(fixture.records.attachments["a"]?.incarnation == again.incarnation)
        #expect(fixture.members["a"]?.sessionEpoch == Epoch(1))
    }

    /// Another process of the same life: nobody is fenced and nothing is attached anew. What it
    /// coordinated is over, and said to be.
    @Test func aLifeGoesOnInAnotherProcess() {
        for (name, epoch) in [("a", Epoch(1)), ("b", nil)] as [(String, Epoch?)] {
            var fixture = MemberFixture(["a", "b"])
            fixture.start(owner: "a")
            let attachments = fixture.records.attachments
            fixture.members[name] = VolumeMember(me: fixture.identity(name))
            fixture.send(.resumed(over: epoch), to: name)
            fixture.send(.lease(isValid: true), to: name)
            fixture.send(.records(fixture.records), to: name)
            let expected: [VolumeMemberAction] =
                epoch.map { [.resign($0, .released), .openSession($0, fixture.identity("a"))] }
                ?? [.openSession(Epoch(1), fixture.identity("a"))]
            #expect(fixture.open.map(\.action) == expected)
            // There is no coordinator here any more to open a session with.
            fixture.open.removeAll {
                if case .openSession = $0.action { epoch != nil } else { false }
            }
            if let epoch { fixture.send(.sessionOpened(epoch, false), to: name) }
            fixture.settle()
            for _ in 0..<4 {
                fixture.pass(seconds: 4)
                fixture.settle()
            }
            #expect(fixture.records.attachments == attachments)
            #expect(fixture.records.owner?.phase == .serving)
            #expect(fixture.records.owner?.epoch == Epoch(epoch == nil ? 1 : 2))
            for (_, member) in fixture.members {
                #expect(member.sessionEpoch == fixture.records.owner?.epoch)
            }
        }
    }

    /// It was fenced while it had no process: everything that was open is lost.
    @Test func aLifeThatWasFencedDoesNotGoOn() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "b")
        fixture.members["a"] = VolumeMember(me: fixture.identity("a"))
        fixture.send(.resumed(over: nil), to: "a")
        fixture.records.attachments["a"] = nil
        fixture.send(.lease(isValid: true), to: "a")
        fixture.send(.records(fixture.records), to: "a")
        #expect(fixture.open.map(\.action) == [.loseEverything])
    }

    @Test func aWholeClusterStartsAgain() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        for (number, name) in ["a", "b"].enumerated() {
            let again = NodeIdentity(name: name, incarnation: Incarnation(UInt64(number) + 50))
            fixture.members[name] = VolumeMember(me: again)
            fixture.records.members[name] = again.incarnation
            fixture.send(.lease(isValid: true), to: name)
            fixture.send(.drained, to: name)
        }
        fixture.settle()
        fixture.pass(seconds: 4)
        fixture.settle()
        #expect(fixture.records.owner?.phase == .serving)
        #expect(fixture.records.owner?.epoch == Epoch(2))
        for name in ["a", "b"] { #expect(fixture.members[name]?.sessionEpoch == Epoch(2)) }
    }

    @Test func aRemovedVolumeStartsNothing() {
        var fixture = MemberFixture(["a", "b"])
        fixture.start(owner: "a")
        fixture.records.isRemoving = true
        fixture.records.members["a"] = nil
        fixture.tell(except: ["a"])
        #expect(fixture.open.isEmpty)
    }
}

@Suite struct MembershipLeaseTests {
    @Test func aLeaseCountsFromTheSending() {
        let second = MemberFixture.second
        var lease = MembershipLease()
        #expect(!lease.isValid(nowNanoseconds: 0))
        // The answer took four seconds.
        lease.renewed(sentNanoseconds: second, nowNanoseconds: 5 * second)
        #expect(lease.coversDirect(nowNanoseconds: 7 * second))
        #expect(!lease.coversDirect(nowNanoseconds: 8 * second))
        #expect(lease.isValid(nowNanoseconds: 10 * second))
        #expect(!lease.isValid(nowNanoseconds: 11 * second))
        // An earlier renewal that is answered late takes nothing back.
        lease.renewed(sentNanoseconds: 0, nowNanoseconds: 6 * second)
        #expect(lease.isValid(nowNanoseconds: 10 * second))
        lease.ended()
        #expect(!lease.isValid(nowNanoseconds: 2 * second))
    }

    @Test func withoutTheRuleItCountsFromTheAnswer() {
        let second = MemberFixture.second
        var lease = MembershipLease(rules: .all.subtracting(.leaseFromSend))
        lease.renewed(sentNanoseconds: second, nowNanoseconds: 5 * second)
        #expect(lease.isValid(nowNanoseconds: 12 * second))
    }
}
