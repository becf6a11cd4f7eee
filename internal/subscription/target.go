package subscription

import (
	"bytes"
	"crypto/sha1" // #nosec: names certificates where programs want it so, proves nothing
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// Target is one thing that other programs read. All are made in the set; Link
// names a place outside, which becomes a symbolic link to it.
type Target struct {
	Kind string `yaml:"kind"`           // one of [TargetKinds]
	Link string `yaml:"link,omitempty"` // absolute path
}

// String is the target as a flag has it: KIND or KIND=LINK.
func (t Target) String() string {
	if t.Link == "" {
		return t.Kind
	}
	return t.Kind + "=" + t.Link
}

// file is one file of a set; its name may have one folder.
type file struct {
	name string
	body []byte
}

// encoder makes a kind of target from what is selected, under a name below a set.
type encoder struct {
	name   string // of the file or directory
	encode func([]signedlist.Entry) ([]file, error)
}

func encoders() map[string]encoder {
	return map[string]encoder{
		"pem":       {"anchors.pem", single("anchors.pem", encodePEM)},
		"p7b":       {"anchors.p7b", single("anchors.p7b", encodeP7B)},
		"trustlist": {"trustlist.txt", single("trustlist.txt", encodeTrustlist)},
		"directory": {"certs", encodeDirectory},
	}
}

// TargetKinds are the kinds there are: pem (a bundle), p7b (certs-only CMS),
// trustlist (gpgsm), directory (as openssl rehash makes it).
func TargetKinds() []string { return slices.Sorted(maps.Keys(encoders())) }

func single(name string, encode func([]signedlist.Entry) ([]byte, error)) func([]signedlist.Entry) ([]file, error) {
	return func(entries []signedlist.Entry) ([]file, error) {
		b, err := encode(entries)
		return []file{{name, b}}, err
	}
}

func encodePEM(entries []signedlist.Entry) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "# %s: %s\n", e.Member, plain(e.Title))
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate.Raw}))
	}
	return b.Bytes(), nil
}

func encodeP7B(entries []signedlist.Entry) ([]byte, error) {
	certs := make([]*x509.Certificate, len(entries))
	for i, e := range entries {
		certs[i] = e.Certificate
	}
	return cms.CertsOnly(certs)
}

// encodeTrustlist writes gpgsm's trustlist.txt: S is for S/MIME, relax lets CA
// certificates pass that are odd but not wrong.
func encodeTrustlist(entries []signedlist.Entry) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "# %s: %s\n%X S relax\n", e.Member, plain(e.Title), sha1.Sum(e.Certificate.Raw))
	}
	return b.Bytes(), nil
}

// encodeDirectory names each certificate by the hash of its subject, as OpenSSL
// looks for it: that hash, and a number that tells equal ones apart.
func encodeDirectory(entries []signedlist.Entry) ([]file, error) {
	out := make([]file, 0, len(entries))
	count := map[string]int{}
	for _, e := range entries {
		hash, err := subjectHash(e.Certificate)
		if err != nil {
			return nil, fmt.Errorf("naming the certificate of %s: %w", e.Member, err)
		}
		name := fmt.Sprintf("certs/%s.%d", hash, count[hash])
		count[hash]++
		out = append(out, file{name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate.Raw})})
	}
	return out, nil
}

// plain is a title that cannot end its line.
func plain(title string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, title)
}
