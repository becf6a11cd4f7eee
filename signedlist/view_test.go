package signedlist_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

// names are the files of a list, in the order published.
var names = []string{
	"list.p7s", "list.jws", "anchors-nss.sh", "anchors-openssl.tar.gz", "anchors.mobileconfig", "anchors.p12",
	"anchors.p7b", "anchors.p7c", "anchors.pem", "trustlist.txt",
}

// issueOf publishes, and checks what holds for every publication.
func (b *bench) issueOf(t *testing.T, entries ...signedlist.Entry) *signedlist.Publication {
	t.Helper()
	p, err := b.Publisher.Publish(t.Context(), entries, left)
	if err != nil {
		t.Fatal(err)
	}
	l, err := signedlist.Open(p.DER, b.roots(), b.now)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range p.Files {
		if f.Name != names[i] || f.MediaType == "" || len(f.Body) == 0 {
			t.Errorf("file %d is %q, want %q", i, f.Name, names[i])
		}
		old, err := b.Old(t.Context(), p.Number, f.Name)
		if err != nil || old.MediaType != f.MediaType || !bytes.Equal(old.Body, f.Body) {
			t.Errorf("%s from the archive: other than it was, %v", f.Name, err)
		}
		if i < 2 {
			continue
		}
		if err := l.CheckView(f.Name, f.Body); err != nil {
			t.Error(err)
		}
		if made, err := l.View(f.Name); err != nil || !bytes.Equal(made.Body, f.Body) {
			t.Errorf("%s made again by who opened the list: other than it was, %v", f.Name, err)
		}
	}
	fromJSON, err := signedlist.OpenJSON(p.Files[1].Body, b.roots(), b.now)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, fromJSON, l)
	return p
}

func TestEveryForm(t *testing.T) {
	b := newBench(t)
	alpha, beta := entry(t, "alpha"), entry(t, "beta")
	alpha.Levels = slices.Clone(alpha.Policies)
	alpha.Title = "Alpha & <Söhne>\n-----BEGIN CERTIFICATE-----\u2028"
	first := b.issueOf(t)
	if len(first.Files) != len(names) {
		t.Errorf("got %d files, want %d", len(first.Files), len(names))
	}
	b.now = b.now.Add(time.Minute)
	second := b.issueOf(t, alpha, beta)
	// Unchanged, and the same to a publisher who has just started.
	if again := b.issueOf(t, beta, alpha); again != second {
		t.Error("an unchanged list was made twice")
	}
	b.Publisher = b.with(b.signer)
	if again := b.issueOf(t, beta, alpha); again.Number != 2 || !bytes.Equal(again.Files[1].Body, second.Files[1].Body) {
		t.Errorf("got number %d after a restart", again.Number)
	}
	if latest, err := b.with(b.signer).Latest(t.Context()); err != nil || len(latest.Files) != len(names) {
		t.Errorf("got %v, want every file", err)
	}
	for _, tt := range []struct {
		number int64
		name   string
	}{{0, "list.p7s"}, {3, "list.p7s"}, {3, "list.jws"}, {3, "anchors.pem"}, {2, "anchors"}, {2, ""}, {-1, "anchors.pem"}} {
		if f, err := b.Old(t.Context(), tt.number, tt.name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s of list %d: got %d bytes, %v", tt.name, tt.number, len(f.Body), err)
		}
	}
	// What members call themselves starts no line and no certificate.
	for _, f := range second.Files[2:] {
		if bytes.Contains(f.Body, []byte("Söhne")) && (bytes.Contains(f.Body, []byte("\n-----BEGIN CERTIFICATE-----\u2028")) ||
			!strings.Contains(string(f.Body), "Söhne> - - -BEGIN") && !strings.Contains(string(f.Body), "Söhne&gt; - - -BEGIN")) {
			t.Errorf("%s has the name of a member as it is", f.Name)
		}
	}
}

