package signedlist_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/xmlsig"
	"bridge.example/signedlist"
)

// file is one form of p.
func file(t testing.TB, p *signedlist.Publication, name string) []byte {
	t.Helper()
	i := slices.IndexFunc(p.Files, func(f signedlist.File) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("list %d has no %s", p.Number, name)
	}
	return p.Files[i].Body
}

// publishXML publishes, and checks what holds for every list in XML.
func (b *bench) publishXML(t *testing.T, entries ...signedlist.Entry) ([]byte, []signedlist.Service) {
	t.Helper()
	p, err := b.Publisher.Publish(t.Context(), entries, left)
	if err != nil {
		t.Fatal(err)
	}
	document := file(t, p, signedlist.XMLName)
	l, services, err := signedlist.OpenXML(document, b.roots(), b.now)
	if err != nil {
		t.Fatalf("opening what was published: %v\n%s", err, document)
	}
	want := *p.List
	want.Views = nil // for which the format has no place
	equal(t, l, &want)
	sum := sha256.Sum256(document)
	if got := string(file(t, p, signedlist.SHA2Name)); got != hex.EncodeToString(sum[:]) {
		t.Errorf("got digest %s, want %x", got, sum)
	}
	for _, name := range []string{signedlist.XMLName, signedlist.SHA2Name} {
		if old, err := b.Old(t.Context(), l.Number, name); err != nil || !bytes.Equal(old.Body, file(t, p, name)) {
			t.Errorf("%s of list %d is another afterwards (%v)", name, l.Number, err)
		}
	}
	return document, services
}

// history is what services were, as "beta granted 12:00 withdrawn 13:00".
func history(services []signedlist.Service) (out []string) {
	for _, s := range services {
		text := s.Member
		for i, at := range s.Changes {
			text += []string{" granted ", " withdrawn "}[i%2] + at.Format("15:04")
		}
		if s.Granted() != (len(s.Changes)%2 == 1) {
			text += "?"
		}
		out = append(out, text)
	}
	return out
}

// TestServicesNeverVanish: whoever left the list is in sight, with all that was.
func TestServicesNeverVanish(t *testing.T) {
	b := newXMLBench(t)
	alpha, beta, gamma := entry(t, "alpha"), entry(t, "beta"), entry(t, "gamma")
	renamed := beta
	renamed.Title = "Beta\tunder <another> name"
	for _, step := range []struct {
		name    string
		entries []signedlist.Entry
		want    []string
	}{
		{"nobody", nil, nil},
		{"two", []signedlist.Entry{alpha, beta}, []string{"alpha granted 13:00", "beta granted 13:00"}},
		{"one leaves", []signedlist.Entry{beta}, []string{"alpha granted 13:00 withdrawn 14:00", "beta granted 13:00"}},
		{"it is still gone", []signedlist.Entry{renamed}, []string{"alpha granted 13:00 withdrawn 14:00", "beta granted 13:00"}},
		{"it comes back, another leaves", []signedlist.Entry{alpha, gamma}, []string{
			"alpha granted 13:00 withdrawn 14:00 granted 16:00", "beta granted 13:00 withdrawn 16:00", "gamma granted 16:00"}},
		{"all leave", nil, []string{
			"alpha granted 13:00 withdrawn 14:00 granted 16:00 withdrawn 17:00", "beta granted 13:00 withdrawn 16:00", "gamma granted 16:00 withdrawn 17:00"}},
	} {
		// Mostly another process, which has the archive and nothing else.
		if len(step.entries) > 0 {
			b.Publisher = b.with(b.signer)
		}
		_, services := b.publishXML(t, step.entries...)
		if got := history(services); !slices.Equal(got, step.want) {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
		b.now = b.now.Add(time.Hour)
	}
}

// TestXMLAfterARestart: the same list has the same bytes, though nothing is the
// same about a second ECDSA signature.
func TestXMLAfterARestart(t *testing.T) {
	b := newXMLBench(t)
	alpha := entry(t, "alpha")
	before, _ := b.publishXML(t, alpha)
	b.Publisher = b.with(b.signer)
	if after, _ := b.publishXML(t, alpha); !bytes.Equal(before, after) {
		t.Error("list 1 was signed twice")
	}
}

// TestXMLFromNowOn: lists of before there was a scheme are no obstacle, and a
// damaged history does not keep anybody on the list.
func TestXMLFromNowOn(t *testing.T) {
	b := newXMLBench(t)
	alpha, beta := entry(t, "alpha"), entry(t, "beta")
	plain := signedlist.NewPublisher(*b.signer, b.archive, signedlist.Options{Now: func() time.Time { return b.now }})
	if p, err := plain.Publish(t.Context(), []signedlist.Entry{alpha}, left); err != nil || slices.ContainsFunc(p.Files, func(f signedlist.File) bool { return f.Name == signedlist.XMLName }) {
		t.Fatalf("without a scheme: got %+v, %v", p, err)
	}
	b.now = b.now.Add(time.Hour)
	if _, services := b.publishXML(t, alpha); !slices.Equal(history(services), []string{"alpha granted 13:00"}) {
		t.Errorf("got %q", history(services))
	}
	b.now = b.now.Add(time.Hour)
	if _, err := plain.Publish(t.Context(), []signedlist.Entry{beta}, left); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Hour)
	document, services := b.publishXML(t, beta)
	if !slices.Equal(history(services), []string{"alpha granted 13:00 withdrawn 15:00", "beta granted 15:00"}) {
		t.Errorf("got %q", history(services))
	}
	document[len(document)/2] ^= 1
	b.Publisher = b.with(b.signer)
	p, err := b.Publisher.Publish(t.Context(), nil, left)
	if err != nil || len(p.Entries) != 0 {
		t.Errorf("after damage: got %+v, %v", p, err)
	}
}

