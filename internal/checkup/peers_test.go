package checkup_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"testing"

	"bridge.example/internal/checkup"
	"bridge.example/internal/lab"
)

// TestPeers examines an organisation whose directory is slapd with StartTLS and
// whose responders are "openssl ocsp", then the same with faults.
func TestPeers(t *testing.T) {
	if os.Getenv("BRIDGE_PEERS") != "1" {
		t.Skip("BRIDGE_PEERS is not 1")
	}
	for _, spec := range []lab.Spec{lab.Alpha(), lab.Beta()} {
		t.Run(spec.ID, func(t *testing.T) {
			o := organisation(t, spec)
			started := func(p *lab.Peer, err error) int {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = p.Close() })
				return p.Port
			}
			w := newWorld(o)
			a := &w.Application
			a.Directories[0].URL = fmt.Sprintf("ldap://127.0.0.1:%d", started(o.StartSlapd(t.Context())))
			a.Directories[0].StartTLS = true
			a.Anchors[0].OCSP[0] = fmt.Sprintf("http://127.0.0.1:%d/", started(o.StartOpenSSLOCSP(t.Context(), o.Root)))
			a.Intermediates[0].OCSP[0] = fmt.Sprintf("http://127.0.0.1:%d/", started(o.StartOpenSSLOCSP(t.Context(), o.Issuing)))
			w.Roots = x509.NewCertPool()
			w.Roots.AddCert(o.Root.Certificate)
			examine := func(what, fails, warns string) {
				t.Helper()
				r := w.examine(t)
				if gotFails, gotWarns := with(r, checkup.Fail), with(r, checkup.Warn); gotFails != fails || gotWarns != warns {
					t.Errorf("%s: got failures %q and warnings %q, want %q and %q", what, gotFails, gotWarns, fails, warns)
					logAll(t, r)
				}
			}
			// slapd answers wildcards, and the certificates name the simulated responder.
			examine("good", "", "D6 V8")

			mailbox := a.Directories[0].TestMailbox
			a.Directories[0].TestMailbox = o.Users()[1].Mail // expired
			examine("expired", "D5", "D6 V8")
			a.Directories[0].TestMailbox = mailbox
			w.Roots = x509.NewCertPool()
			if a.Directories[0].BindDN == "" {
				examine("a TLS certificate of nobody", "", "D3 D6 V8")
			} else {
				examine("a TLS certificate of nobody, and a password", "D2", "D3 V8")
			}
			w.Roots.AddCert(o.Root.Certificate)
			serials := &a.Intermediates[0].TestSerials
			serials.Valid, serials.Revoked = serials.Revoked, serials.Valid
			examine("serials mixed up", "V3 V4", "D6 V8")
		})
	}
}
