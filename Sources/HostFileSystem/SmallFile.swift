import CLinux
import Glibc
import VolumeModel

/// Reads a file of the kernel's (proc(5), sysfs(5)), at most 64 KiB.
func readSmallFile(_ path: String) throws(ErrorCode) -> String {
    let file = Descriptor(owning: try call(covol_block_open(path, covol_o_rdonly)))
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    var length = 0
    while length < buffer.count {
        let got = try file.use { fd throws(ErrorCode) in
            try call(
                buffer.withUnsafeMutableBytes { bytes in
                    Glibc.read(fd, bytes.baseAddress! + length, bytes.count - length)
                })
        }
        if got == 0 { break }
        length += got
    }
    return String(decoding: buffer[..<length], as: UTF8.self)
}

/// Writes a setting of the kernel's (sysfs(5)).
func writeSmallFile(_ path: String, _ text: String) throws(ErrorCode) {
    let file = Descriptor(owning: try call(covol_block_open(path, covol_o_wronly)))
    let bytes = Array(text.utf8)
    let written = try file.use { fd throws(ErrorCode) in
        try call(bytes.withUnsafeBytes { Glibc.write(fd, $0.baseAddress, $0.count) })
    }
    guard written == bytes.count else { throw .inputOutput }
}

/// The kernel's name of a block device, such as `loop0`.
func blockDeviceName(major: UInt32, minor: UInt32) throws(ErrorCode) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = try call(readlink("/sys/dev/block/\(major):\(minor)", &buffer, buffer.count))
    let target = String(
        decoding: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    return target.split(separator: "/").last.map(String.init) ?? target
}
