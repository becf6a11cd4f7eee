package signedlist

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"bridge.example/internal/wire/cms"
	"bridge.example/internal/wire/jws"
)

const (
	jsonType    = "bridge-list" // typ of the JWS
	jsonVersion = 1
)

// jsonList is the payload of the JWS. Hashes are SHA-256 in lower-case hex, times
// RFC 3339 in UTC, certificates DER in base64. Fields may be added.
type jsonList struct {
	Version    int               `json:"version"`
	Bridge     string            `json:"bridge"` // Issuer
	Number     int64             `json:"number"`
	IssuedAt   time.Time         `json:"issued_at"`
	NextUpdate time.Time         `json:"next_update"`
	List       string            `json:"list_sha256"`     // Hash
	Previous   string            `json:"previous_sha256"` // of the list before; empty in the first
	Signers    []string          `json:"signers"`
	Views      map[string]string `json:"views"`
	Entries    []jsonEntry       `json:"entries"`
}

type jsonEntry struct {
	Member      string   `json:"member"`
	Title       string   `json:"title"`
	Certificate []byte   `json:"certificate"`
	SHA256      string   `json:"sha256"` // of the certificate
	Levels      []string `json:"levels"`
	Policies    []string `json:"policies"`
	MailDomains []string `json:"mail_domains"`
}

// encodeJSON signs l, which has its Hash, as JSON.
func encodeJSON(l *List, s Signer) ([]byte, error) {
	out := jsonList{
		Version: jsonVersion, Bridge: l.Issuer, Number: l.Number, IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate,
		List: hex.EncodeToString(l.Hash[:]), Views: map[string]string{},
		Entries: make([]jsonEntry, len(l.Entries)),
	}
	if l.Number > 1 {
		out.Previous = hex.EncodeToString(l.Previous[:])
	}
	for _, h := range l.Signers {
		out.Signers = append(out.Signers, hex.EncodeToString(h[:]))
	}
	for _, v := range l.Views {
		out.Views[v.Name] = hex.EncodeToString(v.Hash[:])
	}
	for i, e := range l.Entries {
		sum := sha256.Sum256(e.Certificate.Raw)
		out.Entries[i] = jsonEntry{
			Member: e.Member, Title: e.Title, Certificate: e.Certificate.Raw, SHA256: hex.EncodeToString(sum[:]),
			Levels: texts(e.Levels), Policies: texts(e.Policies), MailDomains: e.MailDomains,
		}
	}
	payload, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	// As in CMS: who verifies has the root already.
	certs := slices.DeleteFunc(slices.Concat([]*x509.Certificate{s.Cert}, s.Chain), func(c *x509.Certificate) bool {
		return !c.Equal(s.Cert) && bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignatureFrom(c) == nil
	})
	return jws.Sign(jws.Signed{Payload: payload, Type: jsonType, At: l.IssuedAt, Certs: certs}, s.Key)
}

// OpenJSON is [Open] for the list as signed JSON. Its Hash is that of the list
// in CMS, so that one may follow the other.
func OpenJSON(b []byte, roots *x509.CertPool, at time.Time) (*List, error) {
	signed, err := verifyJSON(b, roots, at)
	if err != nil {
		return nil, err
	}
	l, err := decodeJSON(signed.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if !l.IssuedAt.Equal(signed.At) || l.Issuer != signed.Certs[0].Issuer.String() {
		return nil, fmt.Errorf("%w: time or bridge are not those of the signature", ErrFormat)
	}
	l.Signer = keyHash(signed.Certs[0])
	if err := l.check(); err != nil {
		return nil, err
	}
	err = l.fresh(at)
	if err != nil && !errors.Is(err, ErrExpired) {
		return nil, err
	}
	return l, err
}

// verifyJSON checks who signed b, not what it says.
func verifyJSON(b []byte, roots *x509.CertPool, at time.Time) (*jws.Signed, error) {
	signed, err := jws.Verify(b)
	switch {
	case errors.Is(err, jws.ErrFormat):
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	case signed.Type != jsonType:
		return nil, fmt.Errorf("%w: content is of type %q", ErrFormat, signed.Type)
	}
	chain, err := cms.Chain(signed.Certs[0], signed.Certs, roots, at)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !maySign(chain) {
		return nil, fmt.Errorf("%w: %q may not sign lists", ErrSignature, signed.Certs[0].Subject)
	}
	return signed, nil
}

func decodeJSON(payload []byte) (*List, error) {
	var in jsonList
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, err
	}
	if in.Version != jsonVersion || len(in.Entries) > maxEntries || len(in.Signers) > maxSigners || len(in.Views) > maxViews {
		return nil, fmt.Errorf("version %d, or too much of something", in.Version)
	}
	l := &List{Number: in.Number, IssuedAt: in.IssuedAt.UTC(), NextUpdate: in.NextUpdate.UTC(), Issuer: in.Bridge}
	var errs []error
	hash := func(s string) (h [sha256.Size]byte) {
		if len(s) != 2*len(h) {
			errs = append(errs, fmt.Errorf("%q is not a SHA-256", s))
		} else if _, err := hex.Decode(h[:], []byte(s)); err != nil {
			errs = append(errs, err)
		}
		return h
	}
	l.Hash = hash(in.List)
	if in.Previous != "" {
		l.Previous = hash(in.Previous)
	}
	for _, s := range in.Signers {
		l.Signers = append(l.Signers, hash(s))
	}
	for name, h := range in.Views {
		l.Views = append(l.Views, View{name, hash(h)})
	}
	slices.SortFunc(l.Views, compareViews)
	for i, e := range in.Entries {
		entry := Entry{Member: e.Member, Title: e.Title, MailDomains: e.MailDomains}
		var err error
		if entry.Certificate, err = x509.ParseCertificate(e.Certificate); err != nil {
			return nil, fmt.Errorf("entries[%d]: %w", i, err)
		}
		if hash(e.SHA256) != sha256.Sum256(entry.Certificate.Raw) {
			return nil, fmt.Errorf("entries[%d]: sha256 is not that of the certificate", i)
		}
		for _, list := range []struct {
			from []string
			to   *[]x509.OID
		}{{e.Levels, &entry.Levels}, {e.Policies, &entry.Policies}} {
			for _, s := range list.from {
				o, err := x509.ParseOID(s)
				errs = append(errs, err)
				*list.to = append(*list.to, o)
			}
		}
		l.Entries = append(l.Entries, entry)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, inOrder(l.Entries)
}

func texts(oids []x509.OID) []string {
	out := make([]string, len(oids))
	for i, o := range oids {
		out[i] = o.String()
	}
	return out
}
