/// Columns as wide as their widest cell, two spaces apart, under a line of titles.
struct Table {
    var columns: [TableColumn]
    var rows: [[String]]

    /// Lines without spaces at their ends, and without the last line's end.
    var text: String {
        let cells = rows.map { row in
            precondition(row.count == columns.count, "a row does not have the table's columns")
            return row.map(Self.printable)
        }
        var widths = columns.map(\.title.count)
        for row in cells {
            for (index, cell) in row.enumerated() {
                widths[index] = max(widths[index], cell.count)
            }
        }
        let lines = ([columns.map(\.title)] + cells).map { Self.line($0, columns, widths) }
        return lines.joined(separator: "\n")
    }

    static func line(_ cells: [String], _ columns: [TableColumn], _ widths: [Int]) -> String {
        var text = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.count)
            text += index == 0 ? "" : "  "
            text += columns[index].alignment == .right ? padding + cell : cell + padding
        }
        while text.last == " " { text.removeLast() }
        return text
    }

    /// A value without anything that would move a terminal's cursor; `-` where there is none.
    static func printable(_ value: String) -> String {
        guard !value.isEmpty else { return "-" }
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                result += scalar.escaped(asASCII: true)
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
