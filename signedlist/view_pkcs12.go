package signedlist

import (
	"crypto/sha3"

	"software.sslmate.com/src/go-pkcs12"
)

// trustStorePassword opens the PKCS #12 file. It keeps nothing secret and
// proves nothing: Java wants one, and this is its usual one.
const trustStorePassword = "changeit"

// encodePKCS12 writes a trust store (RFC 7292) for Java, which takes from it only
// what carries Oracle's attribute trustedKeyUsage. Salts come from what is in it,
// so that the same list gives the same bytes.
func encodePKCS12(s *sheet) ([]byte, error) {
	salts := sha3.NewSHAKE256()
	entries := make([]pkcs12.TrustStoreEntry, len(s.rows))
	for i, r := range s.rows {
		salts.Write(r.fingerprint[:])
		entries[i] = pkcs12.TrustStoreEntry{Cert: r.Certificate, FriendlyName: r.name}
	}
	return pkcs12.Modern2023.WithRand(salts).EncodeTrustStoreEntries(entries, trustStorePassword)
}
