package pathval_test

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"slices"
	"testing"

	"bridge.example/internal/engine/pathval"
)

// library answers by name out of all that there is, and notes who was asked
// about. A direction that is closed fails.
type library struct {
	certs        []*pathval.Certificate
	noUp, noDown bool
	up, down     []*pathval.Certificate
}

var errClosed = errors.New("closed today")

func (l *library) Issuers(_ context.Context, c *pathval.Certificate) (out []*pathval.Certificate, err error) {
	l.up = append(l.up, c)
	if l.noUp {
		return nil, errClosed
	}
	for _, i := range l.certs {
		if i.Subject.Equal(c.Issuer) {
			out = append(out, i)
		}
	}
	return out, nil
}

func (l *library) Issued(_ context.Context, c *pathval.Certificate) (out []*pathval.Certificate, err error) {
	l.down = append(l.down, c)
	if l.noDown {
		return nil, errClosed
	}
	for _, i := range l.certs {
		if i.Issuer.Equal(c.Subject) {
			out = append(out, i)
		}
	}
	return out, nil
}

func TestSourceFindsWhatThePoolLacks(t *testing.T) {
	m := newMesh(t, 4, 2)
	a, b := m.members[0], m.members[1]
	everything := pathval.NewPool(m.certs...)
	for _, tt := range []struct {
		name   string
		pool   *pathval.Pool
		source library
		why    pathval.Reason // 0: found
	}{
		{"nothing at hand", pathval.NewPool(), library{certs: m.certs}, 0},
		{"only upwards", pathval.NewPool(), library{certs: m.certs, noDown: true}, 0},
		{"only downwards", pathval.NewPool(), library{certs: m.certs, noUp: true}, 0},
		{"downwards from what is at hand", pathval.NewPool(a.toBridge), library{certs: slices.DeleteFunc(slices.Clone(m.certs),
			func(c *pathval.Certificate) bool { return c == a.toBridge }), noUp: true}, 0},
		{"a part at hand", pathval.NewPool(b.issuingCert, a.toBridge), library{certs: m.certs}, 0},
		{"all the wrong parts at hand", pathval.NewPool(m.members[2].fromBridge, m.members[3].toBridge, b.rootCert), library{certs: m.certs}, 0},
		{"nothing anywhere", pathval.NewPool(b.issuingCert), library{}, pathval.NoIssuer},
		{"a link is missing everywhere", pathval.NewPool(), library{certs: slices.DeleteFunc(slices.Clone(m.certs),
			func(c *pathval.Certificate) bool { return c == b.fromBridge })}, pathval.Loop},
		{"nobody answers", pathval.NewPool(b.issuingCert), library{noUp: true, noDown: true}, pathval.NotFetched},
		{"all at hand", everything, library{noUp: true, noDown: true}, 0},
	} {
		in := a.inputs()
		in.Source = &tt.source
		r, err := pathval.Build(t.Context(), b.leaf, tt.pool, in)
		if err == nil {
			checkPath(t, r, in, b.leaf)
		}
		if (err == nil) != (tt.why == 0) || err != nil && (!errors.Is(err, pathval.ErrNoPath) || !slices.Contains(reasonsOf(err), tt.why)) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.why)
		}
		if asked := len(tt.source.up) + len(tt.source.down); tt.pool == everything && asked > 0 {
			t.Errorf("%s: the source was asked %d times", tt.name, asked)
		}
	}
}

// TestSourceIsAskedOnlyAboutWhatSigned has impostors point elsewhere: whom
// nobody signed with, and who was not signed, is not asked about.
func TestSourceIsAskedOnlyAboutWhatSigned(t *testing.T) {
	m := newMesh(t, 2, 1)
	a, b := m.members[0], m.members[1]
	elsewhere := newEntity(t, "", "Elsewhere")
	above := elsewhere.issue(t, b.issuing.rekeyed(t), profile{ca: true})
	below := a.root.rekeyed(t).issue(t, elsewhere, profile{ca: true})
	source := &library{certs: []*pathval.Certificate{above, below}}
	in := a.inputs()
	in.Source = source
	if _, err := pathval.Build(t.Context(), b.leaf, pathval.NewPool(above), in); !errors.Is(err, pathval.ErrNoPath) {
		t.Fatal(err)
	}
	if !slices.Equal(source.up, []*pathval.Certificate{b.leaf}) || !slices.Equal(source.down, []*pathval.Certificate{a.rootCert}) {
		t.Errorf("asked about the issuers of %v and the issues of %v, want those of the leaf and of the anchor", source.up, source.down)
	}
}