func TestOpenXMLRefuses(t *testing.T) {
	b := newXMLBench(t)
	alpha := entry(t, "alpha")
	document, _ := b.publishXML(t, alpha)
	stranger, mail := issue(t, "Stranger", nil, ca), issue(t, "Mail", b.bridge, signsMail)
	v, err := xmlsig.Verify(document)
	if err != nil {
		t.Fatal(err)
	}
	by := func(s *signedlist.Signer, content string, at time.Time) []byte {
		t.Helper()
		out, err := xmlsig.Sign([]byte(content), xmlsig.Signer(*s), at)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	same := string(v.Content())
	replaced := func(old, new string) []byte {
		t.Helper()
		if !strings.Contains(same, old) {
			t.Fatalf("no %s in %s", old, same)
		}
		return by(b.signer, strings.Replace(same, old, new, 1), noon)
	}
	extension := same[strings.LastIndex(same, "<Extension "):]
	extension = extension[:strings.Index(extension, "</Extension>")+len("</Extension>")]
	for _, tt := range []struct {
		name     string
		document []byte
		at       time.Time
		want     error
	}{
		{"nothing", nil, noon, signedlist.ErrFormat},
		{"not XML", []byte("<"), noon, signedlist.ErrFormat},
		{"not signed", v.Content(), noon, signedlist.ErrFormat},
		{"changed", bytes.Replace(document, []byte("alpha"), []byte("alphb"), 1), noon, signedlist.ErrSignature},
		{"by a stranger", by(issue(t, "S", stranger, signsLists), same, noon), noon, signedlist.ErrSignature},
		{"by whom signs mail", by(mail, same, noon), noon, signedlist.ErrSignature},
		{"too early", document, noon.Add(-time.Hour), signedlist.ErrEarly},
		{"too late", document, noon.Add(8 * 24 * time.Hour), signedlist.ErrExpired},
		{"signed at another time", by(b.signer, same, noon.Add(time.Second)), noon, signedlist.ErrFormat},
		{"another format", by(b.signer, `<list></list>`, noon), noon, signedlist.ErrFormat},
		{"another version", replaced(">6<", ">5<"), noon, signedlist.ErrFormat},
		{"no number", replaced(">1<", "><"), noon, signedlist.ErrFormat},
		{"a number too low", replaced(">1<", ">0<"), noon, signedlist.ErrFormat},
		{"no predecessor", replaced(">1<", ">2<"), noon, signedlist.ErrFormat},
		{"closed", replaced("<dateTime>2026-11-30T12:00:00Z</dateTime>", ""), noon, signedlist.ErrFormat},
		{"another time zone", replaced("<dateTime>2026-11-30T12:00:00Z", "<dateTime>2026-11-30T13:00:00+01:00"), noon, signedlist.ErrFormat},
		{"history that ends", replaced("65535", "0"), noon, signedlist.ErrFormat},
		{"another member's name", replaced("<Name xml:lang=\"en\">alpha</Name>", "<Name xml:lang=\"en\">Alpha!</Name>"), noon, signedlist.ErrFormat},
		{"another kind of service", replaced("CA/PKC", "CA/QC"), noon, signedlist.ErrFormat},
		{"another status", replaced("Svcstatus/granted", "Svcstatus/withdrawn"), noon, signedlist.ErrFormat},
		{"another name of a CA", replaced("CN=alpha root", "CN=omega root"), noon, signedlist.ErrFormat},
		{"another key", replaced("<X509SKI>", "<X509SKI>AAAA"), noon, signedlist.ErrFormat},
		{"no mail domain", replaced("urn:oid:2.25.203099105519607916965137856595848328713.10", "urn:x"), noon, signedlist.ErrFormat},
		{"not an object identifier", replaced("1.3.6.1.4.1.32473.1.1<", "01.3.6.1.4.1.32473.1.1<"), noon, signedlist.ErrFormat},
		{"a policy twice", replaced("1.3.6.1.4.1.32473.1.1<", "1.3.6.1.4.1.32473.1.2<"), noon, signedlist.ErrFormat},
		{"an unknown extension", replaced(extension, extension+strings.NewReplacer("true", "false", ".10<", ".99<").Replace(extension)), noon, nil},
		{"a critical one", replaced(extension, extension+strings.ReplaceAll(extension, ".10<", ".99<")), noon, signedlist.ErrFormat},
		{"a provider twice", replaced("</TrustServiceProviderList>", same[strings.Index(same, "<TrustServiceProvider>"):strings.Index(same, "</TrustServiceProviderList>")]+"</TrustServiceProviderList>"), noon, signedlist.ErrFormat},
		{"an empty history", replaced("</ServiceInformation>", "</ServiceInformation><ServiceHistory></ServiceHistory>"), noon, nil},
		{"another element", replaced("</TSPService>", "<More></More></TSPService>"), noon, signedlist.ErrFormat},
	} {
		l, _, err := signedlist.OpenXML(tt.document, b.roots(), tt.at)
		if !errors.Is(err, tt.want) || (err != nil) != (tt.want != nil) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if (l != nil) != (tt.want == nil || tt.want == signedlist.ErrExpired) {
			t.Errorf("%s: got list %+v", tt.name, l)
		}
	}
	for i := range document {
		changed := bytes.Clone(document)
		changed[i] ^= 1 << (i % 7)
		if i%7 != 0 {
			continue // the signature's own tests change every byte
		}
		if _, _, err := signedlist.OpenXML(changed, b.roots(), noon); err == nil {
			t.Fatalf("byte %d changed to %q was not noticed", i, changed[i])
		}
	}
}

func TestSchemeCheck(t *testing.T) {
	if err := newScheme().Check(); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*signedlist.Scheme){
		"no name":      func(s *signedlist.Scheme) { s.Name = " " },
		"no operator":  func(s *signedlist.Scheme) { s.Operator = "" },
		"no street":    func(s *signedlist.Scheme) { s.Street = "" },
		"no locality":  func(s *signedlist.Scheme) { s.Locality = "" },
		"no country":   func(s *signedlist.Scheme) { s.Country = "" },
		"its name":     func(s *signedlist.Scheme) { s.Country = "Germany" },
		"small":        func(s *signedlist.Scheme) { s.Country = "de" },
		"not a mail":   func(s *signedlist.Scheme) { s.Email = "office" },
		"a named mail": func(s *signedlist.Scheme) { s.Email = "Office <office@bridge.example>" },
		"no URL":       func(s *signedlist.Scheme) { s.URL = "" },
		"a slash":      func(s *signedlist.Scheme) { s.URL += "/" },
		"another URL":  func(s *signedlist.Scheme) { s.URL = "ldap://bridge.example" },
	} {
		s := newScheme()
		edit(s)
		if err := s.Check(); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// FuzzOpenXML: whatever a signer signs, what is opened is a list.
func FuzzOpenXML(f *testing.F) {
	b := newXMLBench(f)
	alpha, beta := entry(f, "alpha"), entry(f, "beta")
	for _, entries := range [][]signedlist.Entry{{}, {alpha, beta}, {beta}} {
		p, err := b.Publisher.Publish(f.Context(), entries, left)
		if err != nil {
			f.Fatal(err)
		}
		v, err := xmlsig.Verify(file(f, p, signedlist.XMLName))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(v.Content())
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		document, err := xmlsig.Sign(slices.Clip(content), xmlsig.Signer(*b.signer), noon)
		if err != nil {
			return
		}
		l, services, err := signedlist.OpenXML(document, b.roots(), noon)
		if err != nil {
			return
		}
		for _, s := range services {
			if s.Certificate == nil || len(s.Changes) == 0 || len(s.MailDomains) == 0 || len(s.Policies) == 0 {
				t.Errorf("got service %+v of %q", s, content)
			}
		}
		if l.Number < 1 || !l.NextUpdate.After(l.IssuedAt) || len(l.Entries) > len(services) {
			t.Errorf("got list %+v of %q", l, content)
		}
	})
}
