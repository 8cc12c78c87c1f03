import Testing

@testable import CovolCommands

@Suite("Tables and amounts")
struct TableTests {
    @Test func widthsAndSides() {
        let table = Table(
            columns: [.text("A"), .number("NUMBER"), .text("LAST")],
            rows: [["long cell", "1", "x"], ["", "1234567", ""]])
        #expect(
            table.text == """
                A           NUMBER  LAST
                long cell        1  x
                -          1234567  -
                """)
    }

    @Test func noRowsIsTheTitlesAlone() {
        #expect(Table(columns: [.text("A"), .text("B")], rows: []).text == "A  B")
    }

    @Test(arguments: [
        ("a\nb", "a\\nb"), ("\u{1B}[31m", "\\u{1B}[31m"), ("a\u{202E}b", "a\\u{202E}b"),
        ("é ü 日本", "é ü 日本"), ("", "-"),
    ])
    func nothingMovesTheCursor(value: String, printed: String) {
        #expect(Table.printable(value) == printed)
    }

    @Test(arguments: [
        (UInt64(0), "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1023.9 KiB"), (1 << 20, "1.0 MiB"), (2 << 30, "2.0 GiB"),
        (.max, "15.9 EiB"),
    ])
    func amounts(bytes: UInt64, text: String) {
        #expect(byteCountText(bytes) == text)
    }
}
