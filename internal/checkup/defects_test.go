package checkup_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bridge.example/internal/checkup"
	"bridge.example/internal/wire/ldap"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/membership"
)

// TestHouse shows that the plan has no fault: what fails in the other tests is
// what they spoil.
func TestHouse(t *testing.T) {
	r := newHouse(t).build(t).examine(t)
	if fails, warns := with(r, checkup.Fail), with(r, checkup.Warn); fails != "" || warns != "" {
		t.Errorf("got failures %q and warnings %q, want none", fails, warns)
		logAll(t, r)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// publicOnly is a key for a certificate; it cannot sign.
type publicOnly struct{ crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.PublicKey }
func (publicOnly) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no private key")
}

// closePrimes is an RSA key whose primes follow one another.
func closePrimes() crypto.Signer {
	p := must(rand.Prime(rand.Reader, 1024))
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(20) {
		q.Add(q, big.NewInt(2))
	}
	return publicOnly{&rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}}
}

// modulus is an RSA key whose modulus is step*r + rest for the first r, odd and
// without small factors beyond step's, that makes it 2048 bits long.
func modulus(step, rest *big.Int, exponent int) crypto.Signer {
	n := new(big.Int).Lsh(big.NewInt(1), 2047)
	n.Sub(n, new(big.Int).Mod(n, step)).Add(n, step).Add(n, rest)
	small := func() bool {
		for d := int64(2); d < 752; d++ {
			p := big.NewInt(d)
			if new(big.Int).Mod(n, p).Sign() == 0 && new(big.Int).Mod(step, p).Sign() != 0 {
				return true
			}
		}
		return false
	}
	for n.Bit(0) == 0 || small() {
		n.Add(n, step)
	}
	return publicOnly{&rsa.PublicKey{N: n, E: exponent}}
}

// roca is a modulus that is 65537 modulo each prime at which one looks.
func roca() crypto.Signer {
	product := big.NewInt(1)
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		product.Mul(product, big.NewInt(p))
	}
	return modulus(product, big.NewInt(65537), 65537)
}

