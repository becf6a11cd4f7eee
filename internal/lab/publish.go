package lab

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

const maxOCSPRequestBytes = 16 << 10

// serveOCSP answers GET and POST (RFC 6960 appendix A.1). It is no [http.ServeMux]
// behind which "//" in the base64 of a GET would be redirected.
func (o *Organisation) serveOCSP(w http.ResponseWriter, r *http.Request) {
	var der []byte
	var err error
	switch r.Method {
	case http.MethodPost:
		der, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxOCSPRequestBytes))
	case http.MethodGet:
		var path string
		if path, err = url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/")); err == nil {
			der, err = base64.StdEncoding.DecodeString(path)
		}
	default:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
		return
	}
	answer := ocsp.MalformedRequestErrorResponse
	if err == nil {
		answer = o.status(der)
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	_, _ = w.Write(answer)
}

// status answers the OCSP request der. The library knows one CertID in a
// request, and no nonce.
func (o *Organisation) status(der []byte) []byte {
	req, err := ocsp.ParseRequest(der)
	if err != nil {
		return ocsp.MalformedRequestErrorResponse
	}
	for _, a := range []*Authority{o.Root, o.Issuing} {
		if !a.isIssuer(req) {
			continue
		}
		answer, err := a.respond(req)
		if err != nil {
			return ocsp.InternalErrorErrorResponse
		}
		return answer
	}
	return ocsp.UnauthorizedErrorResponse
}

func (a *Authority) isIssuer(req *ocsp.Request) bool {
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(a.Certificate.RawSubjectPublicKeyInfo, &spki); err != nil {
		return false
	}
	return digest(req.HashAlgorithm, a.Certificate.RawSubject) == string(req.IssuerNameHash) &&
		digest(req.HashAlgorithm, spki.Key.RightAlign()) == string(req.IssuerKeyHash)
}

func digest(h crypto.Hash, b []byte) string {
	d := h.New()
	d.Write(b)
	return string(d.Sum(nil))
}

func (a *Authority) respond(req *ocsp.Request) ([]byte, error) {
	now := time.Now().UTC()
	t := ocsp.Response{
		Status: ocsp.Unknown, SerialNumber: req.SerialNumber, IssuerHash: req.HashAlgorithm,
		ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(time.Hour),
	}
	switch r, ok := a.issued.find(req.SerialNumber); {
	case ok && r.revoked.IsZero():
		t.Status = ocsp.Good
	case ok:
		t.Status, t.RevokedAt, t.RevocationReason = ocsp.Revoked, r.revoked, ocsp.Unspecified
	}
	if a.responder != a.Certificate {
		t.Certificate = a.responder
	}
	return ocsp.CreateResponse(a.Certificate, a.responder, t, a.respKey)
}

// publication serves each CA's certificate, and its CRL made on the spot.
func (o *Organisation) publication() http.Handler {
	mux := http.NewServeMux()
	for _, a := range []*Authority{o.Root, o.Issuing} {
		mux.HandleFunc("GET /"+a.name+".cer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/pkix-cert")
			_, _ = w.Write(a.Certificate.Raw)
		})
		mux.HandleFunc("GET /"+a.name+".crl", func(w http.ResponseWriter, _ *http.Request) {
			crl, err := a.revocationList()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/pkix-crl")
			_, _ = w.Write(crl)
		})
	}
	return mux
}

// revocationList returns the CRL as DER (RFC 5280 §5), numbered by the clock.
func (a *Authority) revocationList() ([]byte, error) {
	now := time.Now().UTC()
	t := &x509.RevocationList{Number: big.NewInt(now.UnixNano()), ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(day)}
	for _, r := range a.issued.all() {
		if !r.revoked.IsZero() {
			t.RevokedCertificateEntries = append(t.RevokedCertificateEntries,
				x509.RevocationListEntry{SerialNumber: r.serial, RevocationTime: r.revoked})
		}
	}
	return x509.CreateRevocationList(rand.Reader, t, a.Certificate, a.key)
}