// endless makes a new issuer for every question.
type endless struct {
	t     *testing.T
	key   *entity
	asked int
}

func (e *endless) Issuers(_ context.Context, c *pathval.Certificate) ([]*pathval.Certificate, error) {
	e.asked++
	return []*pathval.Certificate{newEntity(e.t, "", "CA").issue(e.t, e.key, profile{ca: true})}, nil
}

func (e *endless) Issued(context.Context, *pathval.Certificate) ([]*pathval.Certificate, error) {
	e.asked++
	return nil, nil
}

func TestSourceIsBounded(t *testing.T) {
	ca := newEntity(t, "", "CA")
	leaf := ca.issue(t, newEntity(t, "", "User"), profile{})
	root := newEntity(t, "", "Root")
	in := pathval.Inputs{Anchors: []*pathval.Certificate{root.issue(t, root, profile{ca: true})}, At: now}
	for _, budget := range []pathval.Budget{{Fetches: 5}, {Candidates: 20}, {Steps: 3}} {
		source := &endless{t: t, key: ca}
		in.Source, in.Budget = source, budget
		_, err := pathval.Build(t.Context(), leaf, pathval.NewPool(), in)
		none, ok := errors.AsType[*pathval.NoPathError](err)
		if !ok || source.asked > 5 || none.Work.Fetches < source.asked {
			t.Errorf("%+v: asked %d times, got %v", budget, source.asked, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	in.Source, in.Budget = cancelling{cancel}, pathval.Budget{}
	if _, err := pathval.Build(ctx, leaf, pathval.NewPool(), in); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled meanwhile: got %v", err)
	}
}

type cancelling struct{ cancel func() }

func (c cancelling) Issuers(context.Context, *pathval.Certificate) ([]*pathval.Certificate, error) {
	c.cancel()
	return nil, context.Canceled
}

func (c cancelling) Issued(context.Context, *pathval.Certificate) ([]*pathval.Certificate, error) {
	return nil, nil
}

// TestPointers reads where more is to be found; what is malformed there is
// passed over, and what is no URI.
func TestPointers(t *testing.T) {
	uri := func(s string) []byte { return append([]byte{0x86, byte(len(s))}, s...) }
	access := func(last byte, location []byte) []byte {
		return seq([]byte{6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, last}, location)
	}
	aia := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
	sia := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 11}
	points := seq(seq([]byte{0xa0, 12, 0xa0, 10}, uri("http://1"), nil))
	ca := newEntity(t, "", "CA")
	for _, tt := range []struct {
		name             string
		extensions       []pkix.Extension
		up, down, crlsAt []string
	}{
		{"none", nil, nil, nil, nil},
		{"all", []pkix.Extension{
			{Id: aia, Value: seq(access(1, uri("http://ocsp")), access(2, uri("http://a")), access(2, []byte{0x82, 1, 'x'}), access(2, uri("ldap://b")))},
			{Id: sia, Value: seq(access(5, uri("http://c")), access(2, uri("http://not")))},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: points},
		}, []string{"http://a", "ldap://b"}, []string{"http://c"}, []string{"http://1"}},
		{"malformed", []pkix.Extension{{Id: aia, Value: []byte{5, 0}}, {Id: sia, Value: seq(access(5, uri("http://c")), []byte{5, 0})}},
			nil, []string{"http://c"}, nil},
	} {
		c := ca.issue(t, newEntity(t, "", "User"), profile{extra: tt.extensions})
		if !slices.Equal(c.CAIssuers, tt.up) || !slices.Equal(c.CARepository, tt.down) || !slices.Equal(c.CRLPoints, tt.crlsAt) {
			t.Errorf("%s: got %q, %q, %q", tt.name, c.CAIssuers, c.CARepository, c.CRLPoints)
		}
	}
}

func seq(content ...[]byte) []byte {
	c := slices.Concat(content...)
	return append([]byte{0x30, byte(len(c))}, c...)
}