// TestDefects spoils one thing at a time: the check that is for it must find it,
// and no other may.
func TestDefects(t *testing.T) {
	type defect struct {
		name   string
		plan   func(*house)
		world  func(*world)
		fails  string
		warns  string
		advice string // in the fix of the first finding
	}
	refuse := func(path string, method string, status int) func(*house) {
		return func(h *house) {
			h.web = func(r *http.Request) *http.Response {
				if strings.HasPrefix(r.URL.Path, path) && (method == "" || r.Method == method) {
					return reply(status, []byte("<html>"))
				}
				return nil
			}
		}
	}
	second := func(w *world) *membership.Directory {
		a := &w.Application
		a.Directories = append(a.Directories, a.Directories[0])
		a.Directories[1].URL = "ldap://other.house.example"
		return &a.Directories[1]
	}
	overLDAP := func(w *world) {
		w.Application.Intermediates[0].CRL = []string{"ldap://ldap.house.example/cn=issuing,o=house?certificateRevocationList;binary?base"}
	}
	for _, d := range []defect{
		// Certificates.
		{name: "an RSA key of 1024 bits", plan: func(h *house) {
			h.rootKey = must(rsa.GenerateKey(rand.Reader, 1024))
		}, fails: "C2 D5 V2", advice: "new CA key"},
		{name: "a curve of 224 bits", plan: func(h *house) { h.rootKey = must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)) }, fails: "C2", advice: "new CA key"},
		{name: "close primes", plan: func(h *house) { h.issuingPublic = closePrimes() }, fails: "C3 D5 V2 V5", advice: "can be broken"},
		{name: "a small factor", plan: func(h *house) { h.issuingPublic = modulus(big.NewInt(751), new(big.Int), 65537) }, fails: "C3 D5 V2 V5"},
		{name: "a broken generator", plan: func(h *house) { h.issuingPublic = roca() }, fails: "C3 D5 V2 V5"},
		{name: "an even exponent", plan: func(h *house) { h.issuingPublic = modulus(big.NewInt(2), big.NewInt(1), 4) }, fails: "C3 D5 V2 V5"},
		{name: "a sound key that is another's", plan: func(h *house) { h.issuingPublic = modulus(big.NewInt(2), big.NewInt(1), 65537) }, fails: "D5 V2 V5"},
		{name: "no cRLSign", plan: func(h *house) { h.issuing.KeyUsage = x509.KeyUsageCertSign }, fails: "C4"},
		{name: "issuer not declared", world: func(w *world) {
			stranger := newHouse(t).build(t)
			w.Application.Anchors[0] = stranger.Application.Anchors[0]
			w.Application.Anchors[0].CRL = nil
		}, fails: "C5 D5 D9 V1", warns: "C5"},
		{name: "one level only", world: func(w *world) {
			w.Application.Intermediates = nil
		}, fails: "D5 V3", warns: "C5"},
		{name: "signed with SHA-1", plan: func(h *house) {
			h.rootKey = must(rsa.GenerateKey(rand.Reader, 2048))
			h.issuing.SignatureAlgorithm = x509.SHA1WithRSA
		}, fails: "C6 D5"},
		{name: "expired", plan: func(h *house) { h.issuing.NotAfter = time.Now().Add(-time.Hour) }, fails: "C7 D5"},
		{name: "a hundred days left", plan: func(h *house) { h.issuing.NotAfter = time.Now().AddDate(0, 0, 100) }, fails: "C7"},
		{name: "another fingerprint on the form", world: func(w *world) { w.Fingerprints = []string{strings.Repeat("00", 32)} }, fails: "C8"},
		{name: "a member's key", world: func(w *world) {
			a, _ := w.Application.Certificates()
			w.Others.Certificates = a
		}, fails: "C9"},
		{name: "an unusual extension", plan: func(h *house) {
			h.issuing.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: asn1.NullBytes}}
		}, fails: "C12 D5"},
		{name: "a policy nobody issues under", world: func(w *world) { w.Application.Policies[0].Member = "1.2.3.4" }, fails: "C11"},
		{name: "no level of the bridge", world: func(w *world) { w.Application.Policies[0].Bridge = "1.2.3.4" }, fails: "C11"},
		{name: "a path length of nothing", plan: func(h *house) { h.root.MaxPathLenZero = true }, fails: "C12 D5"},
		{name: "name constraints that are not critical", plan: func(h *house) {
			h.issuing.PermittedEmailAddresses = []string{"house.example"}
		}, warns: "C10"},
		{name: "a serial number of 22 octets", plan: func(h *house) { h.root.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 170) }, warns: "I5"},

		// Directory.
		{name: "one of two addresses is dead", world: func(w *world) {
			z := w.Resolver.(zone)
			z.addresses = map[string][]string{"ldap.house.example": {"127.0.0.1", "192.168.0.1"}}
			w.Resolver = z
		}, fails: "D1"},
		{name: "no bind", plan: func(h *house) { h.bind = func(int) ldap.ResultCode { return ldap.InappropriateAuthentication } }, fails: "D2 D4"},
		{name: "LDAPv2 only", plan: func(h *house) {
			h.bind = func(version int) ldap.ResultCode {
				if version == 3 {
					return ldap.ProtocolError
				}
				return ldap.Success
			}
		}, world: func(w *world) { w.Application.Directories[0].Dialect = "ldapv2" }, warns: "D2"},
		{name: "a kind nobody knows", world: func(w *world) { w.Application.Directories[0].Dialect = "notes" }, fails: "D2"},
		{name: "no TLS", world: func(w *world) { w.Application.Directories[0].StartTLS = false }, warns: "D3"},
		{name: "TLS for another name", plan: func(h *house) { h.tlsName = "www.house.example" }, warns: "D3"},
		{name: "a password is wanted and TLS is another's", plan: func(h *house) { h.tlsName = "www.house.example" }, world: func(w *world) {
			w.Application.Directories[0].BindDN, w.Application.Directories[0].Credential = "cn=bridge", "house"
			w.Password = func(string) ([]byte, error) { t.Error("the password was asked for"); return nil, nil }
		}, fails: "D2", warns: "D3", advice: "TLS certificate that verifies"},
		{name: "no such mailbox", plan: func(h *house) { h.mail = "nobody@house.example" }, fails: "D4"},
		{name: "no mailbox declared", world: func(w *world) { w.Application.Directories[0].TestMailbox = "" }, fails: "D4", advice: "test_mailbox"},
		{name: "no certificate", plan: func(h *house) { h.values = func([]byte) []ldap.Attribute { return nil } }, fails: "D4", advice: "userCertificate"},
		{name: "a certificate for another address", plan: func(h *house) { h.user.EmailAddresses = []string{"other@house.example"} }, fails: "D5"},
		{name: "an expired certificate", plan: func(h *house) { h.user.NotAfter = time.Now().Add(-time.Hour) }, fails: "D5"},
		{name: "a certificate for signing only", plan: func(h *house) { h.user.KeyUsage = x509.KeyUsageDigitalSignature }, fails: "D5"},
		{name: "everybody is found", plan: func(h *house) {
			h.search = func(ldap.SearchRequest) (int, ldap.Result) { return 1, ldap.Result{} }
		}, warns: "D6"},
		{name: "more than asked for", plan: func(h *house) {
			plain := h.values
			h.values = func(user []byte) []ldap.Attribute {
				return append(plain(user), ldap.Attribute{Type: "telephoneNumber", Values: [][]byte{[]byte("1")}})
			}
		}, warns: "D6"},
		{name: "a slow directory", plan: func(h *house) {
			h.search = func(r ldap.SearchRequest) (int, ldap.Result) {
				if strings.Contains(r.Filter.String(), "*") {
					return 0, ldap.Result{}
				}
				time.Sleep(2100 * time.Millisecond) // in no real time
				return 1, ldap.Result{}
			}
		}, warns: "D7"},
		{name: "a second directory that lies idle", world: func(w *world) {
			second(w).TestMailbox = ""
			z := w.Resolver.(zone)
			z.addresses = map[string][]string{"other.house.example": {"192.168.0.1"}}
			w.Resolver = z
		}, fails: "D1", warns: "D8"},
		{name: "a domain without proof", world: func(w *world) { w.Resolver = zone{} }, fails: "D9", advice: `_bridge-challenge.house.example. IN TXT "bridge-challenge=`},
		{name: "another's domain", world: func(w *world) { w.Others.Domains = []string{"house.example"} }, fails: "D9", advice: "whose it is"},
		{name: "a private address", world: func(w *world) {
			z := w.Resolver.(zone)
			z.addresses = map[string][]string{"ldap.house.example": {"127.0.0.1", "10.0.0.1"}}
			w.Resolver = z
		}, fails: "D10"},
		{name: "a referral", plan: func(h *house) { h.refer = "ldap://inside.house.example/o=house" }, fails: "D10"},

		// Validation.
		{name: "no CRL there", plan: refuse("/issuing.crl", "", 404), fails: "V1"},
		{name: "no CRL declared", world: func(w *world) { w.Application.Intermediates[0].CRL = nil }, fails: "V1", warns: "V8", advice: "Declare under crl"},
		{name: "a page in place of a CRL", plan: refuse("/issuing.crl", "", 200), fails: "V2"},
		{name: "a CRL of another key", plan: func(h *house) { h.crlKey = newKey(t) }, fails: "V2"},
		{name: "a stale CRL", plan: func(h *house) { h.crl.NextUpdate = time.Now().Add(-time.Minute) }, fails: "V2"},
		{name: "a CRL cut short", plan: func(h *house) { h.spoilCRL = func(b []byte) []byte { return b[:len(b)/2] } }, fails: "V2"},
		{name: "the revoked one is not listed", plan: func(h *house) { h.crl.RevokedCertificateEntries = nil }, fails: "V3 V7"},
		{name: "the revoked one is good", plan: func(h *house) { h.status["32"] = ocsp.Good }, fails: "V4 V7"},
		{name: "everything is good", plan: func(h *house) { h.status["48"] = ocsp.Good }, fails: "V4", advice: "that were issued"},
		{name: "a CRL by LDAP, which certificates do not name", world: overLDAP, warns: "V8"},
		{name: "a stale CRL by LDAP", plan: func(h *house) { h.crl.NextUpdate = time.Now().Add(-time.Minute) }, world: overLDAP, fails: "V2", warns: "V8"},
		{name: "no responder there", plan: refuse("/ocsp", "", 503), fails: "V4"},
		{name: "no serials declared", world: func(w *world) { w.Application.Intermediates[0].TestSerials = membership.TestSerials{} }, fails: "V3 V4"},
		{name: "a stranger signs", plan: func(h *house) { h.ocspKey = newKey(t) }, fails: "V5"},
		{name: "an old response", plan: func(h *house) {
			h.spoilOCSP = func(r *ocsp.Response) { r.Singles[0].NextUpdate = time.Now().Add(-time.Hour) }
		}, fails: "V5"},
		{name: "another nonce", plan: func(h *house) {
			h.spoilOCSP = func(r *ocsp.Response) {
				if r.Extensions != nil {
					r.Extensions = []pkix.Extension{ocsp.NonceExtension(bytes.Repeat([]byte{1}, 16))}
				}
			}
		}, fails: "V5"},
		{name: "no GET", plan: refuse("/ocsp", http.MethodGet, 405), warns: "V6"},
		{name: "other URLs in certificates", plan: func(h *house) { h.user.OCSPServer = []string{"http://old.house.example/"} }, warns: "V8"},
		{name: "an unsteady day", world: func(w *world) {
			bad := checkup.Report{Findings: []checkup.Finding{{ID: "V1", Must: true, Verdict: checkup.Fail}}}
			for i := range 5 {
				bad.At = time.Now().Add(-time.Duration(i) * 6 * time.Hour)
				w.Earlier = append(w.Earlier, bad)
				bad.Findings = nil
			}
		}, fails: "V9"},

		// Interoperability.
		{name: "not found through the bridge", world: func(w *world) {
			w.Search = func(context.Context, string) ([][]byte, error) { return nil, nil }
		}, fails: "I3"},
		{name: "a path too many", world: func(w *world) {
			w.Paths = func(context.Context) ([]string, []string, error) { return nil, []string{"beyond"}, nil }
		}, fails: "I4"},
	} {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				if d.plan != nil {
					d.plan(h)
				}
				w := h.build(t)
				if d.world != nil {
					d.world(w)
				}
				r := w.examine(t)
				if fails, warns := with(r, checkup.Fail), with(r, checkup.Warn); fails != d.fails || warns != d.warns {
					t.Errorf("got failures %q and warnings %q, want %q and %q", fails, warns, d.fails, d.warns)
					logAll(t, r)
				}
				advised := d.advice == ""
				for _, f := range r.Findings {
					if (f.Verdict == checkup.Fail || f.Verdict == checkup.Warn) && (f.Fix == "" || len(f.Evidence) == 0) {
						t.Errorf("%s: no fix or no evidence", f.ID)
					}
					advised = advised || strings.Contains(f.Fix, d.advice)
				}
				if !advised {
					t.Errorf("no finding advises %q", d.advice)
				}
			})
		})
	}
}
