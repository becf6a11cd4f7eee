package vocsp_test

import (
	"context"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	oracle "golang.org/x/crypto/ocsp"

	"bridge.example/internal/wire/ocsp"
	"bridge.example/vocsp"
)

// BenchmarkHTTP answers one GET without a network: from the cache, signed live
// for a nonce, and as x/crypto/ocsp would sign it; "bare" is what net/http costs
// that serves the same bytes.
func BenchmarkHTTP(b *testing.B) {
	alpha, bridge := newMember(b, "alpha"), newCA(b, "bridge")
	cached := alpha.route()
	cached.Source = vocsp.Cached(cached.Source, 10, time.Now)
	d := bridge.delegate(b)
	local := vocsp.Local(bridge.cert, always(d.signer()), func(context.Context, *big.Int) (vocsp.LocalStatus, error) {
		return vocsp.LocalStatus{Status: ocsp.Good}, nil
	})
	p := newProxy(b, vocsp.Options{}, cached, vocsp.Route{Issuer: bridge.cert, Source: local})
	get := func(r *ocsp.Request) *http.Request {
		return httptest.NewRequest("GET", "/"+base64.StdEncoding.EncodeToString(mustEncode(b, r)), nil)
	}
	kept, live := get(ocsp.NewRequest(alpha.id(b, 1))), get(withNonce(ocsp.NewRequest(bridge.id(b, 1)), "0123456789abcdef"))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, kept)
	bytes := w.Body.Bytes()
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(bytes)
	})
	theirs := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		der, err := oracle.CreateResponse(bridge.cert, d.cert, oracle.Response{
			Status: oracle.Good, SerialNumber: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour), Certificate: d.cert,
		}, d.key)
		if err != nil {
			b.Error(err)
		}
		w.Write(der)
	})
	for _, c := range []struct {
		name string
		h    http.Handler
		r    *http.Request
	}{{"bare", bare, kept}, {"cached", p, kept}, {"live", p, live}, {"xcrypto", theirs, live}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.h.ServeHTTP(discard{http.Header{}}, c.r)
			}
		})
	}
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return io.Discard.Write(b) }
func (d discard) WriteHeader(int)             {}
