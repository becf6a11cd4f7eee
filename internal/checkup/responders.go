package checkup

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"

	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ocsp"
)

// responder is an OCSP URL of an authority.
type responder struct {
	authority *authority
	url       string
	ask       func() statuses // carried out once
}

// statuses is what a responder says of each serial number asked for.
type statuses struct{ valid, revoked, unused *status }

// status is one answer; all but err is empty when there was none.
type status struct {
	serial   *big.Int
	id       ocsp.CertID
	nonce    []byte
	response *ocsp.Response
	err      error
}

func (x *examination) newResponders(ctx context.Context, a *authority) (out []*responder) {
	for _, u := range a.OCSP {
		p := &responder{authority: a, url: u}
		p.ask = once(func() (s statuses) {
			ctx, cancel := context.WithTimeout(ctx, fetchTime)
			defer cancel()
			if n, ok := x.validSerial(a); ok {
				s.valid = x.askStatus(ctx, p, n, http.MethodPost)
			}
			if n := serial(a.TestSerials.Revoked); n != nil {
				s.revoked = x.askStatus(ctx, p, n, http.MethodPost)
			}
			unused := serial(a.TestSerials.Unused)
			if unused == nil {
				unused = randomSerial()
			}
			s.unused = x.askStatus(ctx, p, unused, http.MethodPost)
			return s
		})
		out = append(out, p)
	}
	return out
}

// randomSerial is a number that nobody has used.
func randomSerial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// askStatus asks with SHA-1, which every responder knows (RFC 5019 §2.1.1); by
// POST with a nonce, by GET without.
func (x *examination) askStatus(ctx context.Context, p *responder, serial *big.Int, method string) *status {
	s := &status{serial: serial}
	if s.id, s.err = ocsp.NewCertID(crypto.SHA1, p.authority.Certificate, serial); s.err != nil {
		return s
	}
	request := ocsp.NewRequest(s.id)
	if method == http.MethodPost {
		s.nonce = make([]byte, 16)
		_, _ = rand.Read(s.nonce) // never fails
		request.Extensions = append(request.Extensions, ocsp.NonceExtension(s.nonce))
	}
	der, err := request.Encode()
	if err != nil {
		s.err = err
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if der, s.err = x.exchangeOCSP(ctx, p.url, der, method); s.err != nil {
		s.err = outside(s.err)
		return s
	}
	s.response, s.err = ocsp.ParseResponse(der)
	return s
}

func (x *examination) exchangeOCSP(ctx context.Context, address string, der []byte, method string) ([]byte, error) {
	var body io.Reader = bytes.NewReader(der)
	if method == http.MethodGet {
		address = strings.TrimSuffix(address, "/") + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(der))
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/ocsp-request")
	}
	resp, err := x.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fault.New(fault.Unavailable, "%s", resp.Status)
	}
	out, err := io.ReadAll(io.LimitReader(resp.Body, ocsp.MaxResponseBytes+1))
	if err == nil && len(out) > ocsp.MaxResponseBytes {
		err = fault.New(fault.Invalid, "an answer of more than %d bytes", ocsp.MaxResponseBytes)
	}
	return out, err
}

// says is what an answer says, whoever signed it.
func (s *status) says() (ocsp.CertStatus, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.response.Status != ocsp.Successful:
		return 0, fault.New(fault.Unavailable, "%s", s.response.Status)
	}
	single, err := s.response.Single(s.id)
	if err != nil {
		return 0, err
	}
	return single.Status, nil
}

func (s *status) String() string {
	said, err := s.says()
	if err != nil {
		return fmt.Sprintf("serial %x: %s", s.serial, plain(err))
	}
	return fmt.Sprintf("serial %x: %s, response SHA-256 %x", s.serial, said, sha256.Sum256(s.response.Raw))
}

