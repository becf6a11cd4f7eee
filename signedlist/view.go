package signedlist

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"bridge.example/internal/fault"
)

// File is one form of a list as it is published.
type File struct {
	Name      string // "anchors.pem"
	MediaType string
	Body      []byte
}

// View is what a list says of a file that was derived from it: the hash of its
// bytes. A view itself is not signed.
type View struct {
	Name string
	Hash [sha256.Size]byte
}

// views are the derived forms. Each is a function of the list and of nothing
// else, so that whoever has the list can make it again and compare. None but
// the comments in some carries the limits of the trust: software that imports
// them knows no such limits.
var views = []view{
	{"anchors-nss.sh", "application/x-sh", encodeNSS},
	{"anchors-openssl.tar.gz", "application/gzip", encodeHashed},
	{"anchors.mobileconfig", "application/x-apple-aspen-config", encodeApple},
	{"anchors.p12", "application/x-pkcs12", encodePKCS12},
	{"anchors.p7b", "application/x-pkcs7-certificates", encodePKCS7},
	{"anchors.p7c", "application/pkcs7-mime; smime-type=certs-only", encodePKCS7},
	{"anchors.pem", "application/x-pem-file", encodePEM},
	{"trustlist.txt", "text/plain; charset=utf-8", encodeTrustlist},
}

// views makes every view of l, which was opened or is about to be signed.
func (l *List) views() ([]File, error) {
	s := newSheet(l)
	out := make([]File, len(views))
	var g errgroup.Group
	for i, v := range views {
		g.Go(func() error {
			body, err := v.encode(s)
			if err != nil {
				return fmt.Errorf("making %s: %w", v.name, err)
			}
			out[i] = File{v.name, v.mediaType, body}
			return nil
		})
	}
	return out, g.Wait()
}

// View makes one view of l again. Errors: NotFound when l has no such view, or
// had it made in another way than this version makes it.
func (l *List) View(name string) (File, error) {
	for _, v := range views {
		if v.name != name {
			continue
		}
		body, err := v.encode(newSheet(l))
		if err != nil {
			return File{}, err
		}
		if err := l.CheckView(name, body); err != nil {
			return File{}, fault.New(fault.NotFound, "%s of list %d cannot be made again: %w", name, l.Number, err)
		}
		return File{name, v.mediaType, body}, nil
	}
	return File{}, fault.New(fault.NotFound, "list %d has no view %q", l.Number, name)
}

// Derive makes a view of those entries of l that a relying party selected, in
// their order. No list vouches for it: it is as good as where it is kept. Errors:
// NotFound when there is no view of that name.
func (l *List) Derive(name string, entries []Entry) (File, error) {
	some := *l
	some.Entries = entries
	for _, v := range views {
		if v.name == name {
			body, err := v.encode(newSheet(&some))
			return File{name, v.mediaType, body}, err
		}
	}
	return File{}, fault.New(fault.NotFound, "there is no view %q", name)
}

// CheckView checks that body is the view of that name which l vouches for.
// Errors: ErrView.
func (l *List) CheckView(name string, body []byte) error {
	for _, v := range l.Views {
		if v.Name == name {
			if sha256.Sum256(body) != v.Hash {
				return fmt.Errorf("%w: %s is not the one of list %d", ErrView, name, l.Number)
			}
			return nil
		}
	}
	return fmt.Errorf("%w: list %d vouches for no %s", ErrView, l.Number, name)
}

type view struct {
	name, mediaType string
	encode          func(*sheet) ([]byte, error)
}

// hashes is what a list says of files.
func hashes(files []File) (out []View) {
	for _, f := range files {
		out = append(out, View{f.Name, sha256.Sum256(f.Body)})
	}
	return out
}

// sheet is a list prepared for its views.
type sheet struct {
	*List
	rows []row
}

// row is one anchor as views show it.
type row struct {
	Entry
	name        string // unique in a list, letters, digits and hyphens
	fingerprint [sha256.Size]byte
	pem         []byte
}

func newSheet(l *List) *sheet {
	s := &sheet{List: l, rows: make([]row, len(l.Entries))}
	for i, e := range l.Entries {
		sum := sha256.Sum256(e.Certificate.Raw)
		s.rows[i] = row{
			Entry: e, fingerprint: sum, name: e.Member + "-" + hex.EncodeToString(sum[:8]),
			pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate.Raw}),
		}
	}
	return s
}

// origin tells the views of one bridge from those of others, whatever its keys.
func (s *sheet) origin() []byte {
	sum := sha256.Sum256([]byte(s.Issuer))
	return sum[:]
}

// heading says in lines of text which list a view was made from.
func (s *sheet) heading() string {
	return fmt.Sprintf("S/MIME trust anchors published by %s\nList %d, issued %s, next update %s\nCompare the SHA-256 of this file with the signed list before you trust it.\n",
		plain(s.Issuer), s.Number, s.IssuedAt.Format(time.RFC3339), s.NextUpdate.Format(time.RFC3339))
}

// text says in lines of text what is trusted, and how far.
func (r row) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\nMail domains, and all below: %s\n", r.Member, plain(r.Title), strings.Join(r.MailDomains, " "))
	if len(r.Levels) > 0 {
		fmt.Fprintf(&b, "Levels of assurance: %s\n", dotted(r.Levels))
	}
	fmt.Fprintf(&b, "Certificate policies: %s\nSHA-256: %s\n", dotted(r.Policies), colons(r.fingerprint[:]))
	return b.String()
}

// comment puts a mark before each line of text.
func comment(text string) string {
	return "# " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n# ") + "\n"
}

// plain keeps what others wrote on its line, and from looking like the start of
// a certificate.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.ReplaceAll(s, "--", "- ")
}

func dotted(oids []x509.OID) string { return strings.Join(texts(oids), " ") }

// colons is how people compare fingerprints.
func colons(b []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", b), " ", ":")
}
