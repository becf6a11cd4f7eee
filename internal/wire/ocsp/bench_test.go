package ocsp_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"
	"time"

	oracle "golang.org/x/crypto/ocsp"

	"bridge.example/internal/wire/ocsp"
)

func BenchmarkParseRequest(b *testing.B) {
	der, err := ocsp.NewRequest(newID(b, crypto.SHA1, newCA(b, "alpha", p256(b)), 5)).Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ocsp.ParseRequest(der); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("xcrypto", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := oracle.ParseRequest(der); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSign signs one answer with P-256; "raw" is the signature alone, below
// which nothing can be.
func BenchmarkSign(b *testing.B) {
	ca := newCA(b, "alpha", p256(b))
	d := ca.delegate(b, nil)
	id := newID(b, crypto.SHA1, ca, 5)
	b.Run("raw", func(b *testing.B) {
		digest := sha256.Sum256(id.Raw)
		for b.Loop() {
			if _, err := d.key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ocsp.Sign(template(good(id)), d.signer()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("xcrypto", func(b *testing.B) {
		b.ReportAllocs()
		t := oracle.Response{Status: oracle.Good, SerialNumber: big.NewInt(5), ThisUpdate: now, NextUpdate: now.Add(time.Hour), Certificate: d.cert}
		for b.Loop() {
			if _, err := oracle.CreateResponse(ca.cert, d.cert, t, d.key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCheck verifies what a delegate signed: two P-256 signatures.
func BenchmarkCheck(b *testing.B) {
	ca := newCA(b, "alpha", p256(b))
	id := newID(b, crypto.SHA1, ca, 5)
	der := mustSign(b, template(good(id)), ca.delegate(b, nil)).Raw
	b.ReportAllocs()
	for b.Loop() {
		r, err := ocsp.ParseResponse(der)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Check(id, ca.cert, now); err != nil {
			b.Fatal(err)
		}
	}
}