func checkStatuses(_ context.Context, x *examination, t target, r *result) {
	s := t.responder.ask()
	want := func(which string, got *status, holds func(ocsp.CertStatus) bool, word string) {
		said, err := got.says()
		if r.saw("%s, %s", which, got); err != nil && !errors.Is(err, ocsp.ErrOtherCert) {
			r.wrong("no status of the %s certificate", which)
		} else if err == nil && !holds(said) {
			r.wrong("the %s certificate is %s, want %s", which, said, word)
		}
	}
	if s.valid == nil {
		r.wrong("no serial number of a valid certificate is known")
		r.advise("Declare test_serials for this CA.")
	} else {
		want("valid", s.valid, func(c ocsp.CertStatus) bool { return c == ocsp.Good }, "good")
	}
	switch {
	case s.revoked != nil:
		want("revoked", s.revoked, func(c ocsp.CertStatus) bool { return c == ocsp.Revoked }, "revoked")
	case len(x.below(t.responder.authority)) == 0: // it issues to people; CAs are rarely revoked
		r.wrong("no serial number of a revoked certificate is declared")
		r.advise("Revoke a test certificate of this CA and declare its serial under test_serials.")
	}
	// An error about an unused number is no "good" (RFC 6960 §2.2, RFC 5019 §2.2.3).
	said, err := s.unused.says()
	if r.saw("unused, %s", s.unused); err == nil && said == ocsp.Good {
		r.wrong("a serial number that was never used is good")
		r.advise("Let the responder answer from the list of certificates that were issued, not from the CRL alone.")
	}
}

func checkResponses(_ context.Context, x *examination, t target, r *result) {
	s := t.responder.ask()
	looked := 0
	for _, a := range []*status{s.valid, s.revoked} {
		if a == nil || a.err != nil || a.response.Status != ocsp.Successful {
			continue
		}
		looked++
		single, err := a.response.Check(a.id, t.responder.authority.Certificate, x.at)
		if err == nil {
			err = a.response.CheckNonce(a.nonce)
		}
		if err != nil {
			r.wrong("serial %x: %v", a.serial, err)
			continue
		}
		how := "without the nonce sent"
		if a.response.Nonce() != nil {
			how = "with the nonce sent"
		}
		r.saw("serial %x: signed by whom it should, %s, from %s to %s", a.serial, how, single.ThisUpdate, single.NextUpdate)
	}
	if looked == 0 {
		r.skip("no answer to look at; see V4")
	}
}

func checkMethods(ctx context.Context, x *examination, t target, r *result) {
	s := t.responder.ask()
	if s.valid == nil {
		r.skip("no serial number of a valid certificate is known; see V4")
		return
	}
	post, postErr := s.valid.says()
	get, getErr := x.askStatus(ctx, t.responder, s.valid.serial, http.MethodGet).says()
	switch {
	case postErr != nil && getErr != nil:
		r.skip("neither answers; see V4")
	case postErr != nil:
		r.wrong("GET answers %s, POST fails: %v", get, postErr)
	case getErr != nil:
		r.wrong("POST answers %s, GET fails: %v", post, getErr)
	case post != get:
		r.wrong("POST answers %s, GET %s", post, get)
	default:
		r.saw("both answer %s", post)
	}
}

func checkAgreement(_ context.Context, _ *examination, t target, r *result) {
	s := t.responder.ask()
	compared := 0
	for _, source := range t.responder.authority.crls {
		list := source.fetch()
		if list.err != nil || list.readErr != nil {
			continue
		}
		for _, a := range []*status{s.valid, s.revoked} {
			if a == nil {
				continue
			}
			said, err := a.says()
			if err != nil || said == ocsp.Unknown {
				continue
			}
			compared++
			if listed := list.revoked[a.serial.String()]; listed != (said == ocsp.Revoked) {
				r.wrong("serial %x is %s by OCSP; in %s it is listed: %t", a.serial, said, source.url, listed)
			}
		}
	}
	if compared == 0 {
		r.skip("there are not both; see V1 and V4")
	} else if r.verdict == "" {
		r.saw("%d statuses agree", compared)
	}
}
