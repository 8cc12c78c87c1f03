import SwiftASN1
import X509

extension DistinguishedName {
    /// The text of the one attribute of this type; nil when there is none, or more than one.
    func onlyText(of type: ASN1ObjectIdentifier) -> String? {
        var found: String?
        for relative in self {
            for attribute in relative where attribute.type == type {
                guard found == nil, let text = String(attribute.value) else { return nil }
                found = text
            }
        }
        return found
    }
}
