package signedlist_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/cms"
	"bridge.example/signedlist"
)

// equal compares lists; parsed OIDs differ inside from those made from text.
func equal(t *testing.T, got, want *signedlist.List) {
	t.Helper()
	flat := func(l *signedlist.List) (header signedlist.List, entries []string) {
		header = *l
		header.Entries = nil
		for _, e := range l.Entries {
			s := []string{e.Member, e.Title, string(e.Certificate.Raw)}
			for _, p := range e.Policies {
				s = append(s, p.String())
			}
			entries = append(entries, strings.Join(append(s, e.MailDomains...), "|"))
		}
		return header, entries
	}
	gotHeader, gotEntries := flat(got)
	wantHeader, wantEntries := flat(want)
	if !reflect.DeepEqual(gotHeader, wantHeader) || !reflect.DeepEqual(gotEntries, wantEntries) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

const day = 24 * time.Hour

func TestPublish(t *testing.T) {
	b := newBench(t)
	alpha, beta := entry(t, "alpha"), entry(t, "beta")
	alpha2 := entry(t, "alpha") // a second CA of the same member
	narrow := beta
	narrow.MailDomains = beta.MailDomains[:1]
	shuffled := beta
	shuffled.Policies = []x509.OID{beta.Policies[1], beta.Policies[0], beta.Policies[1]}
	shuffled.MailDomains = []string{beta.MailDomains[1], beta.MailDomains[0]}
	long := beta
	long.Title = strings.Repeat("ü", 500)

	old := entry(t, "old")
	old.Certificate = issue(t, "old root", nil, func(c *x509.Certificate) {
		// Written by hand, so that crypto/x509 adds no key identifier.
		c.BasicConstraintsValid = false
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte("\x30\x03\x01\x01\xff")}}
	}).Cert

	var last []byte
	var lastNumber int64
	for _, tt := range []struct {
		name    string
		later   time.Duration
		entries []signedlist.Entry
		number  int64
	}{
		{"the first list, before anybody is a member", 0, nil, 1},
		{"nothing changed", time.Minute, nil, 1},
		{"two members", time.Minute, []signedlist.Entry{alpha, beta}, 2},
		{"the same in another order", time.Minute, []signedlist.Entry{shuffled, alpha}, 2},
		{"a limit changed", 0, []signedlist.Entry{alpha, narrow}, 3},
		{"two CAs of one member", 0, []signedlist.Entry{alpha, alpha2, beta}, 4},
		{"just young enough", day - time.Second, []signedlist.Entry{alpha2, alpha, beta}, 4},
		{"a day old", time.Second, []signedlist.Entry{alpha, alpha2, beta}, 5},
		{"a CA without key identifier", time.Hour, []signedlist.Entry{old}, 6},
		{"a title that must be cut", time.Hour, []signedlist.Entry{long}, 7},
		{"cut the same way", time.Hour, []signedlist.Entry{long}, 7},
		{"the last one left long ago", 30 * day, nil, 8},
	} {
		b.now = b.now.Add(tt.later)
		l, der, err := b.Publish(t.Context(), tt.entries)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if l.Number != tt.number || bytes.Equal(der, last) != (tt.number == lastNumber) {
			t.Errorf("%s: got number %d issued at %v, want %d", tt.name, l.Number, l.IssuedAt, tt.number)
		}
		last, lastNumber = der, l.Number
		b.publish(t, tt.entries...)
	}
	if got := int64(len(b.archive.lists)); got != 8 {
		t.Errorf("got %d lists archived, want 8", got)
	}
}

func TestListIsValidForAWeek(t *testing.T) {
	b := newBench(t)
	if l, _ := b.publish(t); !l.NextUpdate.Equal(noon.Add(7*day)) || !l.IssuedAt.Equal(noon) {
		t.Errorf("got %v to %v", l.IssuedAt, l.NextUpdate)
	}
	// Once its signer's certificate ends, nobody could open a list.
	b.now = b.signer.Cert.NotAfter.Add(-time.Hour)
	if l, _ := b.publish(t); !l.NextUpdate.Equal(b.signer.Cert.NotAfter) {
		t.Errorf("got nextUpdate %v, want that of the signer, %v", l.NextUpdate, b.signer.Cert.NotAfter)
	}
	b.now = b.signer.Cert.NotAfter.Add(time.Hour)
	if _, _, err := b.Publish(t.Context(), nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("got %v with an expired signer, want Unavailable", err)
	}
}

