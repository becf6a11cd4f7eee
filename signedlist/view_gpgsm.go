package signedlist

import (
	"bytes"
	"crypto/sha1" // the only name gpgsm has for a certificate
)

// encodeTrustlist writes trustlist.txt of GnuPG's agent. "relax" is for roots
// that do not keep every rule for them; the mail says no less about the user.
func encodeTrustlist(s *sheet) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comment(s.heading()))
	for _, r := range s.rows {
		sum := sha1.Sum(r.Certificate.Raw)
		b.WriteString("\n" + comment(r.text()) + colons(sum[:]) + " S relax\n")
	}
	return b.Bytes(), nil
}
