package checkup_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"bridge.example/internal/checkup"
	"bridge.example/internal/fault"
	"bridge.example/internal/wire/ldap"
	"bridge.example/internal/wire/ocsp"
	"bridge.example/membership"
)

// house is the plan of an organisation without a fault, all of it in memory: a
// test spoils one thing before it is built, or the world after.
type house struct {
	root, issuing, user          *x509.Certificate // templates
	rootKey, issuingKey, userKey crypto.Signer
	issuingPublic                crypto.Signer // nil: issuingKey; else what the certificate says

	crl       *x509.RevocationList // of the issuing CA
	crlKey    crypto.Signer        // nil: the issuing CA's
	spoilCRL  func([]byte) []byte
	status    map[string]ocsp.CertStatus // by serial; else unknown
	spoilOCSP func(*ocsp.Response)
	ocspKey   crypto.Signer // nil: the issuing CA's
	web       func(*http.Request) *http.Response

	mail    string // attribute values of the one entry
	values  func(user []byte) []ldap.Attribute
	search  func(ldap.SearchRequest) (entries int, r ldap.Result) // nil: only whole addresses
	refer   string
	bind    func(version int) ldap.ResultCode
	tlsName string // of the directory's certificate
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const policyOID = "1.3.6.1.4.1.32473.2.1"

func newHouse(t *testing.T) *house {
	now := time.Now().Truncate(time.Second)
	policy, err := x509.ParseOID(policyOID)
	if err != nil {
		t.Fatal(err)
	}
	name := func(cn string) pkix.Name {
		return pkix.Name{Country: []string{"DE"}, Organization: []string{"House"}, CommonName: cn}
	}
	ca := func(cn string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			Subject: name(cn), SerialNumber: big.NewInt(serial), NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(8, 0, 0),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	h := &house{root: ca("Root", 1), issuing: ca("Issuing", 2), rootKey: newKey(t), issuingKey: newKey(t), userKey: newKey(t)}
	h.issuing.Policies = []x509.OID{policy}
	h.issuing.CRLDistributionPoints, h.issuing.OCSPServer = []string{"http://house.example/root.crl"}, nil
	h.user = &x509.Certificate{
		Subject: name("Test"), SerialNumber: big.NewInt(0x10), NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		EmailAddresses: []string{"test@house.example"}, Policies: []x509.OID{policy},
		CRLDistributionPoints: []string{"http://house.example/issuing.crl"}, OCSPServer: []string{"http://house.example/ocsp"},
	}
	h.crl = &x509.RevocationList{
		Number: big.NewInt(7), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(24 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x20), RevocationTime: now.Add(-2 * time.Hour)}},
	}
	h.status = map[string]ocsp.CertStatus{"16": ocsp.Good, "32": ocsp.Revoked}
	h.mail = "test@house.example"
	h.values = func(user []byte) []ldap.Attribute {
		return []ldap.Attribute{{Type: "userCertificate;binary", Values: [][]byte{user}}}
	}
	h.bind = func(int) ldap.ResultCode { return ldap.Success }
	h.tlsName = "ldap.house.example"
	return h
}

func issue(t *testing.T, template, issuer *x509.Certificate, key, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// build makes what h plans.
func (h *house) build(t *testing.T) *world {
	root := issue(t, h.root, h.root, h.rootKey, h.rootKey)
	certified := h.issuingKey
	if h.issuingPublic != nil {
		certified = h.issuingPublic
	}
	issuing := issue(t, h.issuing, root, certified, h.rootKey)
	// What the CA signs, it signs with its key, whatever its certificate says.
	able := *issuing
	able.PublicKey, able.KeyUsage = h.issuingKey.Public(), able.KeyUsage|x509.KeyUsageCRLSign
	user := issue(t, h.user, &able, h.userKey, h.issuingKey)
	tlsKey := newKey(t)
	server := issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(9), NotBefore: h.user.NotBefore, NotAfter: time.Now().AddDate(1, 0, 0), DNSNames: []string{h.tlsName},
	}, root, tlsKey, h.rootKey)
	roots := x509.NewCertPool()
	roots.AddCert(root)

	a := membership.Application{
		ID: "house", Name: "House", Country: "DE",
		Contacts:    []membership.Contact{{Name: "Desk", Email: "desk@house.example"}},
		MailDomains: []string{"house.example"}, Policies: []membership.Policy{{Member: policyOID, Bridge: level}},
		Directories: []membership.Directory{{URL: "ldap://ldap.house.example", StartTLS: true, Base: "o=house", Dialect: "inetOrgPerson", TestMailbox: "test@house.example"}},
		Anchors:     []membership.CA{{Certificate: root.Raw, CRL: []string{"http://house.example/root.crl"}}},
		Intermediates: []membership.CA{{
			Certificate: issuing.Raw, CRL: []string{"http://house.example/issuing.crl"}, OCSP: []string{"http://house.example/ocsp"},
			TestSerials: membership.TestSerials{Valid: "10", Revoked: "20", Unused: "30"},
		}},
	}
	w := &world{Subject: checkup.Subject{Application: a}}
	w.Reach = checkup.Reach{
		Levels: []string{level}, Roots: roots, Others: &checkup.Others{},
		Resolver: zone{texts: map[string][]string{"_bridge-challenge.house.example": {"v=spf1 -all", checkup.Challenge(a)}}},
		Client: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if h.web != nil {
				if resp := h.web(r); resp != nil {
					return resp, nil
				}
			}
			return h.serve(t, r, root, &able), nil
		})},
		Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			switch {
			case strings.HasPrefix(address, "10."):
				return nil, &net.OpError{Op: "dial", Err: fault.New(fault.Denied, "not public")}
			case strings.HasPrefix(address, "192."):
				return nil, fault.New(fault.Unavailable, "connection refused")
			}
			client, conn := net.Pipe()
			go h.serveLDAP(conn, user.Raw, h.list(t, &able), tls.Certificate{Certificate: [][]byte{server.Raw}, PrivateKey: tlsKey})
			return client, nil
		},
	}
	return w
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(bytes.NewReader(body)), Header: http.Header{}}
}

