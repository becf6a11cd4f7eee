package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/crypto/ocsp"

	"bridge.example/internal/fault"
)

// StartOpenSSLOCSP runs "openssl ocsp" as the responder of a, which is the
// organisation's Root or Issuing, until ctx ends or the peer is closed. It
// answers from the same index as the simulated responder, and looks at it anew
// after each answer: a later [Organisation.Revoke] shows in the second. It
// sends the signer's certificate along even when that is the CA. Unavailable
// when openssl is not installed or does not start.
//
// The program listens on every address of the machine, since it can be told
// only a port. One connection without a request keeps it busy for ever.
func (o *Organisation) StartOpenSSLOCSP(ctx context.Context, a *Authority) (*Peer, error) {
	openssl, err := lookPath("openssl", "openssl")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	signer := a.File
	if a.responder != a.Certificate {
		signer = o.path("responder.pem")
	}
	request, err := ocsp.CreateRequest(a.Certificate, a.Certificate, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the status of %q: %w", a.Certificate.Subject, err)
	}
	// Ready is shown by an answer, never by a bare connection.
	ready := func(ctx context.Context) error {
		return askOCSP(ctx, fmt.Sprintf("http://127.0.0.1:%d/", port), request)
	}
	return startPeer(ctx, "", port, ready, openssl, "ocsp", "-port", strconv.Itoa(port), "-nmin", "60",
		"-index", a.issued.file, "-CA", a.File, "-rsigner", signer, "-rkey", strings.TrimSuffix(signer, ".pem")+".key")
}

func askOCSP(ctx context.Context, url string, der []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(der))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if _, err := ocsp.ParseResponse(body, nil); err != nil {
		return fault.New(fault.Unavailable, "reading the answer of %s: %w", url, err)
	}
	return nil
}
