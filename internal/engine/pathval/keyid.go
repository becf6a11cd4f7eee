package pathval

import (
	"bytes"
	"crypto/sha1" // names keys here, and proves nothing that is trusted
	"crypto/sha256"
	"crypto/sha512"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// derivesKeyID reports whether the subject key identifier of c is a hash of its
// key: RFC 5280 §4.2.1.2 (1), RFC 7093 §2 (1) to (4). Anybody may claim the
// identifier of another's key; nobody finds another key that has it as its hash.
func (c *Certificate) derivesKeyID() bool {
	id := c.subjectKeyID
	if len(id) < sha1.Size {
		return false
	}
	var seq, algorithm cryptobyte.String
	var bits []byte
	s := cryptobyte.String(c.keyInfo)
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&algorithm, cbasn1.SEQUENCE) || !readBits(&seq, &bits) {
		return false
	}
	if len(id) > sha1.Size {
		return bytes.Equal(id, c.key.id[:])
	}
	one, two, three, four := sha1.Sum(bits), sha256.Sum256(bits), sha512.Sum384(bits), sha512.Sum512(bits)
	return bytes.Equal(id, one[:]) || bytes.HasPrefix(two[:], id) || bytes.HasPrefix(three[:], id) || bytes.HasPrefix(four[:], id)
}

// namedKey is an issuer's name, by number, and a key identifier.
type namedKey struct {
	name int32
	id   string
}

// issuerKey returns the id of the key that must have signed child, if one of
// the candidates proves it: it has the key identifier that child names, derived
// from its key. A child that names a wrong one is read as it was written, so
// this is good for the order of the search and no more.
func (p *Pool) issuerKey(child *Certificate) (key [32]byte, proven bool) {
	name, ok := p.ids[child.Issuer.key]
	if !ok {
		return key, false
	}
	key, proven = p.derived[namedKey{name, string(child.authorityKeyID)}]
	return key, proven
}
