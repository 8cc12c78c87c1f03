import Foundation
import X509

extension Certificate {
    /// Checks that this is the certificate of a cluster's authority, signed by itself.
    func requireAuthority() throws(AuthorityError) -> CertificateSubject {
        guard let subject = CertificateSubject(subject), AuthorityNames.isLabel(subject.clusterID),
            issuer == self.subject, isMarkedAsAuthority,
            publicKey.isValidSignature(signature, for: self)
        else {
            throw AuthorityError(
                .malformed, "this is not the certificate of a Covolume cluster's authority")
        }
        return subject
    }

    func requireValid(at now: Date, what: String) throws(AuthorityError) {
        if now > notValidAfter {
            throw AuthorityError(
                .expired, "\(what) ended at \(notValidAfter.ISO8601Format()): issue a new one")
        }
        if now < notValidBefore {
            throw AuthorityError(
                .notYetValid,
                "\(what) is valid from \(notValidBefore.ISO8601Format()): check this host's clock")
        }
    }

    private var isMarkedAsAuthority: Bool {
        guard case .isCertificateAuthority = try? extensions.basicConstraints else { return false }
        return true
    }
}
