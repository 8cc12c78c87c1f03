import SwiftASN1
import X509

/// PEM text (RFC 7468) to and from the types of swift-certificates, with our errors.
enum PEM {
    static func certificate(_ text: String, what: String) throws(AuthorityError) -> Certificate {
        do {
            return try Certificate(pemEncoded: text)
        } catch {
            throw AuthorityError(.malformed, "\(what) is not a PEM certificate: \(error)")
        }
    }

    static func privateKey(
        _ text: String, what: String
    ) throws(AuthorityError) -> Certificate.PrivateKey {
        do {
            return try Certificate.PrivateKey(pemEncoded: text)
        } catch {
            // The parser's error could repeat parts of the key.
            throw AuthorityError(.malformed, "\(what) is not a PEM private key")
        }
    }

    static func text(_ certificate: Certificate) throws(AuthorityError) -> String {
        do {
            return try certificate.serializeAsPEM().pemString + "\n"
        } catch {
            throw AuthorityError(.signing, "a certificate could not be written as PEM: \(error)")
        }
    }

    static func text(_ key: Certificate.PrivateKey) throws(AuthorityError) -> String {
        do {
            return try key.serializeAsPEM().pemString + "\n"
        } catch {
            throw AuthorityError(.signing, "a private key could not be written as PEM")
        }
    }
}