func TestViewsAreChecked(t *testing.T) {
	b := newBench(t)
	one := b.issueOf(t, entry(t, "alpha"))
	two := b.issueOf(t, entry(t, "beta"))
	for i, f := range one.Files[2:] {
		changed := bytes.Clone(f.Body)
		changed[len(changed)/2] ^= 1
		for _, err := range []error{
			one.CheckView(f.Name, changed), two.CheckView(f.Name, f.Body), one.CheckView("other", f.Body), one.CheckView(f.Name, nil),
		} {
			if !errors.Is(err, signedlist.ErrView) {
				t.Errorf("%s: got %v, want ErrView", f.Name, err)
			}
		}
		// A list whose view was made otherwise does not show ours for it.
		l := *one.List
		l.Views = slices.Clone(l.Views)
		l.Views[i].Hash = sha256.Sum256(changed)
		if _, err := l.View(f.Name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: got %v, want NotFound", f.Name, err)
		}
	}
}

// TestNoTrustVanishes takes an entry away without a reason.
func TestNoTrustVanishes(t *testing.T) {
	b := newBench(t)
	alpha, beta := entry(t, "alpha"), entry(t, "beta")
	b.issueOf(t, alpha, beta)
	var asked []string
	why := func(reason string) func(signedlist.Entry) string {
		return func(e signedlist.Entry) string {
			asked = append(asked, e.Member)
			return reason
		}
	}
	other := entry(t, "beta") // of the same member
	for _, w := range []func(signedlist.Entry) string{nil, why("")} {
		for _, entries := range [][]signedlist.Entry{{alpha}, {alpha, other}, nil} {
			if p, err := b.Publisher.Publish(t.Context(), entries, w); !errors.Is(err, signedlist.ErrLost) || p != nil {
				t.Errorf("got %v, want ErrLost", err)
			}
		}
	}
	if n := len(b.archive.lists); n != 1 {
		t.Errorf("got %d lists, want the first alone", n)
	}
	asked = nil
	p, err := b.Publisher.Publish(t.Context(), []signedlist.Entry{alpha, other}, why("amended"))
	if err != nil || p.Number != 2 || !slices.Equal(asked, []string{"beta"}) {
		t.Errorf("asked about %q: %v", asked, err)
	}
	// Not after the list has expired either.
	b.now = b.now.Add(10 * day)
	if _, err := b.Publisher.Publish(t.Context(), []signedlist.Entry{alpha}, nil); !errors.Is(err, signedlist.ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
}

func TestEveryByteOfJSONCounts(t *testing.T) {
	b := newBench(t)
	p := b.issueOf(t, entry(t, "alpha"))
	good, roots := p.Files[1].Body, b.roots()
	for i := range good {
		changed := bytes.Clone(good)
		changed[i] ^= 1
		if i%7 == 0 {
			changed[i] = '\n' // decoders of base64 pass over it
		}
		if l, err := signedlist.OpenJSON(changed, roots, noon); err == nil || l != nil {
			t.Errorf("accepted with byte %d changed from %q to %q", i, good[i], changed[i])
		}
	}
	for _, extra := range []string{"\n", "=", " ", "A"} {
		if _, err := signedlist.OpenJSON(append(bytes.Clone(good), extra...), roots, noon); err == nil {
			t.Errorf("accepted with %q at the end", extra)
		}
	}
	for name, tt := range map[string]struct {
		roots *bench
		at    time.Time
		want  error
	}{
		"another root": {newBench(t), noon, signedlist.ErrSignature},
		"expired":      {b, noon.Add(8 * day), signedlist.ErrExpired},
		"early":        {b, noon.Add(-day), signedlist.ErrEarly},
	} {
		if _, err := signedlist.OpenJSON(good, tt.roots.roots(), tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	// Who may not sign lists in CMS may not sign them in JSON.
	mail := issue(t, "Mail", b.bridge, signsMail)
	if _, err := signedlist.OpenJSON(resign(t, good, mail), roots, noon); !errors.Is(err, signedlist.ErrSignature) {
		t.Errorf("signed by the bridge's mail signer: got %v, want ErrSignature", err)
	}
}