func TestPublishRefusesWhenTheClockWentBack(t *testing.T) {
	b := newBench(t)
	b.publish(t)
	for _, back := range []time.Duration{time.Second, time.Hour, 30 * day} {
		b.now = noon.Add(-back)
		if l, _, err := b.Publish(t.Context(), []signedlist.Entry{entry(t, "alpha")}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%v earlier: got %v, %v, want Unavailable", back, l, err)
		}
	}
	if len(b.archive.lists) != 1 {
		t.Errorf("got %d lists archived, want 1", len(b.archive.lists))
	}
}

func TestPublishReturnsNothingUnarchived(t *testing.T) {
	b := newBench(t)
	b.publish(t)
	b.archive.full = true
	if l, der, err := b.Publish(t.Context(), []signedlist.Entry{entry(t, "alpha")}); err == nil || l != nil || der != nil {
		t.Errorf("got %v, %x, %v though the archive is full", l, der, err)
	}
	b.archive.full = false
	if l, _ := b.publish(t, entry(t, "alpha")); l.Number != 2 {
		t.Errorf("got number %d, want 2", l.Number)
	}
}

func TestPublishRefusesWhenTheArchiveLostLists(t *testing.T) {
	b := newBench(t)
	b.publish(t)
	b.publish(t, entry(t, "alpha"))
	b.archive.lists = b.archive.lists[1:]
	if l, _, err := b.Publish(t.Context(), nil); err == nil || len(b.archive.lists) != 1 {
		t.Errorf("got %v, %v, though numbers would repeat", l, err)
	}
}