// serve is the web server: two CRLs and a responder.
func (h *house) serve(t *testing.T, r *http.Request, root, issuing *x509.Certificate) *http.Response {
	switch {
	case r.URL.Path == "/root.crl":
		empty := *h.crl
		empty.RevokedCertificateEntries, empty.ThisUpdate, empty.NextUpdate = nil, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateRevocationList(rand.Reader, &empty, root, h.rootKey)
		if err != nil {
			t.Error(err)
		}
		return reply(200, der)
	case r.URL.Path == "/issuing.crl":
		return reply(200, h.list(t, issuing))
	case strings.HasPrefix(r.URL.Path, "/ocsp"):
		return h.serveOCSP(t, r, issuing)
	}
	return reply(404, nil)
}

// list is the CRL of the issuing CA.
func (h *house) list(t *testing.T, issuing *x509.Certificate) []byte {
	issuer, key := issuing, h.issuingKey
	if h.crlKey != nil {
		// The library refuses to sign for a certificate with another key.
		other := *issuing
		other.PublicKey = h.crlKey.Public()
		issuer, key = &other, h.crlKey
	}
	der, err := x509.CreateRevocationList(rand.Reader, h.crl, issuer, key)
	if err != nil {
		t.Error(err)
	}
	if h.spoilCRL != nil {
		der = h.spoilCRL(der)
	}
	return der
}

func (h *house) serveOCSP(t *testing.T, r *http.Request, issuing *x509.Certificate) *http.Response {
	var der []byte
	var err error
	if r.Method == http.MethodPost {
		der, err = io.ReadAll(r.Body)
	} else {
		var path string
		if path, err = url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/ocsp/")); err == nil {
			der, err = base64.StdEncoding.DecodeString(path)
		}
	}
	req, perr := ocsp.ParseRequest(der)
	if err := errors.Join(err, perr); err != nil {
		return reply(200, ocsp.ErrorResponse(ocsp.MalformedRequest))
	}
	now := time.Now()
	resp := &ocsp.Response{ProducedAt: now, Singles: []ocsp.SingleResponse{{
		ID: req.Singles[0].ID, Status: h.status[req.Singles[0].ID.Serial.String()],
		RevokedAt: now.Add(-2 * time.Hour), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour),
	}}}
	if n := req.Nonce(); n != nil {
		resp.Extensions = []pkix.Extension{ocsp.NonceExtension(n)}
	}
	if h.spoilOCSP != nil {
		h.spoilOCSP(resp)
	}
	s := &ocsp.Signer{Cert: issuing, Key: h.issuingKey}
	if h.ocspKey != nil {
		s = &ocsp.Signer{Key: h.ocspKey, Cert: issue(t, &x509.Certificate{
			SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "Stranger"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: asn1.NullBytes}},
		}, &x509.Certificate{Subject: pkix.Name{CommonName: "Stranger"}}, h.ocspKey, h.ocspKey)}
	}
	signed, err := ocsp.Sign(resp, s)
	if err != nil {
		t.Error(err)
		return reply(500, nil)
	}
	return reply(200, signed.Raw)
}

// serveLDAP is the directory, on one connection.
func (h *house) serveLDAP(nc net.Conn, user, list []byte, server tls.Certificate) {
	defer func() { _ = nc.Close() }()
	r := bufio.NewReader(nc)
	send := func(id int32, op ldap.Op) {
		if b, err := (ldap.Message{ID: id, Op: op}).AppendTo(nil); err == nil {
			_, _ = nc.Write(b)
		}
	}
	for {
		m, err := ldap.ReadMessage(r, ldap.Limits{})
		if err != nil {
			return
		}
		switch op := m.Op.(type) {
		case ldap.BindRequest:
			send(m.ID, ldap.BindResponse{Result: ldap.Result{Code: h.bind(int(op.Version))}})
		case ldap.ExtendedRequest:
			send(m.ID, ldap.ExtendedResponse{})
			nc = tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{server}})
			r = bufio.NewReader(nc)
		case ldap.SearchRequest:
			if op.Scope == ldap.BaseObject {
				send(m.ID, ldap.SearchResultEntry{DN: op.Base, Attributes: []ldap.Attribute{{Type: op.Attributes[0], Values: [][]byte{list}}}})
				send(m.ID, ldap.SearchResultDone{})
				continue
			}
			n, result := 0, ldap.Result{}
			switch {
			case h.search != nil:
				n, result = h.search(op)
			case strings.Contains(op.Filter.String(), "="+h.mail+")"):
				n = 1
			case strings.Contains(op.Filter.String(), "*"):
				result.Code = ldap.UnwillingToPerform
			}
			for range n {
				send(m.ID, ldap.SearchResultEntry{DN: "mail=test,o=house", Attributes: append([]ldap.Attribute{
					{Type: "mail", Values: [][]byte{[]byte(h.mail)}}}, h.values(user)...)})
			}
			if h.refer != "" {
				send(m.ID, ldap.SearchResultReference{URLs: []string{h.refer}})
			}
			send(m.ID, ldap.SearchResultDone{Result: result})
		default:
			return
		}
	}
}
