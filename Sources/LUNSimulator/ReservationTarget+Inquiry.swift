/// INQUIRY, SPC-4 section 6.4: a disk.
extension ReservationTarget {
    func inquiry(_ cdb: [UInt8], from path: String) -> SCSIResponse {
        let allocation = Int(cdb.bigEndian(at: 3, count: 2))
        let wantsPage = cdb[1] & 0x01 != 0
        switch (wantsPage, cdb[2]) {
        case (false, 0): return .data(Self.standard, allocationBytes: allocation)
        case (true, 0x00):
            return .data(page(0x00, [0x00, 0x80, 0x83]), allocationBytes: allocation)
        case (true, 0x80):
            return .data(page(0x80, Array(Self.serial.utf8)), allocationBytes: allocation)
        case (true, 0x83): return .data(page(0x83, Self.identity), allocationBytes: allocation)
        default: return .check(.invalidFieldInCDB)
        }
    }

    static let vendor = "COVOLUME"
    static let product = "LUN SIMULATOR   "
    private static let serial = "covolume-lab-0001"

    /// 36 bytes: SPC-4, response format 2.
    private static var standard: [UInt8] {
        [0, 0, 0x06, 0x02, 31, 0, 0, 0x02] + Array(vendor.utf8) + Array(product.utf8)
            + Array("0001".utf8)
    }

    /// One designator of the T10 vendor kind: the same LUN by every path.
    private static var identity: [UInt8] {
        let name = Array(vendor.utf8) + Array(serial.utf8)
        return [0x02, 0x01, 0, UInt8(name.count)] + name
    }

    private func page(_ code: UInt8, _ content: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [0, code]
        bytes.append(bigEndian: UInt16(content.count))
        return bytes + content
    }
}
