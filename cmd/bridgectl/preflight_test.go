package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"bridge.example/internal/checkup"
	"bridge.example/internal/lab"
)

// TestPreflight examines a simulated organisation from its application file:
// as it is, and with the test mailbox of another.
func TestPreflight(t *testing.T) {
	o, err := lab.New(t.TempDir(), lab.Beta(), lab.Ports{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	a := o.Application("1.3.6.1.4.1.32473.1.1")
	dir := t.TempDir()
	file := filepath.Join(dir, "beta.yaml")
	d, ca := a.Directories[0], a.Intermediates[0]
	text := fmt.Sprintf(`id: beta
name: Beta
country: FR
contacts: [{name: Desk, email: desk@beta.example}]
mail_domains: [beta.example]
policies: [{member: %q, bridge: %q}]
directories: [{url: %q, base: %q, dialect: %s, bind_dn: %q, credential: beta, test_mailbox: %q}]
anchors: [{certificate: %q, ocsp: [%q], crl: [%q]}]
intermediates: [{certificate: %q, ocsp: [%q], crl: [%q], test_serials: {valid: %q, revoked: %q}}]
`, a.Policies[0].Member, a.Policies[0].Bridge, d.URL, d.Base, d.Dialect, d.BindDN, d.TestMailbox,
		o.Root.File, o.Root.OCSP, o.Root.CRL, o.Issuing.File, o.Issuing.OCSP, o.Issuing.CRL, ca.TestSerials.Valid, ca.TestSerials.Revoked)
	write(t, filepath.Join(dir, "beta"), []byte(o.Spec.Password+"\n"))
	resolver := serveText(t, checkup.Challenge(a))

	for _, tt := range []struct {
		name, text string
		exit       int
		failed     string
	}{
		{"good", text, 0, ""},
		{"another mailbox", strings.Replace(text, d.TestMailbox, "nobody@beta.example", 1), exitNo, "D4"},
		{"a certificate that expired", strings.Replace(text, d.TestMailbox, "eve@beta.example", 1), exitNo, "D5"},
	} {
		write(t, file, []byte(tt.text))
		var out, errs bytes.Buffer
		p := &tool{in: strings.NewReader(""), out: &out, err: &errs}
		exit := p.execute([]string{"preflight", "-f", file, "--allow", "127.0.0.0/8", "--passwords", dir, "--resolver", resolver, "--output", "json"})
		var report struct {
			checkup.Report
			Passed bool `json:"passed"`
		}
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatalf("%s: %v: %s", tt.name, err, errs.String())
		}
		failed := ""
		for _, f := range report.Findings {
			if f.Verdict == checkup.Fail {
				failed += f.ID
			}
		}
		if exit != tt.exit || failed != tt.failed || report.Passed != (tt.exit == 0) {
			t.Errorf("%s: exit %d with failures %q, passed %t; want %d, %q", tt.name, exit, failed, report.Passed, tt.exit, tt.failed)
		}
		if strings.Contains(out.String()+errs.String(), o.Spec.Password) {
			t.Errorf("%s: the password is shown", tt.name)
		}
	}

	// A person sees paragraphs, and the progress beside them.
	var out, errs bytes.Buffer
	p := &tool{in: strings.NewReader(""), out: &out, err: &errs, outTerminal: true, errTerminal: true}
	p.execute([]string{"preflight", "-f", file, "--allow", "127.0.0.0/8", "--passwords", dir, "--resolver", resolver, "--failures-only"})
	if got := out.String(); !strings.HasPrefix(got, "FAIL    D5") || !strings.Contains(got, "fix: Publish a current") || strings.Contains(got, "\nOK") {
		t.Errorf("on a terminal: got %s", got)
	}
	if !strings.Contains(errs.String(), " checks, ") {
		t.Errorf("no progress: %q", errs.String())
	}
}

// serveText is a DNS server that answers every question with one text.
func serveText(t *testing.T, text string) (addr string) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Additionals = true, nil
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET},
				Body:   &dnsmessage.TXTResource{TXT: []string{text}},
			}}
			if answer, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(answer, from)
			}
		}
	}()
	return c.LocalAddr().String()
}
