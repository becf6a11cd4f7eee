package checkup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/crl"
)

const maxCRLBytes = 64 << 20

// crlSource is a URL where an authority publishes its CRL.
type crlSource struct {
	authority *authority
	url       string
	fetch     func() crlAnswer // carried out once
}

// crlAnswer is what came from there.
type crlAnswer struct {
	err      error // of the transport
	readErr  error // of the list
	list     *crl.List
	bytes    int64
	sum      [sha256.Size]byte
	revoked  map[string]bool // of the serials asked for, as text
	duration time.Duration
}

func (x *examination) newCRLs(ctx context.Context, a *authority) (out []*crlSource) {
	for _, u := range a.CRL {
		s := &crlSource{authority: a, url: u}
		s.fetch = once(func() crlAnswer {
			ctx, cancel := context.WithTimeout(ctx, fetchTime)
			defer cancel()
			return x.fetchCRL(ctx, s)
		})
		out = append(out, s)
	}
	return out
}

// wanted are the serial numbers whose status in a's CRLs matters here.
func (x *examination) wanted(a *authority) (out []*big.Int) {
	out = append(out, serial(a.TestSerials.Revoked), serial(a.TestSerials.Unused))
	if valid, ok := x.validSerial(a); ok {
		out = append(out, valid)
	}
	return out
}

func (x *examination) fetchCRL(ctx context.Context, s *crlSource) (out crlAnswer) {
	began := time.Now()
	body, err := x.openCRL(ctx, s.url)
	if err != nil {
		out.err = outside(err)
		return out
	}
	defer body.Close()
	out.revoked = map[string]bool{}
	byContent := map[string]string{}
	for _, n := range x.wanted(s.authority) {
		if n != nil {
			byContent[string(content(n))] = n.String()
		}
	}
	sum := sha256.New()
	count := &counter{r: body}
	out.list, out.readErr = crl.Read(io.TeeReader(count, sum), crl.Limits{MaxBytes: maxCRLBytes}, func(e crl.Entry) error {
		if n, ok := byContent[string(e.Serial)]; ok {
			out.revoked[n] = true
		}
		return nil
	})
	out.bytes, out.duration = count.n, time.Since(began)
	sum.Sum(out.sum[:0])
	if fault.KindOf(out.readErr) == fault.Unavailable {
		out.err = fmt.Errorf("after %d bytes: %w", out.bytes, out.readErr)
	}
	return out
}

// content is n as the content of a DER INTEGER.
func content(n *big.Int) []byte {
	b := n.Bytes()
	if len(b) == 0 || b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return b
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (x *examination) openCRL(ctx context.Context, address string) (io.ReadCloser, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(u.Scheme, "ldap") {
		return x.openLDAP(ctx, u)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := x.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fault.New(fault.Unavailable, "GET %s: %s", address, resp.Status)
	}
	return resp.Body, nil
}

// openLDAP reads what an LDAP URL (RFC 4516) names: one attribute of one entry.
func (x *examination) openLDAP(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	l, err := x.connect(ctx, u, false, account{version: 3})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	attribute, _, _ := strings.Cut(u.RawQuery, "?")
	if attribute == "" {
		attribute = "certificateRevocationList;binary"
	}
	res, _, err := l.search(ctx, strings.TrimPrefix(u.Path, "/"), goldap.ScopeBaseObject, 1, "(objectClass=*)", attribute)
	if err != nil {
		return nil, err
	}
	for _, e := range res.Entries {
		for _, a := range e.Attributes {
			if len(a.ByteValues) > 0 {
				return io.NopCloser(bytes.NewReader(a.ByteValues[0])), nil
			}
		}
	}
	return nil, fault.New(fault.NotFound, "%s: the entry has no %s", u, attribute)
}

func checkCRLRetrieved(_ context.Context, _ *examination, t target, r *result) {
	if t.crl == nil {
		r.wrong("no CRL is declared for it")
		r.advise("Declare under crl where the CRL of this CA is published.")
		return
	}
	a := t.crl.fetch()
	if a.err != nil {
		r.wrong("%v", a.err)
		return
	}
	r.saw("%d bytes in %v, SHA-256 %x", a.bytes, a.duration.Round(time.Millisecond), a.sum)
}

// answered gives r the reason when there is no list to look at.
func (s *crlSource) answered(r *result) (crlAnswer, bool) {
	a := s.fetch()
	if a.err != nil {
		r.skip("the CRL could not be retrieved; see V1")
	}
	return a, a.err == nil
}

func checkCRL(_ context.Context, x *examination, t target, r *result) {
	a, ok := t.crl.answered(r)
	if !ok {
		return
	}
	if a.readErr != nil {
		r.wrong("%v", a.readErr)
		return
	}
	for _, problem := range x.crlProblems(t.crl.authority, a.list) {
		r.wrong("%s", problem)
	}
	r.saw("number %v, %d entries, from %s to %s, SHA-256 %x", a.list.Number, a.list.Entries,
		a.list.ThisUpdate.UTC().Format(time.RFC3339), a.list.NextUpdate.UTC().Format(time.RFC3339), a.sum)
}

// crlProblems says why l is not the current CRL of a (RFC 5280 §5).
func (x *examination) crlProblems(a *authority, l *crl.List) (out []string) {
	add := func(wrong bool, format string, args ...any) {
		if wrong {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	err := l.CheckSignature(a.PublicKey, crl.Modern)
	add(!bytes.Equal(l.Issuer, a.RawSubject), "it is the CRL of another issuer")
	add(errors.Is(err, crl.ErrAlgorithm), "signed with an algorithm that is not accepted: %v", l.Algorithm)
	add(errors.Is(err, crl.ErrSignature), "not signed by this CA")
	add(l.NextUpdate.IsZero(), "it has no nextUpdate")
	add(!l.NextUpdate.IsZero() && x.at.After(l.NextUpdate), "it was to be replaced by %s", l.NextUpdate.UTC().Format(time.RFC3339))
	add(l.ThisUpdate.After(x.at.Add(5*time.Minute)), "it is from the future: %s", l.ThisUpdate.UTC().Format(time.RFC3339))
	add(l.Number == nil, "it has no CRL number")
	add(l.BaseNumber != nil, "it is a delta CRL, where the complete one belongs")
	add(l.UnknownCritical, "it has a critical extension that is not understood")
	return out
}

func checkCRLRevoked(_ context.Context, x *examination, t target, r *result) {
	revoked := serial(t.crl.authority.TestSerials.Revoked)
	a, ok := t.crl.answered(r)
	switch {
	case !ok:
	case a.readErr != nil:
		r.skip("the CRL could not be read; see V2")
	case revoked == nil && len(x.below(t.crl.authority)) > 0: // CAs are rarely revoked
		r.skip("no revoked test serial is declared")
	case revoked == nil:
		r.wrong("no serial number of a revoked certificate is declared")
		r.advise("Revoke a test certificate of this CA and declare its serial under test_serials.")
	case !a.revoked[revoked.String()]:
		r.wrong("serial %x, declared as revoked, is not listed", revoked)
	default:
		r.saw("serial %x is listed", revoked)
	}
}