func TestPublishWithANewSigner(t *testing.T) {
	b := newBench(t)
	alpha := entry(t, "alpha")
	b.publish(t, alpha)
	// Another certificate for its key: the list stands.
	b.signer = issueFor(t, b.signer.Key.(*ecdsa.PrivateKey), "List signer", b.bridge, signsLists)
	b.SetSigner(*b.signer)
	if l, _ := b.publish(t, alpha); l.Number != 1 {
		t.Errorf("got number %d, want 1", l.Number)
	}
	// Another key is announced at once, and then continues the list.
	second := issue(t, "List signer 2", b.bridge, signsLists)
	if err := b.Announce(second.Key.Public()); err != nil {
		t.Fatal(err)
	}
	before, _ := b.publish(t, alpha)
	if before.Number != 2 || len(before.Signers) != 2 {
		t.Errorf("got number %d with %d signers, want 2 with 2", before.Number, len(before.Signers))
	}
	b.SetSigner(*second)
	if l, _ := b.publish(t, alpha); l.Number != 3 || !slices.Contains(before.Signers, l.Signer) {
		t.Errorf("got number %d by %x", l.Number, l.Signer)
	}
	// One that was not announced can take trust away, if need be; those who had
	// the list before notice.
	b.Publisher = b.with(issue(t, "List signer 3", b.bridge, signsLists))
	l, _, err := b.Publish(t.Context(), []signedlist.Entry{alpha})
	if err != nil || l.Number != 4 || !errors.Is(l.Supersedes(before), signedlist.ErrUnannounced) {
		t.Errorf("got %+v, %v, want number 4 by a stranger", l, err)
	}
	// Another CA: the old list says nothing to those who trust the new one.
	b.bridge = issue(t, "Bridge 2", nil, ca)
	b.Publisher = b.with(issue(t, "List signer 4", b.bridge, signsLists))
	if l, _, err := b.Publish(t.Context(), []signedlist.Entry{alpha}); err != nil || l.Number != 5 {
		t.Errorf("got %+v, %v, want number 5", l, err)
	}
	// A signer who may not sign lists publishes none.
	b.Publisher = b.with(issue(t, "Mail signer", b.bridge, signsMail))
	if l, _, err := b.Publish(t.Context(), nil); err == nil || len(b.archive.lists) != 5 {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestPublishConcurrently(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	for _, name := range []string{"alpha", "beta", "gamma", "delta"} {
		e := entry(t, name)
		wg.Go(func() {
			if _, _, err := b.Publish(t.Context(), []signedlist.Entry{e}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(b.archive.lists); got != 4 {
		t.Errorf("got %d lists, want 4", got)
	}
}

func TestPublishRefusesEntry(t *testing.T) {
	b := newBench(t)
	alpha := entry(t, "alpha")
	for name, edit := range map[string]func(*signedlist.Entry){
		"no member":              func(e *signedlist.Entry) { e.Member = "" },
		"a member in upper case": func(e *signedlist.Entry) { e.Member = "Beta" },
		"no title":               func(e *signedlist.Entry) { e.Title = "" },
		"a title in Latin-1":     func(e *signedlist.Entry) { e.Title = "M\xfcnchen" },
		"no certificate":         func(e *signedlist.Entry) { e.Certificate = nil },
		"not a CA":               func(e *signedlist.Entry) { e.Certificate = b.signer.Cert },
		"another's certificate":  func(e *signedlist.Entry) { e.Certificate = alpha.Certificate },
		"no policy":              func(e *signedlist.Entry) { e.Policies = nil },
		"an empty policy":        func(e *signedlist.Entry) { e.Policies = make([]x509.OID, 1) },
		"no mail domain":         func(e *signedlist.Entry) { e.MailDomains = nil },
		"every mail domain":      func(e *signedlist.Entry) { e.MailDomains = []string{""} },
		"a domain's children":    func(e *signedlist.Entry) { e.MailDomains = []string{".beta.example"} },
		"a mailbox":              func(e *signedlist.Entry) { e.MailDomains = []string{"bob@beta.example"} },
	} {
		e := entry(t, "beta")
		edit(&e)
		if l, _, err := b.Publish(t.Context(), []signedlist.Entry{alpha, e}); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v, %v, want Invalid", name, l, err)
		}
	}
	if len(b.archive.lists) != 0 {
		t.Errorf("got %d lists archived, want none", len(b.archive.lists))
	}
}

func TestSupersedes(t *testing.T) {
	b := newBench(t)
	one, _ := b.publish(t)
	two, _ := b.publish(t, entry(t, "alpha"))
	three, _ := b.publish(t)
	b.archive.lists = b.archive.lists[:1]
	otherTwo, _ := b.publish(t, entry(t, "mallory"))
	for _, tt := range []struct {
		name     string
		old, new *signedlist.List
		want     error
	}{
		{"the same", two, two, nil},
		{"the next", two, three, nil},
		{"one that skips", one, three, nil},
		{"a replay", three, two, signedlist.ErrRollback},
		{"other content under a number in use", two, otherTwo, signedlist.ErrFork},
		{"a successor of another list", otherTwo, three, signedlist.ErrFork},
	} {
		if err := tt.new.Supersedes(tt.old); !errors.Is(err, tt.want) || fault.KindOf(err) != fault.KindOf(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	b := newBench(t)
	l, der := b.publish(t, entry(t, "alpha"))
	listType := oid(t, "1.2.840.113549.1.9.16.1.34")
	bundle, err := cms.CertsOnly([]*x509.Certificate{b.bridge.Cert})
	if err != nil {
		t.Fatal(err)
	}
	content := func() []byte {
		v, err := cms.Verify(der, b.roots(), noon)
		if err != nil {
			t.Fatal(err)
		}
		return v.Content
	}()
	attributes := func(drop int) []cms.Attribute {
		v, err := cms.Verify(der, b.roots(), noon)
		if err != nil {
			t.Fatal(err)
		}
		return append(v.Attributes[:drop:drop], v.Attributes[drop+1:]...)
	}
	signed := func(s *signedlist.Signer, contentType x509.OID, content []byte, as []cms.Attribute) []byte {
		t.Helper()
		der, err := cms.Sign(content, contentType, *s, cms.SignOptions{At: noon, Attributes: as})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	number := cms.Attribute{Type: oid(t, "2.25.203099105519607916965137856595848328713.1"), Values: [][]byte{{2, 1, 1}}}
	until := cms.Attribute{Type: oid(t, "2.25.203099105519607916965137856595848328713.2"), Values: [][]byte{[]byte("\x18\x0f20261130120000Z")}}
	good := []cms.Attribute{number, until}
	if _, err := signedlist.Open(signed(b.signer, listType, content, good), b.roots(), noon); err != nil {
		t.Fatalf("the list that the cases below deviate from: %v", err)
	}
	zero := cms.Attribute{Type: number.Type, Values: [][]byte{{2, 1, 0}}}
	before := cms.Attribute{Type: oid(t, "2.25.203099105519607916965137856595848328713.4"), Values: [][]byte{append([]byte{4, 32}, make([]byte, 32)...)}}
	two := cms.Attribute{Type: number.Type, Values: [][]byte{{2, 1, 2}}}
	past := cms.Attribute{Type: until.Type, Values: [][]byte{[]byte("\x18\x0f20261123115959Z")}}

	// A member may give its users any certificate, so also one that looks like
	// the signer's.
	member := issue(t, "Member", nil, ca)
	cross := issue(t, "Member", b.bridge, func(c *x509.Certificate) {
		ca(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	})
	impostor := issue(t, "List signer", cross, signsLists)
	deeper := issue(t, "List signer", issue(t, "Bridge", cross, ca), signsLists)

	for _, tt := range []struct {
		name string
		der  []byte
		at   time.Time
		want error
	}{
		{"nextUpdate passed", der, l.NextUpdate.Add(time.Second), signedlist.ErrExpired},
		{"the clock was set back", der, noon.Add(-time.Hour), signedlist.ErrEarly},
		{"nothing", nil, noon, signedlist.ErrFormat},
		{"cut off", der[:len(der)-1], noon, signedlist.ErrFormat},
		{"a bundle of certificates", bundle, noon, signedlist.ErrFormat},
		{"another type of content", signed(b.signer, cms.Data(), content, good), noon, signedlist.ErrFormat},
		{"not a list of anchors", signed(b.signer, listType, []byte("\x04\x00"), good), noon, signedlist.ErrFormat},
		{"something after the list", signed(b.signer, listType, append(content[:len(content):len(content)], 5, 0), good), noon, signedlist.ErrFormat},
		{"no attributes", signed(b.signer, listType, content, nil), noon, signedlist.ErrFormat},
		{"without one", signed(b.signer, listType, content, attributes(0)), noon, signedlist.ErrFormat},
		{"without the other", signed(b.signer, listType, content, attributes(1)), noon, signedlist.ErrFormat},
		{"a second list without a first", signed(b.signer, listType, content, []cms.Attribute{two, until}), noon, signedlist.ErrFormat},
		{"a first list with one before", signed(b.signer, listType, content, []cms.Attribute{number, until, before}), noon, signedlist.ErrFormat},
		{"a list before the first", signed(b.signer, listType, content, []cms.Attribute{zero, until, before}), noon, signedlist.ErrFormat},
		{"expired when issued", signed(b.signer, listType, content, []cms.Attribute{number, past}), noon, signedlist.ErrFormat},
		{"signed by a stranger", signed(issue(t, "List signer", member, signsLists), listType, content, good), noon, signedlist.ErrSignature},
		{"signed by a member's user", signed(impostor, listType, content, good), noon, signedlist.ErrSignature},
		{"signed below a CA of a member that has no limits of its own", signed(deeper, listType, content, good), noon, signedlist.ErrSignature},
		{"signed by the bridge's mail signer", signed(issue(t, "Mail", b.bridge, signsMail), listType, content, good), noon, signedlist.ErrSignature},
		{"signed by the bridge CA's key", signed(b.bridge, listType, content, good), noon, signedlist.ErrSignature},
	} {
		if _, err := signedlist.Open(tt.der, b.roots(), tt.at); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
	if old, err := signedlist.Open(der, b.roots(), l.NextUpdate.Add(day)); old == nil || old.Number != l.Number {
		t.Errorf("got %v, %v, want the expired list beside the error", old, err)
	}
}

func TestEveryByteCounts(t *testing.T) {
	b := newBench(t)
	_, der := b.publish(t, entry(t, "alpha"))
	roots := b.roots()
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 1
		if l, err := signedlist.Open(changed, roots, noon); err == nil || l != nil {
			t.Errorf("accepted with byte %d changed from %#02x to %#02x", i, der[i], changed[i])
		}
	}
}

// FuzzOpen has the signer sign any content. What opens is published and opened
// again, and must say the same.
func FuzzOpen(f *testing.F) {
	b := newBench(f)
	_, der, err := b.Publish(f.Context(), []signedlist.Entry{entry(f, "alpha"), entry(f, "beta")})
	if err != nil {
		f.Fatal(err)
	}
	v, err := cms.Verify(der, b.roots(), noon)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v.Content)
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		der, err := cms.Sign(content, v.ContentType, *b.signer, cms.SignOptions{At: noon, Attributes: v.Attributes})
		if err != nil {
			t.Fatal(err)
		}
		l, err := signedlist.Open(der, b.roots(), noon)
		if err != nil {
			if !errors.Is(err, signedlist.ErrFormat) {
				t.Errorf("got %v, want ErrFormat", err)
			}
			return
		}
		b.archive = &memory{}
		again, _, err := published(b.with(b.signer).Publish(t.Context(), l.Entries, nil))
		if err != nil {
			t.Fatal(err)
		}
		again.Hash, again.Views = l.Hash, l.Views
		equal(t, again, l)
	})
}

// TestOfflineRoot opens a list with nothing but the root above the bridge CA.
func TestOfflineRoot(t *testing.T) {
	root := issue(t, "Root", nil, ca)
	bridge := issue(t, "Bridge", root, ca)
	b := &bench{bridge: root, signer: issue(t, "List signer", bridge, signsLists), archive: &memory{}, now: noon}
	b.Publisher = b.with(b.signer)
	b.publish(t, entry(t, "alpha"))
	_, der := b.publish(t)
	if _, err := signedlist.Open(der, pool(bridge.Cert), noon); err != nil {
		t.Errorf("with the bridge CA as anchor: %v", err)
	}
	if _, err := signedlist.Open(der, newBench(t).roots(), noon); !errors.Is(err, signedlist.ErrSignature) {
		t.Errorf("with another root: got %v, want ErrSignature", err)
	}
}
